//! Finds the model of a request while its body arrives: a scanner over the top level of a JSON object that keeps only
//! the value it looks for.

/// Longest model name that is taken, in bytes.
const MAX_NAME: usize = 512;

/// What is known so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peek {
    /// The model has not come yet.
    More,
    /// The model.
    Model(String),
    /// There is none: the object is over, or it is no JSON object.
    Nothing,
}

/// Scans for `"model": "..."` at the top level.
#[derive(Debug, Default)]
pub struct ModelScanner {
    /// Open objects and arrays.
    depth: u32,
    state: State,
    /// Bytes of the string being kept, still escaped.
    kept: Vec<u8>,
    after_colon: bool,
    key_is_model: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Outside any string.
    #[default]
    Open,
    /// Inside a string; `keep` if it is a key or the value of the model.
    Text { keep: bool, escaped: bool },
}

impl ModelScanner {
    /// Takes the next bytes of the body.
    pub fn push(&mut self, mut bytes: &[u8]) -> Peek {
        while let Some(&byte) = bytes.first() {
            let used = match self.state {
                State::Text { keep, escaped } => match self.text(bytes, keep, escaped) {
                    Ok(used) => used,
                    Err(found) => return found,
                },
                State::Open => match self.open(byte) {
                    Some(peek) => return peek,
                    None => 1,
                },
            };
            bytes = &bytes[used..];
        }
        Peek::More
    }

    /// One byte outside strings. Some when the search is over.
    fn open(&mut self, byte: u8) -> Option<Peek> {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => return None,
            b'{' | b'[' if self.depth == 0 && byte == b'[' => return Some(Peek::Nothing),
            b'{' | b'[' => self.depth = self.depth.saturating_add(1),
            _ if self.depth == 0 => return Some(Peek::Nothing),
            b'}' | b']' => {
                self.depth -= 1;
                if self.depth == 0 {
                    return Some(Peek::Nothing);
                }
            }
            b'"' => {
                // A key, or the value after the key `model`.
                let keep = self.depth == 1 && (!self.after_colon || self.key_is_model);
                self.kept.clear();
                self.state = State::Text { keep, escaped: false };
            }
            b':' if self.depth == 1 => {
                self.after_colon = true;
                self.key_is_model = self.kept == b"model";
            }
            b',' if self.depth == 1 => self.after_colon = false,
            // A model that is no string is none.
            _ if self.depth == 1 && self.after_colon && self.key_is_model => return Some(Peek::Nothing),
            _ => {}
        }
        None
    }

    /// Bytes inside a string: how many were used, or the model.
    fn text(&mut self, bytes: &[u8], keep: bool, escaped: bool) -> Result<usize, Peek> {
        if escaped {
            self.keep(keep, &bytes[..1]);
            self.state = State::Text { keep, escaped: false };
            return Ok(1);
        }
        let Some(end) = memchr::memchr2(b'"', b'\\', bytes) else {
            self.keep(keep, bytes);
            return Ok(bytes.len());
        };
        self.keep(keep, &bytes[..end]);
        if bytes[end] == b'\\' {
            self.keep(keep, b"\\");
            self.state = State::Text { keep, escaped: true };
            return Ok(end + 1);
        }
        self.state = State::Open;
        if keep && self.after_colon {
            return Err(self.model());
        }
        Ok(end + 1)
    }

    fn keep(&mut self, keep: bool, bytes: &[u8]) {
        if keep {
            let room = (MAX_NAME + 1).saturating_sub(self.kept.len());
            self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }

    fn model(&self) -> Peek {
        if self.kept.len() > MAX_NAME {
            return Peek::Nothing;
        }
        let quoted = [b"\"", self.kept.as_slice(), b"\""].concat();
        serde_json::from_slice(&quoted).map_or(Peek::Nothing, Peek::Model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However the body is split, the answer is the same.
    fn peek(body: &str) -> Peek {
        let in_pieces = |size: usize| {
            let mut scanner = ModelScanner::default();
            let mut pieces = body.as_bytes().chunks(size);
            pieces
                .by_ref()
                .map(|piece| scanner.push(piece))
                .find(|peek| *peek != Peek::More)
                .unwrap_or(Peek::More)
        };
        let whole = in_pieces(body.len().max(1));
        for size in 1..=body.len().min(9) {
            assert_eq!(in_pieces(size), whole, "{body} in pieces of {size}");
        }
        whole
    }

    #[test]
    fn the_model_is_found_wherever_it_is() {
        let model = |name: &str| Peek::Model(name.into());
        assert_eq!(peek(r#"{"model":"a/b-1","messages":[]}"#), model("a/b-1"));
        assert_eq!(
            peek(r#" {"messages":[{"model":"no","content":"\"model\":\"no\" \\"}],"model" : "yes"}"#),
            model("yes")
        );
        assert_eq!(
            peek(r#"{"x":{"model":"no"},"y":["model","no"],"z":"model","model":"\u0041\"b"}"#),
            model("A\"b")
        );
    }

    #[test]
    fn what_has_no_model_is_told_at_once() {
        for body in
            [r#"{"a":1}"#, r#"[{"model":"m"}]"#, "text", r#"{"model":7}"#, r#"{"model":null}"#, "}", "]"]
        {
            assert_eq!(peek(body), Peek::Nothing, "{body}");
        }
        assert_eq!(peek(r#"{"model":"cut"#), Peek::More);
        assert_eq!(peek(&format!(r#"{{"model":"{}"}}"#, "x".repeat(MAX_NAME + 1))), Peek::Nothing);
        assert_eq!(peek(r#"{"model":["a"],"b":"c"}"#), Peek::Nothing);
    }
}
