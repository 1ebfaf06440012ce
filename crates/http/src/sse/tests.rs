use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proptest::prelude::*;
use serde::Deserialize;
use tokmeter_record::MonoNs;

use super::{EventTooLarge, Parser, events};
use crate::exchange::StampedBody;

/// An event without its borrows.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Owned {
    name: String,
    data: String,
    id: String,
    at: MonoNs,
    coalesced: bool,
    incomplete: bool,
}

impl Owned {
    fn of(event: &super::Event<'_>) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Owned {
            name: text(event.event_type()),
            data: text(&event.data),
            id: text(event.id),
            at: event.at,
            coalesced: event.coalesced,
            incomplete: event.incomplete,
        }
    }
}

#[derive(Deserialize)]
struct Expected {
    events: Vec<ExpectedEvent>,
    incomplete: Option<ExpectedEvent>,
    retry_ms: Option<u64>,
    comments: u64,
}

#[derive(Deserialize)]
struct ExpectedEvent {
    #[serde(rename = "type")]
    name: String,
    data: String,
    id: String,
}

type Vector = (PathBuf, Vec<u8>, Expected);

static VECTORS: LazyLock<Vec<Vector>> = LazyLock::new(read_vectors);

fn read_vectors() -> Vec<Vector> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/vectors");
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "sse"))
        .map(|path| {
            let json = std::fs::read(path.with_extension("json")).unwrap();
            let expected = serde_json::from_slice(&json).unwrap();
            (path.clone(), std::fs::read(&path).unwrap(), expected)
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// Cuts `bytes` at ascending offsets; piece `i` arrives at instant `i + 1`.
fn pieces<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<(&'a [u8], MonoNs)> {
    let mut start = 0;
    let ends = cuts.iter().copied().chain([bytes.len()]);
    ends.enumerate()
        .map(|(i, end)| {
            let piece = &bytes[start..end];
            start = end;
            (piece, MonoNs(i as u64 + 1))
        })
        .collect()
}

fn pushed(pieces: &[(&[u8], MonoNs)], limit: usize) -> Result<(Vec<Owned>, Option<u64>, u64), EventTooLarge> {
    let mut parser = Parser::new(limit);
    let mut out = Vec::new();
    let mut sink = |event: super::Event<'_>| out.push(Owned::of(&event));
    for (bytes, at) in pieces {
        parser.push(bytes, *at, &mut sink)?;
    }
    let (retry, comments) = (parser.retry_ms(), parser.comments());
    parser.finish(&mut sink)?;
    Ok((out, retry, comments))
}

fn walked(pieces: &[(&[u8], MonoNs)]) -> (Vec<Owned>, Option<u64>, u64) {
    let mut body = StampedBody::default();
    for (bytes, at) in pieces {
        body.append(bytes, *at);
    }
    let mut walk = events(&body);
    let out = walk.by_ref().map(|event| Owned::of(&event)).collect();
    (out, walk.retry_ms(), walk.comments())
}

/// Both readers agree on every field, stamps included; returns what they read.
fn both(pieces: &[(&[u8], MonoNs)]) -> (Vec<Owned>, Option<u64>, u64) {
    let walk = walked(pieces);
    assert_eq!(pushed(pieces, usize::MAX).unwrap(), walk);
    walk
}

fn assert_means(path: &Path, pieces: &[(&[u8], MonoNs)], expected: &Expected) {
    let (read, retry, comments) = both(pieces);
    let all = expected.events.iter().map(|e| (e, false)).chain(expected.incomplete.iter().map(|e| (e, true)));
    let want: Vec<_> = all.map(|(e, cut)| (e.name.as_str(), e.data.as_str(), e.id.as_str(), cut)).collect();
    let got: Vec<_> =
        read.iter().map(|e| (e.name.as_str(), e.data.as_str(), e.id.as_str(), e.incomplete)).collect();
    let cuts: Vec<_> = pieces.iter().map(|(bytes, _)| bytes.len()).collect();
    assert_eq!(got, want, "{} in pieces of {cuts:?}", path.display());
    assert_eq!(retry, expected.retry_ms, "{}", path.display());
    assert_eq!(comments, expected.comments, "{}", path.display());
}

#[test]
fn every_vector_means_what_it_says() {
    assert!(VECTORS.len() >= 60, "only {} vectors found", VECTORS.len());
    for (path, bytes, expected) in VECTORS.iter() {
        assert_means(path, &pieces(bytes, &[]), expected);
    }
}

#[test]
fn every_vector_split_at_every_byte_means_the_same() {
    for (path, bytes, expected) in VECTORS.iter() {
        for cut in 0..=bytes.len() {
            assert_means(path, &pieces(bytes, &[cut]), expected);
        }
        let all: Vec<usize> = (1..bytes.len().max(1)).collect();
        assert_means(path, &pieces(bytes, &all), expected);
        if bytes.len() <= 120 {
            for first in 0..bytes.len() {
                for second in first..bytes.len() {
                    assert_means(path, &pieces(bytes, &[first, second]), expected);
                }
            }
        }
    }
}

#[test]
fn an_event_has_the_stamp_of_the_read_that_ended_its_blank_line() {
    // Stamp and whether coalesced.
    type Stamped = (u64, bool);
    let cases: [(&[&str], &[Stamped]); 7] = [
        (&["data: a\n\n"], &[(1, false)]),
        (&["data: a\n", "\n"], &[(2, false)]),
        (&["da", "ta: a\n", "\ndata: b", "\n\ndata: c\n\n"], &[(3, false), (4, false), (4, true)]),
        (&["data: a\n\ndata: b\n\ndata: c\n\n"], &[(1, false), (1, true), (1, true)]),
        // The blank line ends with its CR; the LF that follows belongs to it and may come later.
        (&["data: a\r\n\r", "\ndata: b\r\n\r\n"], &[(1, false), (2, false)]),
        (&["data: a\r\n", "\r\n"], &[(2, false)]),
        // An incomplete event has the stamp of the last read.
        (&["data: a\n\n", "data: b", "\n"], &[(1, false), (3, false)]),
    ];
    for (texts, want) in cases {
        let stamped: Vec<_> =
            texts.iter().enumerate().map(|(i, t)| (t.as_bytes(), MonoNs(i as u64 + 1))).collect();
        let (read, ..) = both(&stamped);
        let got: Vec<_> = read.iter().map(|e| (e.at.0, e.coalesced)).collect();
        assert_eq!(got, *want, "{texts:?}");
    }
}

#[test]
fn single_line_data_borrows_from_the_body() {
    let mut body = StampedBody::default();
    body.append(b"data: one\n\ndata: two\ndata: lines\n\n", MonoNs(1));
    let borrowed: Vec<bool> =
        events(&body).map(|e| matches!(e.data, std::borrow::Cow::Borrowed(_))).collect();
    assert_eq!(borrowed, [true, false]);
}

#[test]
fn fields_are_the_type_if_any_and_the_data() {
    let mut body = StampedBody::default();
    body.append(b"data: 1\n\ndata: a\ndata: b\xFF\nevent: add\n\n", MonoNs(1));
    let fields: Vec<Vec<_>> = events(&body)
        .map(|event| event.fields().map(|(name, value)| (name, value.into_owned())).collect())
        .collect();
    let pair = |name, value: &str| (name, value.to_owned());
    assert_eq!(fields, [vec![pair("data", "1")], vec![pair("event", "add"), pair("data", "a\nb\u{FFFD}")]]);
}

#[test]
fn an_event_over_the_limit_is_refused_however_it_arrives() {
    let stream = format!("data: ok\n\ndata: {}\n\ndata: never\n\n", "x".repeat(100));
    for step in [1, 7, 50, stream.len()] {
        let cuts: Vec<usize> = (1..stream.len()).filter(|i| i % step == 0).collect();
        let mut parser = Parser::new(64);
        let mut read = Vec::new();
        let outcome = pieces(stream.as_bytes(), &cuts).into_iter().try_for_each(|(bytes, at)| {
            parser.push(bytes, at, &mut |event| read.push(Owned::of(&event).data))
        });
        assert_eq!(outcome, Err(EventTooLarge { limit: 64 }), "step {step}");
        assert_eq!(read, ["ok"], "step {step}");
        assert!(parser.push(b"data: more\n\n", MonoNs(9), &mut |_| panic!("read on")).is_err());
    }
}

#[test]
fn an_endless_row_of_pings_is_not_kept() {
    let mut parser = Parser::new(16);
    for i in 0..10_000 {
        parser.push(b": ping\n", MonoNs(i), &mut |_| panic!("no event here")).unwrap();
    }
    assert_eq!(parser.comments(), 10_000);
}

#[test]
fn a_body_without_stamps_is_read_without_panic() {
    let body = StampedBody { bytes: b"data: a\n\n".to_vec(), chunks: Vec::new() };
    let read: Vec<_> = events(&body).map(|e| e.at).collect();
    assert_eq!(read, [MonoNs(0)]);
}

/// What streams are made of, and what trips parsers up.
const PIECES: &[&[u8]] = &[
    b"data:",
    b"data: ",
    b"event: x",
    b"id: 1",
    b"id: \x00",
    b"retry: 5",
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b":",
    b" ",
    b"\xEF",
    b"\xEF\xBB\xBF",
    b"\xF0\x9F\x98\x80",
    b"{\"a\":1}",
];

proptest! {
    #[test]
    fn any_split_of_any_vector_gives_the_same_events(
        pick in any::<prop::sample::Index>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let (path, bytes, expected) = &VECTORS[pick.index(VECTORS.len())];
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        assert_means(path, &pieces(bytes, &cuts), expected);
    }

    #[test]
    fn any_bytes_in_any_pieces_are_read_alike(
        tokens in prop::collection::vec(prop::sample::select(PIECES), 0..40),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
    ) {
        let bytes = tokens.concat();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        let meaning = |read: Vec<Owned>| -> Vec<_> {
            read.into_iter().map(|e| (e.name, e.data, e.id, e.incomplete)).collect()
        };
        let whole = both(&pieces(&bytes, &[]));
        let split = both(&pieces(&bytes, &cuts));
        prop_assert_eq!(meaning(whole.0), meaning(split.0));
        prop_assert_eq!((whole.1, whole.2), (split.1, split.2));
    }
}
