//! JSON text as it is, laid out anew: bodies are shown exactly as sent, so they are never parsed and rebuilt.

use std::borrow::Cow;

use serde_json::value::RawValue;

/// One line: line ends, which JSON allows between tokens only, become blanks.
pub(super) fn one_line(json: &RawValue) -> Cow<'_, str> {
    let text = json.get();
    if text.contains(['\n', '\r']) {
        Cow::Owned(text.replace(['\n', '\r'], " "))
    } else {
        Cow::Borrowed(text)
    }
}

/// Appends the value with 2 blanks for each level, the first line at the current place and the others at
/// least `depth` levels in. Strings and numbers keep their text.
pub(super) fn indent(json: &RawValue, mut depth: usize, out: &mut Vec<u8>) {
    let bytes = json.get().as_bytes();
    let mut place = 0;
    // After an opening bracket: whether the next token closes it at once is not known yet.
    let mut opened = false;
    while place < bytes.len() {
        let byte = bytes[place];
        if byte.is_ascii_whitespace() {
            place += 1;
            continue;
        }
        let closes = matches!(byte, b'}' | b']');
        if opened && !closes {
            new_line(depth, out);
        }
        if closes {
            depth = depth.saturating_sub(1);
            if !opened {
                new_line(depth, out);
            }
        }
        opened = false;
        match byte {
            b'{' | b'[' => {
                out.push(byte);
                depth += 1;
                opened = true;
            }
            b',' => {
                out.push(byte);
                new_line(depth, out);
            }
            b':' => out.extend_from_slice(b": "),
            b'"' => {
                let end = end_of_string(bytes, place);
                out.extend_from_slice(&bytes[place..end]);
                place = end;
                continue;
            }
            _ => out.push(byte),
        }
        place += 1;
    }
}

fn new_line(depth: usize, out: &mut Vec<u8>) {
    out.push(b'\n');
    out.resize(out.len() + 2 * depth, b' ');
}

/// One past the closing quote of the string that opens at `start`.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut place = start + 1;
    while place < bytes.len() {
        match bytes[place] {
            b'\\' => place += 2,
            b'"' => return place + 1,
            _ => place += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            ".{0,12}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                prop::collection::btree_map(".{0,6}", inner, 0..5)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn layout_equals_that_of_serde(value in json(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let raw = RawValue::from_string(text.unwrap()).unwrap();
            let mut out = Vec::new();
            indent(&raw, 0, &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string_pretty(&value).unwrap());
            let line = one_line(&raw);
            prop_assert!(!line.contains('\n'));
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), value);
        }
    }
}
