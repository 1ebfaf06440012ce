//! HTTP/2 by prior knowledge (placeholder for the first build).

use super::Connection;

/// Serves the rest of a connection that began with the HTTP/2 preface.
pub(super) async fn serve(connection: Connection) {
    drop(connection);
}
