//! The small language of `--filter`: `ttft>500ms`, `failed or latency >= 2s`, `isl>1000 and not reused`.
//!
//! ```text
//! filter     = term { "or" term }
//! term       = factor { "and" factor }
//! factor     = "not" factor | "(" filter ")" | comparison
//! comparison = name [ ("<" | "<=" | ">" | ">=" | "=" | "==" | "!=") number [unit] ]
//! ```
//! A name is a fact of the trace (see [`FIELDS`]), a short alias (see [`ALIASES`]) or the tag of any metric in the
//! file. A number without a unit is meant in the unit of the file (ms for times). A name alone asks whether its value
//! is there and not zero. A comparison with a value that a record does not have is false.

use crate::analysis::line::{Line, Wanted};
use crate::analysis::observation::{Facts, Observation};
use crate::analysis::quantity::{self, Dimension, Quantity, QuantityError, number_length};

/// Short names of metrics that filters, SLOs and gates understand, with the tag they stand for.
pub const ALIASES: &[(&str, &str)] = &[
    ("ttft", "time_to_first_token"),
    ("ttst", "time_to_second_token"),
    ("ttfo", "time_to_first_output_token"),
    ("itl", "inter_token_latency"),
    ("tpot", "inter_token_latency"),
    ("icl", "inter_chunk_latency"),
    ("latency", "request_latency"),
    ("e2e", "request_latency"),
    ("e2el", "request_latency"),
    ("isl", "input_sequence_length"),
    ("osl", "output_sequence_length"),
    ("tps", "output_token_throughput_per_user"),
];

/// The tag an alias stands for, or the name itself.
pub fn resolve_alias(name: &str) -> &str {
    ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, tag)| *tag)
}

/// Facts of the trace that can be compared, with the unit a bare number is meant in.
pub const FIELDS: &[(&str, &str)] = &[
    ("ttfb", "ms"),
    ("ttlb", "ms"),
    ("blocked", "ms"),
    ("dns_lookup", "ms"),
    ("connecting", "ms"),
    ("connection_overhead", "ms"),
    ("sending", "ms"),
    ("waiting", "ms"),
    ("receiving", "ms"),
    ("duration", "ms"),
    ("total", "ms"),
    ("start_delay", "ms"),
    ("request_bytes", "B"),
    ("response_bytes", "B"),
    ("chunks", "chunks"),
    ("input_tokens", "tokens"),
    ("output_tokens", "tokens"),
    ("connection_request_number", ""),
    ("status", ""),
    ("failed", ""),
    ("cancelled", ""),
    ("reused", ""),
    ("created", ""),
    ("retried", ""),
    ("streaming", ""),
    ("traced", ""),
    ("warmup", ""),
    ("turn_index", ""),
    ("session_num", ""),
];

/// What a comparison looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// A fact of the trace: one of [`FIELDS`].
    Fact(&'static str),
    /// A metric of the record, by tag.
    Metric(String),
}

/// How two numbers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `=` or `==`
    Equal,
    /// `!=`
    NotEqual,
}

impl Operator {
    /// Whether `left operator right` holds.
    pub fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Operator::Less => left < right,
            Operator::LessOrEqual => left <= right,
            Operator::Greater => left > right,
            Operator::GreaterOrEqual => left >= right,
            Operator::Equal => left == right,
            Operator::NotEqual => left != right,
        }
    }

    /// The operator as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Operator::Less => "<",
            Operator::LessOrEqual => "<=",
            Operator::Greater => ">",
            Operator::GreaterOrEqual => ">=",
            Operator::Equal => "==",
            Operator::NotEqual => "!=",
        }
    }

    /// The operator at the start of a text and its length.
    pub(crate) fn at_start(text: &str) -> Option<(Operator, usize)> {
        let two = [
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("==", Operator::Equal),
            ("!=", Operator::NotEqual),
        ];
        let one = [("<", Operator::Less), (">", Operator::Greater), ("=", Operator::Equal)];
        two.into_iter().chain(one).find(|(sign, _)| text.starts_with(sign)).map(|(sign, op)| (op, sign.len()))
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Expression {
    Compare { field: Field, operator: Operator, value: f64 },
    Present(Field),
    Not(Box<Expression>),
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
}

/// A parsed filter.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    expression: Expression,
}

