//! Fetching a page: what the collector needs of an HTTP client.

use std::future::Future;
use std::time::Duration;

use tokmeter_record::server::{FetchInstants, Media};

/// How a page is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Head only: is anyone there, and what would they send?
    Head,
    /// The page.
    Get,
}

/// What the collector accepts.
pub const ACCEPT: &str = "text/plain;version=0.0.4";

/// Bytes of the largest page that is read, unless another limit is set.
pub const MAX_PAGE_BYTES: usize = 32 << 20;

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Status code.
    pub status: u16,
    /// `Content-Type`, if there was one.
    pub content_type: Option<String>,
    /// The body; empty for HEAD, for answers other than 2xx, and for JSON, whose body is never read.
    pub body: Vec<u8>,
    /// When it was sent and received.
    pub instants: FetchInstants,
}

impl Fetched {
    /// What the content type says.
    pub fn media(&self) -> Media {
        self.content_type.as_deref().map(Media::from_content_type).unwrap_or_default()
    }

    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FetchError {
    /// What happened.
    pub message: String,
    /// Nobody is there: asking again in another way is of no use.
    pub unreachable: bool,
}

/// An HTTP client for pages. It stays on the collector's thread.
///
/// It sends [`ACCEPT`] and asks for no compression, follows no redirect, reads no page beyond its limit ([`MAX_PAGE_BYTES`]), and
/// reads no body when the content type is `application/json`.
pub trait Fetch: 'static {
    /// Asks for a page; gives up after `timeout`.
    fn fetch(
        &self,
        method: Method,
        url: &str,
        timeout: Duration,
    ) -> impl Future<Output = Result<Fetched, FetchError>>;
}
