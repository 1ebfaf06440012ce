//! Amounts of memory as people write them.

use std::fmt;
use std::str::FromStr;

/// Bytes, written as `750MB`, `2GiB` or `1000000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Memory(pub u64);

/// Endings, the longer ones first where one ends in another.
const UNITS: [(&str, u64); 8] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

impl FromStr for Memory {
    type Err = String;

    fn from_str(text: &str) -> Result<Memory, String> {
        let text = text.trim();
        let unit = UNITS.iter().find_map(|(name, factor)| {
            let number = text.len().checked_sub(name.len())?;
            let ending = text.get(number..)?;
            ending.eq_ignore_ascii_case(name).then(|| (text[..number].trim_end(), *factor))
        });
        let (number, factor) = unit.unwrap_or((text, 1));
        let number = number.parse::<u64>().ok().filter(|number| *number > 0);
        let bytes = number.and_then(|number| number.checked_mul(factor));
        bytes.map(Memory).ok_or_else(|| "an amount of memory such as 750MB, 2GiB or 1000000".to_owned())
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} MB", self.0 as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_with_and_without_a_unit() {
        for (text, bytes) in [
            ("1000000", 1_000_000),
            ("750MB", 750_000_000),
            ("2GiB", 2 << 30),
            ("2 gib", 2 << 30),
            ("64KiB", 65_536),
        ] {
            assert_eq!(text.parse(), Ok(Memory(bytes)), "{text}");
        }
        for wrong in ["", "MB", "0", "-1", "1.5GB", "1 XB", "99999999TB", "é"] {
            assert!(wrong.parse::<Memory>().is_err(), "{wrong}");
        }
    }
}
