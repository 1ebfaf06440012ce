//! Label values within bounds. A client chooses the model it asks for and the path it asks at; neither may make
//! series without end.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

use crate::catalogue::{OTHER, STAGES};

/// Which label values are known, and how many more may be learned.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Names of the providers (upstreams).
    pub providers: Vec<String>,
    /// Models that are served.
    pub models: Vec<String>,
    /// Route templates.
    pub endpoints: Vec<String>,
    /// How many values beside the known ones each label may have: the first that come. Further ones are `other`.
    pub learned: usize,
}

impl Default for Bounds {
    /// Nothing is known; the first 64 values of each label are learned.
    fn default() -> Self {
        Bounds { providers: Vec::new(), models: Vec::new(), endpoints: Vec::new(), learned: 64 }
    }
}

/// Longest label value that is learned, in bytes.
const MAX_VALUE: usize = 128;

#[derive(Debug)]
pub(super) struct LabelSpace {
    providers: Values,
    models: Values,
    endpoints: Values,
    operations: Values,
    stages: Values,
    other: Arc<str>,
}

impl LabelSpace {
    pub fn new(bounds: Bounds) -> Self {
        let learned = bounds.learned;
        let values = |known: Vec<String>| Values::new(known.iter().map(String::as_str), learned);
        LabelSpace {
            providers: values(bounds.providers),
            models: values(bounds.models),
            endpoints: values(bounds.endpoints),
            operations: values(Vec::new()),
            stages: Values::new(STAGES.into_iter(), learned),
            other: OTHER.into(),
        }
    }

    pub fn provider(&self, value: &str) -> Option<Arc<str>> {
        self.providers.find(value)
    }

    pub fn model(&self, value: &str) -> Option<Arc<str>> {
        self.models.find(value)
    }

    pub fn endpoint(&self, value: &str) -> Option<Arc<str>> {
        self.endpoints.find(value)
    }

    pub fn operation(&self, value: &str) -> Option<Arc<str>> {
        self.operations.find(value)
    }

    pub fn stage(&self, value: &str) -> Option<Arc<str>> {
        self.stages.find(value)
    }

    pub fn other(&self) -> Arc<str> {
        Arc::clone(&self.other)
    }
}

/// The values of one label.
#[derive(Debug)]
struct Values {
    values: RwLock<HashSet<Arc<str>>>,
    most: usize,
}

impl Values {
    fn new<'a>(known: impl Iterator<Item = &'a str>, learned: usize) -> Self {
        let mut values: HashSet<Arc<str>> = known.map(Arc::from).collect();
        // `other` means itself and is never an overflow; the empty value is "there is none".
        values.extend([Arc::from(OTHER), Arc::from("")]);
        let most = values.len() + learned;
        Values { values: RwLock::new(values), most }
    }

    /// The value if it is known or can be learned.
    fn find(&self, value: &str) -> Option<Arc<str>> {
        let known = self.values.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(value) {
            return Some(Arc::clone(known));
        }
        if known.len() >= self.most || value.len() > MAX_VALUE {
            return None;
        }
        drop(known);
        let mut values = self.values.write().unwrap_or_else(PoisonError::into_inner);
        if values.len() >= self.most && !values.contains(value) {
            return None;
        }
        let learned: Arc<str> = value.into();
        values.insert(Arc::clone(&learned));
        Some(learned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_are_learned_and_the_rest_are_not() {
        let values = Values::new(["a"].into_iter(), 2);
        assert!(values.find("a").is_some() && values.find("b").is_some() && values.find("c").is_some());
        assert_eq!(values.find("d"), None);
        assert!(values.find("b").is_some() && values.find(OTHER).is_some() && values.find("").is_some());
    }

    #[test]
    fn a_long_value_is_never_learned() {
        let values = Values::new([].into_iter(), 2);
        assert_eq!(values.find(&"x".repeat(MAX_VALUE + 1)), None);
    }
}
