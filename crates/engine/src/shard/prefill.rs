//! Requests that wait for their first token hold a prefill slot (`--prefill-concurrency`).

use tokmeter_http::Client;
use tokmeter_http::exchange::{Exchange, Request, ResponseHead, StampedBody};

use crate::endpoint::{Decoder, ExchangeView};
use crate::slots::SlotPermit;

/// Reads of one answer that are searched for its first token. An answer that has none after so many keeps
/// its slot to its end: the cap holds, and a hostile stream cannot keep the shard busy.
const MOST_LOOKS: u32 = 1024;
/// Bytes before the first token that are searched, for the same reason.
const MOST_BYTES: usize = 1 << 18;

/// Sends a request that holds `slot` from now until its first token, or to its end when none comes.
///
/// The first token is what it is in the records: the decoder says so, shown the answer as far as it has come.
pub(super) async fn send(client: &Client, request: Request, slot: SlotPermit, decoder: &Decoder) -> Exchange {
    let mut slot = Some(slot);
    let mut looks = 0;
    let watch = |head: &ResponseHead, body: &StampedBody| {
        looks += 1;
        if has_token(decoder, head, body) {
            slot.take();
        }
        slot.is_some() && looks < MOST_LOOKS && body.bytes.len() < MOST_BYTES
    };
    // The slot outlives the watching: without a token it is given back when the exchange is over.
    client.send_watching(request, watch).await
}

fn has_token(decoder: &Decoder, head: &ResponseHead, body: &StampedBody) -> bool {
    let view = ExchangeView { status: head.status.as_u16(), headers: &head.headers, body, streaming: true };
    !decoder.decode(&view).deltas.is_empty()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::{HeaderMap, StatusCode, Version};
    use tokmeter_record::MonoNs;

    use super::*;
    use crate::endpoint::{Endpoint, EndpointType};

    #[test]
    fn only_content_is_a_first_token() {
        let decoder = Decoder::new(Arc::new(Endpoint::new(EndpointType::Chat)), false);
        let head =
            ResponseHead { status: StatusCode::OK, version: Version::HTTP_11, headers: HeaderMap::new() };
        let mut body = StampedBody::default();
        for (part, expected) in [
            (": ping\n\n", false),
            (
                "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
                false,
            ),
            ("data: {\"choices\":[{\"index\":0,\"del", false),
            ("ta\":{\"content\":\"Hi\"}}]}\n\n", true),
        ] {
            body.append(part.as_bytes(), MonoNs(1));
            assert_eq!(has_token(&decoder, &head, &body), expected, "{part}");
        }
    }
}