/// Why a text is no filter. Positions count characters from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// The text ended where something was expected.
    #[error("the filter ends where {expected} was expected")]
    Incomplete {
        /// What was expected.
        expected: &'static str,
    },
    /// Something else stands where a name, operator or number was expected.
    #[error("expected {expected} at character {position}, found {found:?}")]
    Unexpected {
        /// What was expected.
        expected: &'static str,
        /// Where, from 1.
        position: usize,
        /// The rest of the text from there.
        found: String,
    },
    /// The number or its unit is wrong.
    #[error("at character {position}: {source}")]
    Quantity {
        /// Where, from 1.
        position: usize,
        /// Why.
        source: QuantityError,
    },
    /// A duration is compared with a size, or the like.
    #[error("{name} is measured in {unit}, which is not {dimension}")]
    Dimension {
        /// The field.
        name: String,
        /// Its unit.
        unit: &'static str,
        /// What it was compared with.
        dimension: Dimension,
    },
    /// It is longer, or nested deeper, than anybody needs.
    #[error("the filter is too long or nested too deeply")]
    TooDeep,
}

/// Deepest nesting and longest text; both keep recursion bounded.
const MAX_DEPTH: usize = 64;
const MAX_BYTES: usize = 4_096;

impl std::str::FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_BYTES {
            return Err(FilterError::TooDeep);
        }
        let mut parser = Parser { text, at: 0, depth: 0 };
        let expression = parser.any_of()?;
        parser.skip_blanks();
        if parser.at < text.len() {
            return Err(parser.unexpected("\"and\", \"or\" or the end"));
        }
        Ok(Filter { expression })
    }
}

impl Filter {
    /// Tags of all metrics the filter looks at.
    pub fn tags(&self) -> Vec<String> {
        fn collect(expression: &Expression, tags: &mut Vec<String>) {
            match expression {
                Expression::Compare { field: Field::Metric(tag), .. }
                | Expression::Present(Field::Metric(tag)) => {
                    tags.push(tag.clone());
                }
                Expression::Compare { .. } | Expression::Present(_) => {}
                Expression::Not(inner) => collect(inner, tags),
                Expression::And(left, right) | Expression::Or(left, right) => {
                    collect(left, tags);
                    collect(right, tags);
                }
            }
        }
        let mut tags = Vec::new();
        collect(&self.expression, &mut tags);
        tags
    }

    /// Whether the filter holds for a record, whose values `value` gives in base units (ns, bytes, ratio).
    pub fn matches(&self, value: &dyn Fn(&Field) -> Option<f64>) -> bool {
        fn holds(expression: &Expression, value: &dyn Fn(&Field) -> Option<f64>) -> bool {
            match expression {
                Expression::Compare { field, operator, value: right } => {
                    value(field).is_some_and(|left| operator.holds(left, *right))
                }
                Expression::Present(field) => value(field).is_some_and(|value| value != 0.0),
                Expression::Not(inner) => !holds(inner, value),
                Expression::And(left, right) => holds(left, value) && holds(right, value),
                Expression::Or(left, right) => holds(left, value) || holds(right, value),
            }
        }
        holds(&self.expression, value)
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn position(&self) -> usize {
        self.text[..self.at].chars().count() + 1
    }

    fn unexpected(&self, expected: &'static str) -> FilterError {
        if self.rest().is_empty() {
            FilterError::Incomplete { expected }
        } else {
            FilterError::Unexpected { expected, position: self.position(), found: self.rest().to_owned() }
        }
    }

    /// The name at the cursor, which stays where it is.
    fn peek_name(&mut self) -> &'a str {
        self.skip_blanks();
        let rest = self.rest();
        let starts = rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        if starts { &rest[..end] } else { "" }
    }

    fn keyword(&mut self, word: &str) -> bool {
        let name = self.peek_name();
        let found = name.eq_ignore_ascii_case(word);
        if found {
            self.at += name.len();
        }
        found
    }

    fn any_of(&mut self) -> Result<Expression, FilterError> {
        let mut left = self.all_of()?;
        while self.keyword("or") {
            left = Expression::Or(Box::new(left), Box::new(self.all_of()?));
        }
        Ok(left)
    }

    fn all_of(&mut self) -> Result<Expression, FilterError> {
        let mut left = self.one()?;
        while self.keyword("and") {
            left = Expression::And(Box::new(left), Box::new(self.one()?));
        }
        Ok(left)
    }

