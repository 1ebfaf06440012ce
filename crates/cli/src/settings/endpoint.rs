//! Endpoint flags become what every request has in common.

use std::sync::Arc;

use tokmeter_engine::endpoint::{Endpoint, EndpointType};
use tokmeter_engine::request::{RequestConfig, Target};
use tokmeter_engine::secret::Secret;
use tokmeter_engine::seed::Seed;
use tokmeter_http::{Origin, ReuseStrategy};

use super::{pairs, transport};
use crate::args::profile::ProfileArgs;
use crate::exit::Failure;

/// Resolves the endpoint flags.
pub fn resolve(args: &ProfileArgs, reuse: ReuseStrategy, seed: Seed) -> Result<RequestConfig, Failure> {
    let given = &args.endpoint;
    let kind = given.endpoint_type;
    let api = kind.metadata();
    if let Some(key) = &given.api_key
        && !key.bytes().all(|byte| byte.is_ascii_graphic())
    {
        return Err(Failure::usage("--api-key: the key has characters a header cannot hold (a line end?)"));
    }
    if let Some(path) = &given.custom_endpoint
        && !path.starts_with('/')
    {
        return Err(Failure::usage(format!("--endpoint: `{path}` is no path"))
            .fix(format!("paths begin with /, for example {}", api.path.unwrap_or("/v1/chat/completions"))));
    }
    Ok(RequestConfig {
        endpoint: Arc::new(endpoint(args)?),
        models: given.model_names.iter().map(|name| Arc::from(name.as_str())).collect(),
        model_selection: given.model_selection_strategy,
        seed,
        targets: targets(args)?,
        streaming: given.streaming && api.supports_streaming,
        api_key: given.api_key.as_deref().map(Secret::new),
        headers: pairs::headers(&given.header)?,
        extra: pairs::extra_inputs(&given.extra_inputs)?,
        legacy_max_tokens: given.use_legacy_max_tokens,
        per_chunk_usage: args.tokens.per_chunk_usage,
        include_usage: true,
        timeout: transport::seconds("--request-timeout-seconds", given.request_timeout_seconds)?,
        sticky: reuse == ReuseStrategy::Sticky,
        cancellation: None,
    })
}

/// The API with what the user says about its bodies and answers.
fn endpoint(args: &ProfileArgs) -> Result<Endpoint, Failure> {
    let given = &args.endpoint;
    let mut endpoint = Endpoint::new(given.endpoint_type);
    match (given.endpoint_type, &given.template) {
        (EndpointType::Template, None) => {
            return Err(Failure::usage("--endpoint-type template needs --template FILE")
                .fix("the file is a JSON body with {{placeholders}}"));
        }
        (EndpointType::Template, Some(path)) => {
            let text = std::fs::read_to_string(path).map_err(|error| {
                Failure::usage(format!("--template: cannot read {}: {error}", path.display()))
            })?;
            let template = text
                .parse()
                .map_err(|error| Failure::usage(format!("--template: {}: {error}", path.display())))?;
            endpoint = endpoint.with_template(template);
        }
        (_, Some(_)) => return Err(Failure::usage("--template: only for --endpoint-type template")),
        (_, None) => {}
    }
    if let Some(path) = &given.response_path {
        let path = path.parse().map_err(|error| Failure::usage(format!("--response-path: {error}")))?;
        endpoint = endpoint.with_text_path(path);
    }
    Ok(endpoint)
}

/// The servers, each with the path of its requests.
fn targets(args: &ProfileArgs) -> Result<Vec<Target>, Failure> {
    let api = args.endpoint.endpoint_type.metadata();
    let path = args.endpoint.custom_endpoint.as_deref().or(api.path);
    args.endpoint.url.iter().map(|url| target(url, path)).collect()
}

/// One server with the path of its requests; without a path the URL's own.
pub fn target(url: &str, path: Option<&str>) -> Result<Target, Failure> {
    let url = Origin::parse(url).map_err(|error| Failure::usage(format!("--url: {error}")))?;
    let path = match path {
        Some(path) => joined(url.base_path(), path),
        None => url.request_path(),
    };
    Ok(Target { origin: url.origin.clone(), path: path.into(), authorization: url.authorization })
}

/// The endpoint's path after the URL's own; a version that both have (`http://host/v1`) stands once.
fn joined(base: &str, path: &str) -> String {
    let version = path.split('/').nth(1).unwrap_or_default();
    let repeated = version.starts_with('v') && base.ends_with(&format!("/{version}"));
    let base = if repeated { &base[..base.len() - version.len() - 1] } else { base };
    format!("{base}{path}")
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn a_version_in_url_and_path_stands_once() {
        assert_eq!(joined("", "/v1/chat/completions"), "/v1/chat/completions");
        assert_eq!(joined("/v1", "/v1/chat/completions"), "/v1/chat/completions");
        assert_eq!(joined("/team/v1", "/v1/embeddings"), "/team/v1/embeddings");
        assert_eq!(joined("/team", "/v1/embeddings"), "/team/v1/embeddings");
        assert_eq!(joined("/v2", "/v1/embeddings"), "/v2/v1/embeddings");
    }
}
