//! Units as files write them, and conversion between those that measure the same.

/// Value of one unit in the base of its kind: seconds, bytes, or a plain share.
fn scale(unit: &str) -> Option<(Kind, f64)> {
    Some(match unit {
        "ns" => (Kind::Time, 1e-9),
        "us" | "µs" => (Kind::Time, 1e-6),
        "ms" => (Kind::Time, 1e-3),
        "s" | "sec" | "seconds" => (Kind::Time, 1.0),
        "min" => (Kind::Time, 60.0),
        "B" | "bytes" => (Kind::Size, 1.0),
        "KB" => (Kind::Size, 1024.0),
        "MB" => (Kind::Size, 1024.0 * 1024.0),
        "GB" => (Kind::Size, 1024.0 * 1024.0 * 1024.0),
        "ratio" => (Kind::Share, 1.0),
        "%" | "percent" => (Kind::Share, 0.01),
        _ => return None,
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Time,
    Size,
    Share,
}

/// `value` in another unit; `None` when the two do not measure the same. Sizes are powers of 1024, as in
/// all record metrics (METRICS section 0).
pub fn convert(value: f64, from: &str, to: &str) -> Option<f64> {
    if from == to {
        return Some(value);
    }
    let ((kind, a), (other, b)) = (scale(from)?, scale(to)?);
    // A quotient of scales first, so that ns to ms multiplies by exactly what a reader expects.
    (kind == other).then(|| if a >= b { value * (a / b) } else { value / (b / a) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converts_within_a_kind_only() {
        assert_eq!(convert(250.0, "ms", "sec"), Some(0.25));
        assert_eq!(convert(0.25, "s", "ms"), Some(250.0));
        assert_eq!(convert(2048.0, "B", "KB"), Some(2.0));
        assert_eq!(convert(50.0, "%", "ratio"), Some(0.5));
        assert_eq!(convert(7.0, "tokens", "tokens"), Some(7.0));
        assert_eq!(convert(7.0, "tokens", "ms"), None);
        assert_eq!(convert(7.0, "KB", "ms"), None);
    }
}
