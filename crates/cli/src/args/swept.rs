//! Flags that take one value or several: several make a sweep.

use std::fmt::Display;
use std::str::FromStr;

/// One value, or several separated by commas. Never empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Swept<T>(Vec<T>);

impl<T: Copy> Swept<T> {
    /// The values in the order typed.
    pub fn values(&self) -> &[T] {
        &self.0
    }

    /// The value of a flag that is not swept, or the first.
    pub fn first(&self) -> T {
        self.0[0]
    }

    /// Value `index` alone.
    pub fn only(&self, index: usize) -> Self {
        Swept(vec![self.0[index]])
    }
}

/// The value of a flag for one run.
pub fn value<T: Copy>(given: &Option<Swept<T>>) -> Option<T> {
    given.as_ref().map(Swept::first)
}

impl<T: FromStr<Err: Display>> FromStr for Swept<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = |part: &str| {
            part.trim().parse().map_err(|error| format!("`{part}` is not a number that fits here: {error}"))
        };
        text.split(',').map(parse).collect::<Result<_, _>>().map(Swept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_or_several_values() {
        let many: Swept<u32> = "1, 2,4".parse().unwrap();
        assert_eq!((many.values(), many.only(2).first()), (&[1, 2, 4][..], 4));
        assert_eq!(value(&Some("0.5".parse::<Swept<f64>>().unwrap())), Some(0.5));
        assert!("1,,2".parse::<Swept<u32>>().is_err());
        assert!("-1".parse::<Swept<u32>>().unwrap_err().contains("`-1`"));
    }
}
