//! Building blocks of the typed answers: values that servers write in more ways than the APIs promise.
//!
//! Every type here accepts `null` and a missing key as "nothing", and skips what it cannot use, because one
//! odd field must not cost a whole event. Text borrows from the body unless it holds escapes.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A text: a string, a list of strings or of parts with a `text` (joined), or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Text<'a>(pub Cow<'a, str>);

impl Text<'_> {
    /// The text, if there is any.
    pub fn get(&self) -> Option<&str> {
        if self.0.is_empty() { None } else { Some(&self.0) }
    }

    /// The text, possibly empty.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor(PhantomData))
    }
}

struct TextVisitor<'a>(PhantomData<&'a ()>);

impl<'de: 'a, 'a> Visitor<'de> for TextVisitor<'a> {
    type Value = Text<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'a>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text<'a>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Text<'a>, E> {
        Ok(Text(Cow::Owned(text)))
    }

    fn visit_unit<E>(self) -> Result<Text<'a>, E> {
        Ok(Text::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Text<'a>, E> {
        Ok(Text::default())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Text<'a>, E> {
        Ok(Text(Cow::Owned(number.to_string())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Text<'a>, E> {
        Ok(Text(Cow::Owned(number.to_string())))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Text<'a>, E> {
        Ok(Text(Cow::Owned(number.to_string())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Text<'a>, A::Error> {
        let mut joined = Text::default();
        while let Some(part) = parts.next_element::<Text<'a>>()? {
            if joined.0.is_empty() {
                joined = part;
            } else {
                joined.0.to_mut().push_str(&part.0);
            }
        }
        Ok(joined)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut part: A) -> Result<Text<'a>, A::Error> {
        let mut text = Text::default();
        while let Some(key) = part.next_key::<Text<'_>>()? {
            if key.0 == "text" {
                text = part.next_value()?;
            } else {
                part.next_value::<IgnoredAny>()?;
            }
        }
        Ok(text)
    }
}

/// A number, whole or not; anything else is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Number(pub Option<f64>);

impl Number {
    /// The whole number, where it is one that a count can be.
    pub fn count(self) -> Option<i64> {
        self.0.filter(|n| n.is_finite() && n.abs() < 9e15).map(|n| n as i64)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

struct NumberVisitor;

impl<'de> Visitor<'de> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_i64<E>(self, number: i64) -> Result<Number, E> {
        Ok(Number(Some(number as f64)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Number, E> {
        Ok(Number(Some(number as f64)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Number, E> {
        Ok(Number(Some(number)))
    }

    fn visit_unit<E>(self) -> Result<Number, E> {
        Ok(Number(None))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Number, E> {
        Ok(Number(None))
    }

    fn visit_str<E>(self, _: &str) -> Result<Number, E> {
        Ok(Number(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Number, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Number(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Number, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Number(None))
    }
}

/// A list that nearly always has one item: the first is held in place, so that an event of a token stream
/// needs no allocation. `present` tells an empty list from none.
#[derive(Clone, Debug)]
pub(super) struct Few<T> {
    first: Option<T>,
    rest: Vec<T>,
    /// The key was there and held a list.
    pub present: bool,
}

impl<T> Few<T> {
    /// The items in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.rest)
    }
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Few { first: None, rest: Vec::new(), present: false }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FewVisitor(PhantomData))
    }
}

struct FewVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for FewVisitor<T> {
    type Value = Few<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E>(self) -> Result<Few<T>, E> {
        Ok(Few::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Few<T>, A::Error> {
        let mut few = Few { first: items.next_element()?, rest: Vec::new(), present: true };
        while few.first.is_some() {
            match items.next_element()? {
                Some(item) => few.rest.push(item),
                None => break,
            }
        }
        Ok(few)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> String {
        serde_json::from_str::<Text<'_>>(json).unwrap().0.into_owned()
    }

    #[test]
    fn text_is_read_in_every_form() {
        assert_eq!(text("\"a\""), "a");
        assert_eq!(text("null"), "");
        assert_eq!(text("true"), "");
        assert_eq!(text("12"), "12");
        assert_eq!(text(r#"["a","b"]"#), "ab");
        assert_eq!(text(r#"[{"type":"text","text":"a"},{"type":"image","x":[1]},{"text":"b"}]"#), "ab");
    }

    #[test]
    fn text_borrows_unless_it_holds_escapes() {
        let plain: Text<'_> = serde_json::from_str("\"plain\"").unwrap();
        assert!(matches!(plain.0, Cow::Borrowed(_)));
        let escaped: Text<'_> = serde_json::from_str(r#""a\nb""#).unwrap();
        assert!(matches!(escaped.0, Cow::Owned(_)));
    }

    #[test]
    fn numbers_of_any_kind_and_nothing_else() {
        for (json, want) in [
            ("3", Some(3)),
            ("3.0", Some(3)),
            ("-1", Some(-1)),
            ("null", None),
            ("\"3\"", None),
            ("[1]", None),
            ("{\"a\":1}", None),
            ("1e300", None),
        ] {
            assert_eq!(serde_json::from_str::<Number>(json).unwrap().count(), want, "{json}");
        }
    }

    #[test]
    fn a_list_of_none_one_and_many() {
        for (json, want, present) in [
            ("null", vec![], false),
            ("[]", vec![], true),
            ("[1]", vec![1], true),
            ("[1,2,3]", vec![1, 2, 3], true),
        ] {
            let few: Few<u8> = serde_json::from_str(json).unwrap();
            assert_eq!(few.iter().copied().collect::<Vec<_>>(), want);
            assert_eq!(few.present, present, "{json}");
        }
    }
}
