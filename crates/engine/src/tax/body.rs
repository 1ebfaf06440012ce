//! Request bodies of one exact size, no two alike.

use bytes::Bytes;
use serde_json::json;

/// The size asked for cannot hold a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a request body needs at least {least} bytes, not {asked}")]
pub struct BodyTooSmall {
    least: usize,
    asked: usize,
}

/// Width of the number that makes a body unlike all others.
const NUMBER: usize = 16;
const WORD: &[u8] = b"word ";

/// What all bodies of a cell have in common.
#[derive(Clone, Debug)]
pub(super) struct Mold {
    bytes: Vec<u8>,
    /// Where the prompt begins.
    prompt: usize,
}

impl Mold {
    pub(super) fn new(
        model: &str,
        streaming: bool,
        output_tokens: u32,
        size: usize,
    ) -> Result<Self, BodyTooSmall> {
        const PLACE: &str = "\"content\":\"";
        let mut body = json!({
            "messages": [{"role": "user", "content": ""}],
            "model": model,
            "max_completion_tokens": output_tokens,
        });
        if streaming {
            body["stream"] = json!(true);
            body["stream_options"] = json!({"include_usage": true});
        }
        let mut bytes = body.to_string().into_bytes();
        let least = bytes.len() + NUMBER + WORD.len();
        // A model's name cannot imitate this: its quotes are escaped.
        let prompt = memchr::memmem::find(&bytes, PLACE.as_bytes()).map(|at| at + PLACE.len());
        let Some(prompt) = prompt.filter(|_| size >= least) else {
            return Err(BodyTooSmall { least, asked: size });
        };
        let filling = WORD.iter().copied().cycle().take(size - bytes.len());
        bytes.splice(prompt..prompt, filling);
        Ok(Mold { bytes, prompt })
    }

    /// Body number `number`. The number comes first, so that no server finds the prompt in its prefix cache.
    pub(super) fn body(&self, number: u64) -> Bytes {
        let mut bytes = self.bytes.clone();
        let text = format!("{number:0NUMBER$x}");
        bytes[self.prompt..self.prompt + NUMBER].copy_from_slice(text.as_bytes());
        bytes[self.prompt + NUMBER] = b' ';
        Bytes::from(bytes)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn bodies_have_the_exact_size_and_differ_from_the_first_word_on() {
        for size in [300, 1_000, 200_000] {
            let mold = Mold::new("a \"content\":\" model", true, 8, size).unwrap();
            let (one, two) = (mold.body(1), mold.body(u64::MAX));
            assert_eq!((one.len(), two.len()), (size, size));
            let prompt = |body: &Bytes| {
                let value: Value = serde_json::from_slice(body).unwrap();
                assert_eq!(value["model"], "a \"content\":\" model");
                assert_eq!(value["stream"], true);
                value["messages"][0]["content"].as_str().unwrap().to_owned()
            };
            assert!(prompt(&one).starts_with("0000000000000001 "), "{}", prompt(&one));
            assert!(prompt(&two).starts_with("ffffffffffffffff "));
        }
    }

    #[test]
    fn a_size_that_holds_no_request_is_refused() {
        let error = Mold::new("m", false, 8, 20).unwrap_err();
        assert!(error.to_string().contains("not 20"), "{error}");
        assert_eq!(Mold::new("m", false, 8, error.least).unwrap().body(7).len(), error.least);
    }
}
