//! Everything that is not inference: health, models, metrics.

use super::head::{Head, Method};
use super::{Connection, Gone, Next};
use crate::api::Api;
use crate::pages::{Page, page};

impl Connection {
    /// Answers a request that is not inference.
    pub(super) async fn page(&mut self, head: &Head, close: bool) -> Result<Next, Gone> {
        let next = if close { Next::Close } else { Next::KeepAlive };
        if !matches!(head.method, Method::Get | Method::Head) {
            let known = Api::of_path(&head.path).is_some();
            self.plain_error(if known { 405 } else { 404 }, close).await?;
            return Ok(next);
        }
        match page(&self.worker.shared, &head.path) {
            Page::Text { status, content_type, body } => {
                let body = if head.method == Method::Head { "" } else { &body };
                self.send_page(status, Some(content_type), body.as_bytes(), close).await?;
            }
            Page::Huge(blocks) => {
                let open =
                    "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\nconnection: close\r\n\r\n";
                self.write(open.as_bytes()).await?;
                for block in blocks {
                    self.write(block.as_bytes()).await?;
                }
                return Ok(Next::Close);
            }
            Page::Hang => {
                self.wait_gone().await;
                return Ok(Next::Close);
            }
        }
        Ok(next)
    }
}
