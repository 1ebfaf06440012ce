//! Counting tokens: the built-in vocabulary or a local `tokenizer.json`.
//!
//! Nothing here opens a network connection. A [`Tokenizer`] is shared by reference between the dataset
//! and the decode threads; counting takes milliseconds for long texts and never belongs on a shard.

mod builtin;
mod file;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use file::FileTokenizer;

/// Why `--tokenizer` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// A model name (`owner/model`) or a path that is not there.
    #[error(
        "tokenizer `{0}` is not a local file or directory, and tokmeter downloads nothing: give the path of a \
         `tokenizer.json` (or of the model directory that holds one), `--tokenizer builtin`, or \
         `--use-server-token-count`"
    )]
    NotLocal(String),
    /// A directory without `tokenizer.json`.
    #[error(
        "directory `{}` holds no `tokenizer.json`: give the directory of a model that ships one, or \
         `--tokenizer builtin`", .0.display()
    )]
    NoTokenizerJson(PathBuf),
    /// The file cannot be read.
    #[error("cannot read tokenizer `{}`: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not a tokenizer this build understands.
    #[error("`{}` is not a usable tokenizer.json: {reason}", .path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        reason: String,
    },
}

/// Counts tokens (`--tokenizer`).
#[derive(Clone, Debug, Default)]
pub enum Tokenizer {
    /// `o200k_base`, embedded. Its table is decoded at the first count, which takes some 100 ms once.
    #[default]
    Builtin,
    /// A Hugging Face `tokenizer.json`.
    File(Arc<FileTokenizer>),
}

impl Tokenizer {
    /// Opens what `--tokenizer` names: `builtin`, a `tokenizer.json`, or a directory that holds one.
    ///
    /// # Errors
    /// A name that is no local path, a directory without `tokenizer.json`, a file that cannot be read or parsed.
    pub fn open(value: &str) -> Result<Self, TokenizerError> {
        if value.eq_ignore_ascii_case("builtin") {
            return Ok(Self::Builtin);
        }
        let given = Path::new(value);
        let path = if given.is_dir() {
            let inside = given.join("tokenizer.json");
            if !inside.is_file() {
                return Err(TokenizerError::NoTokenizerJson(given.to_owned()));
            }
            inside
        } else if given.exists() {
            given.to_owned()
        } else {
            return Err(TokenizerError::NotLocal(value.to_owned()));
        };
        Ok(Self::File(Arc::new(FileTokenizer::open(&path)?)))
    }

    /// Tokens of `text`, no special tokens around it.
    #[must_use]
    pub fn count(&self, text: &str) -> usize {
        match self {
            Self::Builtin => builtin::count(text),
            Self::File(file) => file.count(text),
        }
    }

    /// Token ids of `text`, no special tokens around it.
    #[must_use]
    pub fn encode(&self, text: &str) -> Vec<u32> {
        match self {
            Self::Builtin => builtin::encode(text),
            Self::File(file) => file.encode(text),
        }
    }
}

/// `builtin (o200k_base)`, or the path of the file.
impl fmt::Display for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin => f.write_str("builtin (o200k_base)"),
            Self::File(file) => write!(f, "{}", file.path().display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> String {
        format!("{}/../../tests/fixtures/tokenizer{name}", env!("CARGO_MANIFEST_DIR"))
    }

    #[test]
    fn builtin_counts_as_o200k() {
        let tokenizer = Tokenizer::open("builtin").expect("builtin");
        assert_eq!(tokenizer.count("Hello world"), 2);
        assert_eq!(tokenizer.count(""), 0);
        // Ids of OpenAI's o200k_base for this text.
        assert_eq!(tokenizer.encode("hello world"), [24912, 2375]);
    }

    #[test]
    fn a_file_or_its_directory_opens() {
        for name in ["", "/tokenizer.json"] {
            let tokenizer = Tokenizer::open(&fixture(name)).expect("fixture opens");
            assert!(tokenizer.to_string().ends_with("tokenizer.json"));
            let ids = tokenizer.encode("the server answers");
            assert_eq!(tokenizer.count("the server answers"), ids.len());
            assert!(ids.len() >= 3);
        }
    }

    #[test]
    fn what_is_not_there_is_named_with_its_fix() {
        let message = Tokenizer::open("meta-llama/Llama-3.1-8B").expect_err("no network").to_string();
        assert!(
            message.contains("`meta-llama/Llama-3.1-8B`") && message.contains("--tokenizer builtin"),
            "{message}"
        );
        let empty = tempfile::tempdir().expect("temp dir");
        let message = Tokenizer::open(empty.path().to_str().expect("utf-8")).expect_err("empty").to_string();
        assert!(message.contains("holds no `tokenizer.json`"), "{message}");
        let bad = empty.path().join("tokenizer.json");
        std::fs::write(&bad, "{\"model\": 3}").expect("write");
        let message = Tokenizer::open(bad.to_str().expect("utf-8")).expect_err("no tokenizer").to_string();
        assert!(message.contains("not a usable tokenizer.json"), "{message}");
    }

    #[test]
    fn tokenizers_cross_threads() {
        fn shared<T: Send + Sync + 'static>() {}
        shared::<Tokenizer>();
    }
}
