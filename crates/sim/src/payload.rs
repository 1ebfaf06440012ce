//! The parts of a request body that shape an answer, read without copying the prompt.

use std::borrow::Cow;
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::vocabulary::count_words;

/// A request body of any of the inference endpoints; unknown keys are ignored.
#[derive(Debug, Default, Deserialize)]
pub struct Payload<'a> {
    #[serde(borrow, default)]
    pub model: Text<'a>,
    #[serde(borrow, default)]
    pub messages: Text<'a>,
    #[serde(borrow, default)]
    pub system: Text<'a>,
    #[serde(borrow, default)]
    pub instructions: Text<'a>,
    #[serde(borrow, default)]
    pub prompt: Text<'a>,
    #[serde(borrow, default)]
    pub input: Text<'a>,
    #[serde(borrow, default)]
    pub query: Text<'a>,
    #[serde(borrow, default, alias = "passages")]
    pub documents: Text<'a>,
    #[serde(default)]
    pub stream: Option<bool>,
    #[serde(default)]
    pub stream_options: Option<StreamOptions>,
    #[serde(default)]
    pub max_tokens: Option<u64>,
    #[serde(default)]
    pub max_completion_tokens: Option<u64>,
    #[serde(default)]
    pub max_output_tokens: Option<u64>,
    #[serde(default)]
    pub min_tokens: Option<u64>,
}

/// `stream_options` of the chat and completions APIs (`continuous_usage_stats` is vLLM's).
#[derive(Debug, Default, Clone, Copy, Deserialize)]
pub struct StreamOptions {
    #[serde(default)]
    pub include_usage: Option<bool>,
    #[serde(default)]
    pub continuous_usage_stats: Option<bool>,
}

impl Payload<'_> {
    /// Text fields that make the prompt, in order.
    fn prompt_texts(&self) -> [&Text<'_>; 7] {
        [
            &self.system,
            &self.instructions,
            &self.messages,
            &self.prompt,
            &self.input,
            &self.query,
            &self.documents,
        ]
    }

    /// All strings of the prompt, in order.
    pub fn prompt_pieces(&self) -> impl Iterator<Item = &str> {
        self.prompt_texts().into_iter().flat_map(|text| text.pieces.iter().map(|piece| &**piece))
    }

    /// Bytes of prompt text.
    pub fn prompt_bytes(&self) -> u64 {
        self.prompt_pieces().map(|piece| piece.len() as u64).sum()
    }

    /// Prompt tokens: whitespace-separated words, and one for each token id given as a number.
    pub fn prompt_tokens(&self) -> u32 {
        let ids: u32 = self.prompt_texts().iter().map(|text| text.token_ids).sum();
        self.prompt_pieces().map(count_words).sum::<u32>() + ids
    }

    /// The request's maximum of output tokens, by whichever name it gave it.
    pub fn max_output(&self) -> Option<u64> {
        self.max_completion_tokens.or(self.max_tokens).or(self.max_output_tokens)
    }
}

/// Strings of a prompt in any of the shapes the APIs allow: a string, a list of strings, content
/// parts, messages, documents, token ids.
#[derive(Debug, Default)]
pub struct Text<'a> {
    /// The strings, in order.
    pub pieces: Vec<Cow<'a, str>>,
    /// Elements of the outermost list; 1 for a lone string, 0 when absent.
    pub items: u32,
    /// Numbers found: tokens given by id.
    pub token_ids: u32,
}

impl Text<'_> {
    /// The first string, for fields that are one.
    pub fn first(&self) -> &str {
        self.pieces.first().map_or("", |piece| piece)
    }
}

impl<'a> Text<'a> {
    fn one(piece: Cow<'a, str>) -> Self {
        Self { pieces: vec![piece], items: 1, token_ids: 0 }
    }

    fn absorb(&mut self, other: Text<'a>) {
        self.pieces.extend(other.pieces);
        self.token_ids += other.token_ids;
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a list of texts or an object with text")
    }

    fn visit_borrowed_str<E>(self, piece: &'de str) -> Result<Text<'de>, E> {
        Ok(Text::one(Cow::Borrowed(piece)))
    }

    fn visit_str<E>(self, piece: &str) -> Result<Text<'de>, E> {
        Ok(Text::one(Cow::Owned(piece.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Text<'de>, E> {
        Ok(Text::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Text<'de>, E> {
        Ok(Text::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Text<'de>, E> {
        Ok(Text { token_ids: 1, ..Text::default() })
    }

    fn visit_i64<E>(self, _: i64) -> Result<Text<'de>, E> {
        Ok(Text::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Text<'de>, E> {
        Ok(Text::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Text<'de>, A::Error> {
        let mut text = Text::default();
        while let Some(item) = list.next_element::<Text<'de>>()? {
            text.items += 1;
            text.absorb(item);
        }
        Ok(text)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text<'de>, A::Error> {
        let mut text = Text { items: 1, ..Text::default() };
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Text => text.absorb(map.next_value::<Text<'de>>()?),
                Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(text)
    }
}

/// Keys whose values are prompt text; everything else in an object (roles, ids, images) is not.
enum Key {
    Text,
    Other,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl Visitor<'_> for KeyVisitor {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E>(self, key: &str) -> Result<Key, E> {
                Ok(match key {
                    "content" | "text" => Key::Text,
                    _ => Key::Other,
                })
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Payload<'_> {
        serde_json::from_str(body).expect("valid body")
    }

    #[test]
    fn counts_words_of_every_shape() {
        let cases = [
            (r#"{"messages":[{"role":"user","content":"one two three"}]}"#, 3),
            (
                r#"{"messages":[{"role":"system","content":"be brief"},{"role":"user","content":[{"type":"text","text":"one\ntwo"},{"type":"image_url","image_url":{"url":"http://a b c"}}]}]}"#,
                4,
            ),
            (r#"{"prompt":"a b"}"#, 2),
            (r#"{"prompt":["a b","c"]}"#, 3),
            (r#"{"prompt":[1,2,3,4]}"#, 4),
            (
                r#"{"input":[{"role":"user","content":[{"type":"input_text","text":"x y z"}]}],"instructions":"w"}"#,
                4,
            ),
            (
                r#"{"system":[{"type":"text","text":"s t"}],"messages":[{"role":"assistant","content":null}]}"#,
                2,
            ),
            (r#"{"query":{"text":"q"},"passages":[{"text":"p one"},{"text":"p two"}]}"#, 5),
        ];
        for (body, tokens) in cases {
            assert_eq!(read(body).prompt_tokens(), tokens, "{body}");
        }
        assert_eq!(read(r#"{"input":["a","b","c"]}"#).input.items, 3);
    }

    #[test]
    fn prompt_text_is_borrowed_from_the_body() {
        let payload = read(r#"{"messages":[{"role":"user","content":"plain"}]}"#);
        assert!(matches!(payload.messages.pieces[0], Cow::Borrowed("plain")));
    }

    #[test]
    fn wrong_types_are_errors() {
        for body in [r#"{"max_tokens":"many"}"#, r#"{"stream":"yes"}"#, "[1", "{"] {
            assert!(serde_json::from_str::<Payload<'_>>(body).is_err(), "{body}");
        }
    }
}
