//! Any bytes as an event stream: both readers agree, and no split changes what is read.
//!
//! The pieces are drawn from the bytes themselves, so that the conformance vectors serve as seeds unchanged:
//! `mkdir -p fuzz/corpus/sse && cargo +nightly fuzz run sse fuzz/corpus/sse conformance/vectors`

#![no_main]

use libfuzzer_sys::fuzz_target;
use tokmeter_http::exchange::StampedBody;
use tokmeter_http::sse::{self, Event, Parser};
use tokmeter_record::MonoNs;

/// An event without its borrows: data, type, id, stamp, coalesced, incomplete.
type Owned = (Vec<u8>, Vec<u8>, Vec<u8>, MonoNs, bool, bool);

fn owned(event: &Event<'_>) -> Owned {
    let Event { data, name, id, at, coalesced, incomplete } = event;
    (data.to_vec(), name.to_vec(), id.to_vec(), *at, *coalesced, *incomplete)
}

fn pushed(body: &StampedBody) -> Vec<Owned> {
    let (mut parser, mut read) = (Parser::new(usize::MAX), Vec::new());
    let mut sink = |event: Event<'_>| read.push(owned(&event));
    for (piece, at) in body.iter() {
        assert!(parser.push(piece, at, &mut sink).is_ok());
    }
    assert!(parser.finish(&mut sink).is_ok());
    read
}

fn meaning(read: &[Owned]) -> Vec<(&[u8], &[u8], &[u8], bool)> {
    read.iter().map(|(data, name, id, _, _, incomplete)| (&**data, &**name, &**id, *incomplete)).collect()
}

fuzz_target!(|bytes: &[u8]| {
    let mut whole = StampedBody::default();
    whole.append(bytes, MonoNs(1));

    let mut split = StampedBody::default();
    let mut seed = bytes.iter().fold(0x9E37_79B9_u32, |seed, byte| seed.rotate_left(5) ^ u32::from(*byte));
    let (mut rest, mut at) = (bytes, 1);
    while !rest.is_empty() {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (piece, later) = rest.split_at(rest.len().min(1 + (seed >> 28) as usize));
        split.append(piece, MonoNs(at));
        (rest, at) = (later, at + 1);
    }

    let reference: Vec<Owned> = sse::events(&whole).map(|event| owned(&event)).collect();
    let walked: Vec<Owned> = sse::events(&split).map(|event| owned(&event)).collect();
    assert_eq!(pushed(&whole), reference);
    assert_eq!(pushed(&split), walked);
    assert_eq!(meaning(&walked), meaning(&reference));
});
