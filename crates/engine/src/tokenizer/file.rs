//! A Hugging Face `tokenizer.json` from the local disk.

use std::path::{Path, PathBuf};

use super::TokenizerError;

/// A tokenizer read from a `tokenizer.json`.
pub struct FileTokenizer {
    path: PathBuf,
    inner: tokenizers::Tokenizer,
}

impl FileTokenizer {
    /// Reads and parses the file. Truncation and padding that it may ask for are switched off: a count is
    /// of the whole text.
    ///
    /// # Errors
    /// The file cannot be read, or is not a tokenizer.
    pub fn open(path: &Path) -> Result<Self, TokenizerError> {
        let invalid = |reason: String| TokenizerError::Invalid { path: path.to_owned(), reason };
        let bytes =
            std::fs::read(path).map_err(|source| TokenizerError::Read { path: path.to_owned(), source })?;
        let mut inner = tokenizers::Tokenizer::from_bytes(bytes).map_err(|e| invalid(e.to_string()))?;
        inner.with_truncation(None).map_err(|e| invalid(e.to_string()))?;
        inner.with_padding(None);
        // A tokenizer can parse and still refuse to encode (a missing unknown token): find out now.
        inner.encode_fast("Hello, world", false).map_err(|e| invalid(e.to_string()))?;
        Ok(Self { path: path.to_owned(), inner })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Tokens of `text`, no special tokens added. A text that the tokenizer refuses counts 0.
    #[must_use]
    pub fn count(&self, text: &str) -> usize {
        self.inner.encode_fast(text, false).map_or(0, |encoding| encoding.len())
    }

    /// Token ids of `text`, no special tokens added. Empty for a text that the tokenizer refuses.
    #[must_use]
    pub fn encode(&self, text: &str) -> Vec<u32> {
        self.inner
            .encode_fast(text, false)
            .map_or_else(|_| Vec::new(), |encoding| encoding.get_ids().to_vec())
    }
}

impl std::fmt::Debug for FileTokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileTokenizer").field("path", &self.path).finish_non_exhaustive()
    }
}
