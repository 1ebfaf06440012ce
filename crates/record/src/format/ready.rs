//! `.aiperf_results_ready.json`: written last, so that a watcher knows when all other files are complete.

use serde::{Deserialize, Serialize};

/// How the run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultsReady {
    /// Always true.
    pub ready: bool,
    /// Ended by a signal.
    pub was_cancelled: bool,
    /// Some files are missing or incomplete.
    pub partial: bool,
}

impl ResultsReady {
    /// The content of the file.
    pub fn to_json(was_cancelled: bool, partial: bool) -> String {
        format!("{{\"ready\":true,\"was_cancelled\":{was_cancelled},\"partial\":{partial}}}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_what_watchers_read() {
        let text = ResultsReady::to_json(true, false);
        assert_eq!(text, r#"{"ready":true,"was_cancelled":true,"partial":false}"#);
        let ready: ResultsReady = serde_json::from_str(&text).unwrap();
        assert_eq!(ready, ResultsReady { ready: true, was_cancelled: true, partial: false });
    }
}
