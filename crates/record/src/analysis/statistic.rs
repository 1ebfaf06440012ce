//! A metric and the statistic of it that is meant, as SLOs, gates and comparisons name them: `ttft_p99`,
//! `request_latency_avg`, `error_rate`.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::analysis::filter::resolve_alias;
use crate::metric::MetricId;
use crate::metric::catalogue::{self, Kind};

/// What is said about the values of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Statistic {
    /// Arithmetic mean.
    Avg,
    /// Smallest value.
    Min,
    /// Largest value.
    Max,
    /// A percentile, strictly between 0 and 100; numpy's method "linear", as summaries have it.
    Percentile(f64),
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Statistic::Avg => f.write_str("avg"),
            Statistic::Min => f.write_str("min"),
            Statistic::Max => f.write_str("max"),
            Statistic::Percentile(p) => write!(f, "p{p}"),
        }
    }
}

impl FromStr for Statistic {
    type Err = NoStatistic;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "avg" | "mean" => return Ok(Statistic::Avg),
            "min" => return Ok(Statistic::Min),
            "max" => return Ok(Statistic::Max),
            "median" => return Ok(Statistic::Percentile(50.0)),
            _ => {}
        }
        let digits = name.strip_prefix('p').filter(|digits| digits.starts_with(|c: char| c.is_ascii_digit()));
        match digits.and_then(|digits| digits.parse::<f64>().ok()) {
            Some(p) if p > 0.0 && p < 100.0 => Ok(Statistic::Percentile(p)),
            _ => Err(NoStatistic),
        }
    }
}

impl Serialize for Statistic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A name is no statistic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected avg, min, max, median or a percentile such as p99")]
pub struct NoStatistic;

/// A figure of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// The metric.
    pub metric: MetricId,
    /// The statistic; `None` for a metric that is one number for the whole run.
    pub statistic: Option<Statistic>,
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.metric.tag())?;
        self.statistic.map_or(Ok(()), |statistic| write!(f, "_{statistic}"))
    }
}

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why a name is no figure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FigureError {
    /// No such metric.
    #[error("no metric is named {name:?}{}", nearest.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default())]
    Unknown {
        /// What was asked for.
        name: String,
        /// The most similar name.
        nearest: Option<&'static str>,
    },
    /// A metric of which every request has a value, without a statistic.
    #[error("{0} has a value for every request: say which statistic, such as {0}_p99 or {0}_avg")]
    NeedsStatistic(&'static str),
    /// A metric that is one number for the whole run, with a statistic.
    #[error("{0} is one number for the whole run and has no {1}")]
    NoStatistics(&'static str, String),
}

impl FromStr for Figure {
    type Err = FigureError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let name = name.trim();
        let (base, statistic) = match name.rsplit_once('_') {
            Some((base, last)) => match last.parse::<Statistic>() {
                Ok(statistic) => (base, Some(statistic)),
                Err(NoStatistic) => (name, None),
            },
            None => (name, None),
        };
        let tag = match base {
            "error_rate" => "request_error_rate",
            "throughput" => "request_throughput",
            base => resolve_alias(base),
        };
        let metric = MetricId::from_tag(tag).ok_or_else(|| FigureError::Unknown {
            name: base.to_owned(),
            nearest: catalogue::nearest_tag(tag),
        })?;
        match (of_every_request(metric), statistic) {
            (true, None) => Err(FigureError::NeedsStatistic(metric.tag())),
            (false, Some(statistic)) if metric.def().kind != Kind::TimeWeighted => {
                Err(FigureError::NoStatistics(metric.tag(), statistic.to_string()))
            }
            _ => Ok(Figure { metric, statistic }),
        }
    }
}

/// Whether every request has a value of the metric: its own, or an adjusted one.
fn of_every_request(metric: MetricId) -> bool {
    let adjusted = |id| {
        catalogue::failure_adjusted(id) == Some(metric) || catalogue::network_adjusted(id) == Some(metric)
    };
    metric.def().kind == Kind::Record || MetricId::all().any(adjusted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(name: &str) -> Result<String, String> {
        name.parse::<Figure>().map(|figure| figure.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn names_lead_to_metric_and_statistic() {
        assert_eq!(figure("time_to_first_token_p99").unwrap(), "time_to_first_token_p99");
        assert_eq!(figure(" ttft_p99.9 ").unwrap(), "time_to_first_token_p99.9");
        assert_eq!(figure("itl_mean").unwrap(), "inter_token_latency_avg");
        assert_eq!(figure("latency_median").unwrap(), "request_latency_p50");
        assert_eq!(figure("error_rate").unwrap(), "request_error_rate");
        assert_eq!(figure("output_token_throughput").unwrap(), "output_token_throughput");
        assert_eq!(figure("effective_latency_max").unwrap(), "effective_latency_max");
    }

    #[test]
    fn what_is_no_figure_is_refused_with_a_hint() {
        assert!(figure("ttft").unwrap_err().contains("time_to_first_token_p99"));
        assert!(figure("request_throughput_p50").unwrap_err().contains("one number"));
        assert!(
            figure("time_to_first_tokn_p99").unwrap_err().contains("did you mean \"time_to_first_token\"?")
        );
        for name in ["ttft_p0", "ttft_p100", "ttft_pfoo", "ttft_p-5", "", "_", "_p99", "ttft_pinf"] {
            assert!(figure(name).is_err(), "{name}");
        }
    }
}
