//! Which errors occurred, and how often.

use std::collections::HashMap;

use super::summary::ErrorCount;
use crate::error::RequestError;

/// Different messages kept; what comes after counts under its type alone.
const MOST_KINDS: usize = 256;

type Kind = (Option<i64>, Option<String>, String);

/// Errors grouped by code, type and message.
#[derive(Clone, Debug, Default)]
pub(super) struct ErrorTally {
    places: HashMap<Kind, usize>,
    counts: Vec<ErrorCount>,
}

impl ErrorTally {
    /// Counts an error.
    pub fn add(&mut self, error: &RequestError) {
        self.add_many(error, 1);
    }

    fn add_many(&mut self, error: &RequestError, count: u64) {
        let mut kind = (error.code, error.kind.clone(), error.message.clone());
        if !self.places.contains_key(&kind) && self.counts.len() >= MOST_KINDS {
            kind.2 = "other messages".to_owned();
        }
        if let Some(&place) = self.places.get(&kind) {
            self.counts[place].count += count;
            return;
        }
        // Codes and types are few; a server that varies even these ends in one last entry.
        if self.counts.len() >= 2 * MOST_KINDS {
            if let Some(last) = self.counts.last_mut() {
                last.count += count;
            }
            return;
        }
        let error_details = RequestError { message: kind.2.clone(), ..error.clone() };
        self.places.insert(kind, self.counts.len());
        self.counts.push(ErrorCount { error_details, count });
    }

    /// Adds all errors of another.
    pub fn merge(&mut self, other: &ErrorTally) {
        for item in &other.counts {
            self.add_many(&item.error_details, item.count);
        }
    }

    /// The errors, the most frequent first; of equally frequent ones the order is that of code, type and message,
    /// whichever came first.
    pub fn ranked(&self) -> Vec<ErrorCount> {
        fn kind(item: &ErrorCount) -> (Option<i64>, Option<&str>, &str) {
            let error = &item.error_details;
            (error.code, error.kind.as_deref(), &error.message)
        }
        let mut counts = self.counts.clone();
        counts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| kind(a).cmp(&kind(b))));
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: i64, message: String) -> RequestError {
        RequestError {
            code: Some(code),
            kind: Some("Internal Server Error".into()),
            message,
            cause: None,
            cause_chain: None,
            class: None,
            side: None,
            phase: None,
        }
    }

    #[test]
    fn groups_and_ranks() {
        let mut tally = ErrorTally::default();
        tally.add(&error(500, "a".into()));
        tally.add(&error(429, "b".into()));
        tally.add(&error(429, "b".into()));
        let ranked = tally.ranked();
        assert_eq!(ranked.iter().map(|item| item.count).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(ranked[0].error_details.code, Some(429));
    }

    #[test]
    fn unbounded_messages_stay_bounded_and_none_is_lost() {
        let mut tally = ErrorTally::default();
        for n in 0..100_000 {
            tally.add(&error(500, format!("request {n} failed")));
        }
        let ranked = tally.ranked();
        assert!(ranked.len() <= MOST_KINDS + 1);
        assert_eq!(ranked.iter().map(|item| item.count).sum::<u64>(), 100_000);
        assert_eq!(ranked[0].error_details.message, "other messages");
    }
}