    fn one(&mut self) -> Result<Expression, FilterError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(FilterError::TooDeep);
        }
        let expression = if self.keyword("not") {
            Expression::Not(Box::new(self.one()?))
        } else {
            self.skip_blanks();
            if self.rest().starts_with('(') {
                self.at += 1;
                let inner = self.any_of()?;
                self.skip_blanks();
                if !self.rest().starts_with(')') {
                    return Err(self.unexpected("\")\""));
                }
                self.at += 1;
                inner
            } else {
                self.comparison()?
            }
        };
        self.depth -= 1;
        Ok(expression)
    }

    fn comparison(&mut self) -> Result<Expression, FilterError> {
        let name = self.peek_name();
        if name.is_empty() || ["and", "or"].iter().any(|word| name.eq_ignore_ascii_case(word)) {
            return Err(self.unexpected("the name of a metric"));
        }
        self.at += name.len();
        let fact = FIELDS.iter().find(|(fact, _)| *fact == name);
        let field = match fact {
            Some((fact, _)) => Field::Fact(fact),
            None => Field::Metric(resolve_alias(name).to_owned()),
        };
        self.skip_blanks();
        let Some((operator, length)) = Operator::at_start(self.rest()) else {
            return Ok(Expression::Present(field));
        };
        self.at += length;
        self.skip_blanks();
        let quantity = self.quantity()?;
        let value = match fact {
            Some((name, unit)) => quantity.for_unit(unit).ok_or(FilterError::Dimension {
                name: (*name).to_owned(),
                unit: if unit.is_empty() { "plain numbers" } else { unit },
                dimension: quantity.dimension.unwrap_or(Dimension::Plain),
            })?,
            // The file says the metric's unit; without one of its own the number is taken as ms for the
            // metrics that are times, which is what files hold.
            None if quantity.dimension.is_none() => quantity.base * default_factor(&field),
            None => quantity.base,
        };
        Ok(Expression::Compare { field, operator, value })
    }

    fn quantity(&mut self) -> Result<Quantity, FilterError> {
        let rest = self.rest();
        let number = number_length(rest);
        if number == 0 {
            return Err(self.unexpected("a number"));
        }
        // The unit: directly behind the number, or behind blanks unless that word joins or ends a comparison.
        let blanks = rest[number..].len() - rest[number..].trim_start().len();
        let unit = &rest[number + blanks..];
        let length = unit.find(|c: char| c.is_whitespace() || c == '(' || c == ')').unwrap_or(unit.len());
        let joins = ["and", "or"].iter().any(|word| unit[..length].eq_ignore_ascii_case(word));
        let end = if joins { number } else { number + blanks + length };
        let quantity = Quantity::parse(&rest[..end])
            .map_err(|source| FilterError::Quantity { position: self.position(), source })?;
        self.at += end;
        Ok(quantity)
    }
}

/// Factor to base units of a number without a unit: that of the metric's unit in files.
fn default_factor(field: &Field) -> f64 {
    match field {
        Field::Fact(_) => 1.0,
        Field::Metric(tag) => crate::analysis::metric_unit(tag).map_or(1.0, |unit| quantity::unit(unit).1),
    }
}

