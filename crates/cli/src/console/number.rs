//! Numbers for people.

/// Two decimals and thousands separators: `12,345.68`.
pub fn grouped(value: f64) -> String {
    let text = format!("{:.2}", value.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, "00"));
    let sign = if value < 0.0 { "-" } else { "" };
    format!("{sign}{}.{fraction}", thousands(whole))
}

/// An integer with thousands separators.
pub fn integer(value: u64) -> String {
    thousands(&value.to_string())
}

fn thousands(digits: &str) -> String {
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        assert_eq!(grouped(0.0), "0.00");
        assert_eq!(grouped(999.999), "1,000.00");
        assert_eq!(grouped(-1234567.891), "-1,234,567.89");
        assert_eq!(integer(1_000), "1,000");
        assert_eq!(integer(12), "12");
    }
}
