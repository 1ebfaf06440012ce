//! Where files go (FORMATS 0.1).

use std::path::PathBuf;

use crate::args::profile::ProfileArgs;

/// `./artifacts/<model>[_multi]-<service>-<endpoint type>-<stimulus>` unless a directory was given.
pub fn directory(args: &ProfileArgs, stimulus: &str) -> PathBuf {
    if let Some(given) = &args.output.output_artifact_dir {
        return given.clone();
    }
    let models = &args.endpoint.model_names;
    let many = if models.len() > 1 { "_multi" } else { "" };
    let model = models.first().map_or("model", String::as_str).replace(['/', '\\'], "_");
    let endpoint = args.endpoint.endpoint_type.as_str();
    PathBuf::from("artifacts").join(format!("{model}{many}-openai-{endpoint}-{stimulus}"))
}
