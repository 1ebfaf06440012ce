//! Numbers with units, as filters, SLOs and gates write them: `500ms`, `1.5 s`, `4KB`, `5%`, `20`.

use std::fmt;

/// What a unit measures. Values of different dimensions are never compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// A duration; base unit ns.
    Time,
    /// A size; base unit byte (KB = 1024 B, as AIPerf counts).
    Size,
    /// A share; base unit the plain ratio, so `5%` is 0.05.
    Share,
    /// Anything else: tokens, counts, rates. Base unit the number itself.
    Plain,
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Dimension::Time => "a duration",
            Dimension::Size => "a size",
            Dimension::Share => "a share",
            Dimension::Plain => "a plain number",
        })
    }
}

/// A number in the base unit of its dimension.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantity {
    /// The number in base units (ns, bytes, ratio, or itself).
    pub base: f64,
    /// The dimension its unit names; `None` when it was written without a unit.
    pub dimension: Option<Dimension>,
}

/// Dimension of a unit and the factor to its base unit. Knows the units of the metric catalogue and those people
/// type; anything unknown is [`Dimension::Plain`].
pub fn unit(name: &str) -> (Dimension, f64) {
    match name {
        "ns" => (Dimension::Time, 1.0),
        "us" | "μs" | "µs" => (Dimension::Time, 1e3),
        "ms" => (Dimension::Time, 1e6),
        "s" | "sec" | "seconds" => (Dimension::Time, 1e9),
        "m" | "min" => (Dimension::Time, 60e9),
        "h" => (Dimension::Time, 3600e9),
        "B" | "bytes" => (Dimension::Size, 1.0),
        "KB" | "kB" | "KiB" => (Dimension::Size, 1024.0),
        "MB" | "MiB" => (Dimension::Size, 1024.0 * 1024.0),
        "GB" | "GiB" => (Dimension::Size, 1024.0 * 1024.0 * 1024.0),
        "%" => (Dimension::Share, 0.01),
        "ratio" => (Dimension::Share, 1.0),
        _ => (Dimension::Plain, 1.0),
    }
}

/// Whether people may type this unit after a number.
fn is_typed_unit(name: &str) -> bool {
    unit(name).0 != Dimension::Plain && name != "ratio"
        || matches!(
            name,
            "tokens"
                | "tok"
                | "requests"
                | "chunks"
                | "tokens/s"
                | "tok/s"
                | "tokens/sec"
                | "tokens/sec/user"
        )
        || matches!(name, "requests/s" | "req/s" | "requests/sec" | "rps" | "x")
}

/// Why a text is no quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// It does not begin with a number.
    #[error("expected a number, found {0:?}")]
    NoNumber(String),
    /// The unit is unknown.
    #[error(
        "unknown unit {0:?} (known: ns, us, ms, s, min, h, B, KB, MB, GB, %, tokens, tokens/s, requests/s)"
    )]
    UnknownUnit(String),
}

impl Quantity {
    /// Reads a number with an optional unit; blanks between them are allowed.
    pub fn parse(text: &str) -> Result<Quantity, QuantityError> {
        let text = text.trim();
        let end = number_length(text);
        let number: f64 = match text[..end].parse::<f64>() {
            Ok(number) if number.is_finite() => number,
            _ => return Err(QuantityError::NoNumber(text.to_owned())),
        };
        let name = text[end..].trim();
        if name.is_empty() {
            return Ok(Quantity { base: number, dimension: None });
        }
        if !is_typed_unit(name) {
            return Err(QuantityError::UnknownUnit(name.to_owned()));
        }
        let (dimension, factor) = unit(name);
        Ok(Quantity { base: number * factor, dimension: Some(dimension) })
    }

    /// This quantity in the base unit of a metric whose file unit is `metric_unit`: a number without a unit is
    /// meant in the metric's own unit. `None`: the dimensions differ.
    pub fn for_unit(&self, metric_unit: &str) -> Option<f64> {
        let (dimension, factor) = unit(metric_unit);
        match self.dimension {
            None => Some(self.base * factor),
            Some(own) if own == dimension => Some(self.base),
            Some(_) => None,
        }
    }
}

/// Bytes of the number at the start of `text`: digits, one point, an exponent that is followed by digits.
pub(crate) fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    let sign = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let mut end = digits(sign);
    if bytes.get(end) == Some(&b'.') {
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let after_sign = end + 1 + usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent_end = digits(after_sign);
        if exponent_end > after_sign {
            end = exponent_end;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_the_unit_behind_them() {
        let time = |text| Quantity::parse(text).unwrap();
        assert_eq!(time("500ms"), Quantity { base: 5e8, dimension: Some(Dimension::Time) });
        assert_eq!(time(" 1.5 s "), Quantity { base: 1.5e9, dimension: Some(Dimension::Time) });
        assert_eq!(time("2e3us"), Quantity { base: 2e6, dimension: Some(Dimension::Time) });
        assert_eq!(time("4KB"), Quantity { base: 4096.0, dimension: Some(Dimension::Size) });
        assert_eq!(time("5%"), Quantity { base: 0.05, dimension: Some(Dimension::Share) });
        assert_eq!(time("20"), Quantity { base: 20.0, dimension: None });
        assert_eq!(time("20 tokens/s").dimension, Some(Dimension::Plain));
    }

    #[test]
    fn what_is_no_quantity_is_refused_by_name() {
        assert_eq!(Quantity::parse("fast"), Err(QuantityError::NoNumber("fast".into())));
        assert_eq!(Quantity::parse(""), Err(QuantityError::NoNumber(String::new())));
        assert_eq!(Quantity::parse("5 parsec"), Err(QuantityError::UnknownUnit("parsec".into())));
        assert_eq!(Quantity::parse("inf"), Err(QuantityError::NoNumber("inf".into())));
        assert_eq!(Quantity::parse("1e999s"), Err(QuantityError::NoNumber("1e999s".into())));
    }

    #[test]
    fn a_bare_number_is_meant_in_the_unit_of_the_metric() {
        assert_eq!(Quantity::parse("500").unwrap().for_unit("ms"), Some(5e8));
        assert_eq!(Quantity::parse("0.5s").unwrap().for_unit("ms"), Some(5e8));
        assert_eq!(Quantity::parse("0.5s").unwrap().for_unit("tokens"), None);
        assert_eq!(Quantity::parse("1%").unwrap().for_unit("ratio"), Some(0.01));
        assert_eq!(Quantity::parse("1").unwrap().for_unit("%"), Some(0.01));
    }
}
