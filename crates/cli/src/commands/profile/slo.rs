//! SLOs of the run: decided when it is over.

use std::fs::File;
use std::io::BufReader;

use anyhow::{Context, Result};
use tokmeter_record::analysis::run_sample::RunSample;
use tokmeter_record::analysis::slo::RunSlo;
use tokmeter_record::analysis::verdict::Check;
use tokmeter_record::foreign;

use super::Finished;

/// Decides SLOs on the records of a run and on the summary that was written of it, as `gate` does later.
pub fn check(slos: &[RunSlo], mut sample: RunSample, finished: &Finished) -> Result<Vec<Check>> {
    let path = finished.settings.names.summary_json();
    let read = || format!("cannot read {} back", path.display());
    let file = File::open(&path).with_context(read)?;
    let summary = serde_json::from_reader(BufReader::new(file)).with_context(read)?;
    foreign::complete(&mut sample, &summary);
    Ok(slos.iter().map(|slo| slo.check(&sample)).collect())
}
