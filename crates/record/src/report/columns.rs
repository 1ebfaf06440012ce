//! Columns of numbers as compact text: little-endian base64, with an index where most rows have no value.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

/// One column. A value that is absent is NaN in dense columns of floats and the type's maximum in those of integers.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Column {
    /// `f32`, `f64`, `u32`, `u16` or `u8`.
    #[serde(rename = "t")]
    kind: &'static str,
    /// The values.
    #[serde(rename = "d")]
    data: String,
    /// Rows that have a value (u32); without it, all rows in order.
    #[serde(rename = "i", skip_serializing_if = "Option::is_none")]
    index: Option<String>,
}

/// A number that can stand in a column.
pub(super) trait Number: Copy {
    /// Name of its array type on the page.
    const KIND: &'static str;
    fn is_absent(self) -> bool;
    fn put(self, bytes: &mut Vec<u8>);
}

macro_rules! number {
    ($type:ty, $name:literal, $value:ident => $absent:expr) => {
        impl Number for $type {
            const KIND: &'static str = $name;
            fn is_absent(self) -> bool {
                let $value = self;
                $absent
            }
            fn put(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }
        }
    };
}
number!(f32, "f32", value => value.is_nan());
number!(f64, "f64", value => value.is_nan());
number!(u32, "u32", value => value == u32::MAX);
number!(u16, "u16", value => value == u16::MAX);
number!(u8, "u8", value => value == u8::MAX);

/// Numbers as base64 of their little-endian bytes.
pub(super) fn base64<T: Number>(values: impl IntoIterator<Item = T>) -> String {
    let mut bytes = Vec::new();
    values.into_iter().for_each(|value| value.put(&mut bytes));
    STANDARD.encode(bytes)
}

/// A column of these values, `None` when all of them are absent.
pub(super) fn column<T: Number>(values: &[T]) -> Option<Column> {
    let present = values.iter().filter(|value| !value.is_absent()).count();
    if present == 0 {
        return None;
    }
    let row = size_of::<T>();
    if present * (row + size_of::<u32>()) >= size_of_val(values) {
        return Some(Column { kind: T::KIND, data: base64(values.iter().copied()), index: None });
    }
    let rows = values.iter().enumerate().filter(|(_, value)| !value.is_absent());
    let index = base64(rows.clone().map(|(row, _)| row as u32));
    Some(Column { kind: T::KIND, data: base64(rows.map(|(_, value)| *value)), index: Some(index) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_as_short_as_its_values_allow() {
        assert_eq!(column(&[f32::NAN; 3]), None);
        assert_eq!(column::<u8>(&[]), None);
        let dense = column(&[1u16, 2, u16::MAX]).unwrap();
        assert_eq!((dense.kind, dense.data.as_str(), dense.index), ("u16", "AQACAP//", None));
        let sparse = column(&[f32::NAN, f32::NAN, 1.0, f32::NAN]).unwrap();
        assert_eq!((sparse.data.as_str(), sparse.index.as_deref()), ("AACAPw==", Some("AgAAAA==")));
    }
}
