//! What can be wrong with a page, and how much of a page is read.

use std::fmt;

/// How much of a page is read. A page beyond a limit is cut there, with a fault that
/// [says which](Fault::is_limit).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Families of a page.
    pub families: usize,
    /// Sample lines of a page.
    pub samples: usize,
    /// Labels of one sample.
    pub labels: usize,
    /// Bytes of one line.
    pub line_bytes: usize,
    /// Problems that are kept (at least one); the others are counted.
    pub problems: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { families: 20_000, samples: 500_000, labels: 128, line_bytes: 64 * 1024, problems: 32 }
    }
}

/// Why a line was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Bytes that are not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// The name is missing or has characters that need quotes.
    #[error("bad metric name")]
    Name,
    /// The label set is malformed or never closed.
    #[error("bad label set")]
    Labels,
    /// The same label name twice.
    #[error("label given twice")]
    LabelTwice,
    /// The value is missing or not a number.
    #[error("bad value")]
    Value,
    /// The time stamp is not a number.
    #[error("bad time stamp")]
    Timestamp,
    /// The exemplar is malformed.
    #[error("bad exemplar")]
    Exemplar,
    /// Text after the end of the sample.
    #[error("text after the sample")]
    Trailing,
    /// A bucket without `le`, or a quantile without `quantile`.
    #[error("no bucket or quantile label")]
    NoEdge,
    /// A sample whose name does not fit the type of its family.
    #[error("sample does not fit its family's type")]
    WrongPart,
    /// A malformed `# HELP`, `# TYPE` or `# UNIT`, or an unknown type.
    #[error("bad metadata line")]
    Metadata,
    /// A second, different `# TYPE` of a family, or one after its samples.
    #[error("contradicting type")]
    TypeTwice,
    /// The line is longer than [`Limits::line_bytes`].
    #[error("line too long")]
    LineTooLong,
    /// More families than [`Limits::families`].
    #[error("more families in one page than the limit")]
    TooManyFamilies,
    /// More sample lines than [`Limits::samples`].
    #[error("more samples in one page than the limit")]
    TooManySamples,
    /// More labels than [`Limits::labels`].
    #[error("more labels of one sample than the limit")]
    TooManyLabels,
}

impl Fault {
    /// Whether the line itself may be well-formed and only a limit keeps it out.
    pub fn is_limit(self) -> bool {
        matches!(
            self,
            Fault::LineTooLong | Fault::TooManyFamilies | Fault::TooManySamples | Fault::TooManyLabels
        )
    }
}

/// One line that was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line of the page, from 1.
    pub line: u32,
    /// What is wrong.
    pub fault: Fault,
    /// The beginning of the line.
    pub excerpt: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}: {:?}", self.line, self.fault, self.excerpt)
    }
}

/// The problems of a page: the first ones in full, all of them counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    /// The first problems, up to [`Limits::problems`].
    pub kept: Vec<Problem>,
    /// How many there were in all.
    pub total: u64,
    /// The limits that were reached, each once.
    pub limits: Vec<Fault>,
}

const EXCERPT_BYTES: usize = 80;

impl Problems {
    pub(super) fn add(&mut self, limits: &Limits, line: u32, fault: Fault, text: &[u8]) {
        self.total += 1;
        if fault.is_limit() && !self.limits.contains(&fault) {
            self.limits.push(fault);
        }
        if self.kept.len() < limits.problems.max(1) {
            let cut = &text[..text.len().min(EXCERPT_BYTES)];
            let excerpt = String::from_utf8_lossy(cut).into_owned();
            self.kept.push(Problem { line, fault, excerpt });
        }
    }
}

/// The page is not Prometheus exposition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotExposition {
    /// A JSON document.
    #[error("the body is JSON, not Prometheus exposition format")]
    Json,
    /// An HTML or XML document.
    #[error("the body is HTML or XML, not Prometheus exposition format")]
    Markup,
    /// Neither; the first line that could not be read.
    #[error("the body is not Prometheus exposition format ({0})")]
    Garbage(Problem),
}