/// The value of a field in a record, in base units.
pub(super) fn value(field: &Field, row: &Observation, line: &Line, wanted: &Wanted) -> Option<f64> {
    let flag = |fact| Some(f64::from(u8::from(row.facts.has(fact))));
    let float = |value: Option<u64>| value.map(|value| value as f64);
    match field {
        Field::Metric(tag) => line.metrics.base_number(wanted.slot(tag)?),
        Field::Fact(name) => match *name {
            "ttfb" | "waiting" => float(row.ttfb.get()),
            "ttlb" => float(row.ttlb.get()),
            "blocked" => float(row.blocked.get()),
            "dns_lookup" => float(row.dns.get()),
            "connecting" => float(row.connecting.get()),
            "connection_overhead" => row.has_phases().then(|| row.connection_overhead() as f64),
            "sending" => float(row.sending.get()),
            "receiving" => float(row.receiving()),
            "duration" => float(row.duration()),
            "total" => float(row.total()),
            "start_delay" => float(row.start_delay.get()),
            "request_bytes" => float(row.request_bytes.get()),
            "response_bytes" => float(row.response_bytes.get()),
            "chunks" => float(row.chunks.get()),
            "input_tokens" => float(row.input_tokens.get()),
            "output_tokens" => float(row.output_tokens.get()),
            "connection_request_number" => float(row.request_number.get()),
            "status" => (row.status != 0).then_some(f64::from(row.status)),
            "failed" => flag(Facts::FAILED),
            "cancelled" => flag(Facts::CANCELLED),
            "reused" => flag(Facts::REUSED),
            "created" => flag(Facts::CREATED),
            "retried" => flag(Facts::RETRIED),
            "traced" => flag(Facts::TRACED),
            "warmup" => flag(Facts::WARMUP),
            "streaming" => Some(f64::from(u8::from(row.chunks.get().is_some_and(|count| count > 1)))),
            "turn_index" => line.metadata.turn_index.map(f64::from),
            "session_num" => float(line.metadata.session_num),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(filter: &str, values: &[(&str, f64)]) -> bool {
        let filter: Filter = filter.parse().unwrap();
        filter.matches(&|field| {
            let name = match field {
                Field::Fact(name) => name,
                Field::Metric(tag) => tag.as_str(),
            };
            values.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
        })
    }

    fn error(filter: &str) -> String {
        filter.parse::<Filter>().unwrap_err().to_string()
    }

    #[test]
    fn each_operator_decides_at_its_edge() {
        let at = [("status", 500.0)];
        for (filter, below, equal, above) in [
            ("status<500", true, false, false),
            ("status<=500", true, true, false),
            ("status>500", false, false, true),
            ("status>=500", false, true, true),
            ("status=500", false, true, false),
            ("status==500", false, true, false),
            ("status!=500", true, false, true),
        ] {
            assert_eq!(holds(filter, &[("status", 499.0)]), below, "{filter} below");
            assert_eq!(holds(filter, &at), equal, "{filter} equal");
            assert_eq!(holds(filter, &[("status", 501.0)]), above, "{filter} above");
        }
    }

    #[test]
    fn units_and_aliases_reach_the_metric() {
        let slow = [("time_to_first_token", 5.1e8)];
        for filter in ["ttft>500ms", "ttft > 0.5 s", "time_to_first_token>500", "ttft>=510ms", "ttft>5e5us"] {
            assert!(holds(filter, &slow), "{filter}");
        }
        assert!(!holds("ttft>511ms", &slow));
        assert!(holds("response_bytes>=2KB", &[("response_bytes", 2048.0)]));
        assert!(!holds("response_bytes>2KB", &[("response_bytes", 2048.0)]));
        assert!(holds("osl>10 tokens", &[("output_sequence_length", 11.0)]));
    }

    #[test]
    fn and_binds_tighter_than_or_and_not_tightest() {
        let values = [("failed", 1.0), ("reused", 0.0), ("created", 0.0)];
        assert!(holds("failed or reused and created", &values));
        assert!(!holds("(failed or reused) and created", &values));
        assert!(holds("not reused and failed", &values));
        assert!(!holds("not (not reused and failed)", &values));
        assert!(holds("NOT reused AND NOT created", &values));
        assert!(holds("status>=400 and status<500 or failed", &values));
    }

    #[test]
    fn a_missing_value_never_compares() {
        for filter in ["ttft>0", "ttft<1s", "ttft!=5ms", "ttft"] {
            assert!(!holds(filter, &[]), "{filter}");
            assert!(holds(&format!("not {filter}"), &[]), "{filter}");
        }
    }

    #[test]
    fn tags_are_collected_from_the_whole_filter() {
        let filter: Filter = "ttft>1 or not (foreign_metric and failed) and itl<2".parse().unwrap();
        assert_eq!(filter.tags(), ["time_to_first_token", "foreign_metric", "inter_token_latency"]);
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        assert_eq!(error(""), "the filter ends where the name of a metric was expected");
        assert_eq!(error("ttft>"), "the filter ends where a number was expected");
        assert_eq!(error("ttft>fast"), "expected a number at character 6, found \"fast\"");
        assert_eq!(
            error("ttft>5 ms foo"),
            "expected \"and\", \"or\" or the end at character 11, found \"foo\""
        );
        assert_eq!(error("(ttft>5"), "the filter ends where \")\" was expected");
        assert_eq!(error("ttft>5 and"), "the filter ends where the name of a metric was expected");
        assert_eq!(error("and ttft"), "expected the name of a metric at character 1, found \"and ttft\"");
        assert_eq!(error("status>5ms"), "status is measured in plain numbers, which is not a duration");
        assert_eq!(error("ttfb>5KB"), "ttfb is measured in ms, which is not a size");
        assert!(error("ttft>5parsec").contains("unknown unit \"parsec\""));
        for deep in ["(".repeat(1_000), "not ".repeat(1_000), "(".repeat(100_000)] {
            assert_eq!(error(&deep), "the filter is too long or nested too deeply");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[a-z0-9<>=!(). %μ\"]{0,40}") {
            let _outcome = text.parse::<Filter>();
        }
    }
}
