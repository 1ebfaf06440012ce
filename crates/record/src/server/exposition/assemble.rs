//! From lines to families.

use std::borrow::Cow;
use std::collections::HashMap;
use std::marker::PhantomData;

use memchr::memchr_iter;

use super::label::is_bare_name;
use super::line::{Comment, RawSample, comment, sample};
use super::problem::{Fault, Limits, NotExposition};
use super::{Family, FamilyKind, Label, Media, Page, Part, Sample};

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Suffixes a sample name may have beyond its family's name.
const SUFFIXES: [&str; 8] = ["_bucket", "_sum", "_count", "_total", "_created", "_info", "_gsum", "_gcount"];

/// Parses a page; see [`Page::parse`].
pub(super) fn page<'a>(body: &'a [u8], media: Media, limits: &Limits) -> Result<Page<'a>, NotExposition> {
    let body = body.strip_prefix(BOM).unwrap_or(body);
    match body.iter().find(|b| !b.is_ascii_whitespace()) {
        Some(b'[') => return Err(NotExposition::Json),
        Some(b'<') => return Err(NotExposition::Markup),
        _ => {}
    }
    let mut assembly = Assembly {
        page: Page::default(),
        by_name: HashMap::new(),
        current: None,
        expected: "",
        contiguous: true,
        metadata: 0,
        unreadable: 0,
        media,
        limits,
    };
    // A guess that saves most of the growing: usual lines are longer than 80 bytes and have three labels.
    assembly.page.samples.reserve((body.len() / 80).min(limits.samples));
    assembly.page.labels.reserve((body.len() / 40).min(limits.samples));
    // One pass checks the whole page; only a page with a bad byte is checked line by line.
    let text = std::str::from_utf8(body).ok();
    let mut start = 0;
    let mut number = 0;
    for end in memchr_iter(b'\n', body).chain(std::iter::once(body.len())) {
        number += 1;
        let bytes = &body[start..end];
        let line = match text {
            Some(text) => Ok(&text[start..end]),
            None => std::str::from_utf8(bytes),
        };
        start = end + 1;
        let outcome = match line {
            _ if bytes.len() > limits.line_bytes => Err(Fault::LineTooLong),
            Ok(line) => assembly.line(line.strip_suffix('\r').unwrap_or(line), number),
            Err(_) => Err(Fault::NotUtf8),
        };
        match outcome {
            Ok(true) => {}
            Ok(false) => break,
            Err(fault) => {
                assembly.unreadable += u64::from(!fault.is_limit() || fault == Fault::LineTooLong);
                assembly.page.problems.add(limits, number, fault, bytes);
            }
        }
    }
    assembly.finish(body)
}

struct Assembly<'a, 'l> {
    page: Page<'a>,
    by_name: HashMap<Cow<'a, str>, u32>,
    current: Option<u32>,
    /// Its name, when that may begin a line without quotes.
    expected: &'a str,
    /// Whether every family's samples are next to each other so far.
    contiguous: bool,
    /// Well-formed HELP, TYPE and UNIT lines.
    metadata: u64,
    /// Lines that are no exposition; lines beyond a limit may well be.
    unreadable: u64,
    media: Media,
    limits: &'l Limits,
}

impl<'a> Assembly<'a, '_> {
    /// Reads one line; false ends the page.
    fn line(&mut self, line: &'a str, number: u32) -> Result<bool, Fault> {
        match line.bytes().find(|b| !matches!(b, b' ' | b'\t' | b'\r')) {
            None => {}
            Some(b'#') => return self.comment(line),
            Some(_) => {
                let arena = self.page.labels.len();
                let read =
                    sample(line, self.expected, number, self.media, self.limits, &mut self.page.labels)
                        .and_then(|raw| self.sample(raw, arena, number));
                if let Err(fault) = read {
                    self.page.labels.truncate(arena);
                    return Err(fault);
                }
            }
        }
        Ok(true)
    }

    fn comment(&mut self, line: &'a str) -> Result<bool, Fault> {
        match comment(line, self.media)? {
            Comment::End => return Ok(false),
            Comment::Plain => return Ok(true),
            Comment::Help(name, text) => {
                let family = self.family(name)?;
                let family = &mut self.page.families[family as usize];
                // An exporter that merges pages repeats HELP: the last text wins, an empty one never does.
                if family.help.is_none() || !text.is_empty() {
                    family.help = Some(text);
                }
            }
            Comment::Unit(name, unit) => {
                let family = self.family(name)?;
                if !unit.is_empty() {
                    self.page.families[family as usize].unit = Some(Cow::Borrowed(unit));
                }
            }
            Comment::Type(name, kind) => {
                let kind = FamilyKind::from_name(kind).ok_or(Fault::Metadata)?;
                let family = self.family(name)?;
                let family = &mut self.page.families[family as usize];
                let plain =
                    !matches!(kind, FamilyKind::Histogram | FamilyKind::GaugeHistogram | FamilyKind::Summary);
                if family.typed && family.kind != kind || !family.samples.is_empty() && !plain {
                    return Err(Fault::TypeTwice);
                }
                family.kind = kind;
                family.typed = true;
            }
        }
        self.metadata += 1;
        Ok(true)
    }

    /// The family of a name, made when new; it becomes the current one.
    fn family(&mut self, name: Cow<'a, str>) -> Result<u32, Fault> {
        if let Some(current) = self.current
            && self.page.families[current as usize].declared == name
        {
            return Ok(current);
        }
        let index = match self.by_name.get(&*name) {
            Some(&index) => index,
            None => {
                if self.page.families.len() >= self.limits.families {
                    return Err(Fault::TooManyFamilies);
                }
                let index = self.page.families.len() as u32;
                self.page.families.push(Family {
                    name: name.clone(),
                    declared: name.clone(),
                    kind: FamilyKind::Unknown,
                    typed: false,
                    help: None,
                    unit: None,
                    samples: 0..0,
                });
                self.by_name.insert(name, index);
                index
            }
        };
        self.turn_to(index);
        Ok(index)
    }

    fn turn_to(&mut self, index: u32) {
        self.current = Some(index);
        self.expected = match self.page.families[index as usize].declared {
            Cow::Borrowed(name) if is_bare_name(name) => name,
            _ => "",
        };
    }

    /// The family and role of a sample name: the family at hand, else the exact name, else a known family
    /// whose type allows the suffix, else a new family of unknown type.
    fn resolve(&mut self, name: Cow<'a, str>) -> Result<(u32, Part), Fault> {
        if let Some(current) = self.current
            && let Some(part) = part_of(&self.page.families[current as usize], &name)
        {
            return Ok((current, part));
        }
        if let Some(&index) = self.by_name.get(&*name) {
            let part = part_of(&self.page.families[index as usize], &name).ok_or(Fault::WrongPart)?;
            self.turn_to(index);
            return Ok((index, part));
        }
        for suffix in SUFFIXES {
            if let Some(base) = name.strip_suffix(suffix)
                && let Some(&index) = self.by_name.get(base)
                && let Some(part) = part_of(&self.page.families[index as usize], &name)
            {
                self.turn_to(index);
                return Ok((index, part));
            }
        }
        Ok((self.family(name)?, Part::Value))
    }

    fn sample(&mut self, raw: RawSample<'a>, arena: usize, line: u32) -> Result<(), Fault> {
        if self.page.samples.len() >= self.limits.samples {
            return Err(Fault::TooManySamples);
        }
        let (family, part) = self.resolve(raw.name)?;
        let label_count = edge_last(&mut self.page.labels[arena..], part)?;
        let entry = &mut self.page.families[family as usize];
        if self.page.samples.last().is_some_and(|last| last.family != family) && !entry.samples.is_empty() {
            self.contiguous = false;
        }
        // Until the samples are in their final order this range only counts.
        entry.samples.end += 1;
        if let Some(exemplar) = raw.exemplar {
            self.page.exemplars.push(exemplar);
        }
        self.page.samples.push(Sample {
            part,
            value: raw.value,
            timestamp_ns: raw.timestamp_ns,
            line,
            family,
            labels: arena as u32,
            label_count,
            page: PhantomData,
        });
        Ok(())
    }

    fn finish(mut self, body: &[u8]) -> Result<Page<'a>, NotExposition> {
        let page = &mut self.page;
        if let Some(first) = page.problems.kept.first()
            && self.metadata == 0
            && self.unreadable > page.samples.len() as u64
        {
            let json = body.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{');
            return Err(if json && page.samples.is_empty() {
                NotExposition::Json
            } else {
                NotExposition::Garbage(first.clone())
            });
        }
        if !self.contiguous {
            page.samples.sort_by_key(|sample| sample.family);
        }
        // Families are in the order of their first mention, samples perhaps not: place each range by its
        // first sample.
        let mut at = 0;
        while at < page.samples.len() {
            let family = &mut page.families[page.samples[at].family as usize];
            let count = family.samples.len();
            family.samples = at as u32..(at + count) as u32;
            at += count;
        }
        for family in &mut page.families {
            if family.kind == FamilyKind::Counter
                && let Some(base) = family.declared.strip_suffix("_total")
                && !base.is_empty()
            {
                let end = base.len();
                family.name = match &family.declared {
                    Cow::Borrowed(declared) => {
                        let declared: &'a str = declared;
                        Cow::Borrowed(&declared[..end])
                    }
                    Cow::Owned(declared) => Cow::Owned(declared[..end].to_owned()),
                };
            }
        }
        Ok(self.page)
    }
}

/// What a sample of this name would be in this family, if its type allows it.
fn part_of(family: &Family<'_>, name: &str) -> Option<Part> {
    let suffix = name.strip_prefix(&*family.declared)?;
    let part = match (family.kind, suffix) {
        (FamilyKind::Histogram | FamilyKind::GaugeHistogram, "") => return None,
        (FamilyKind::Summary, "") => Part::Quantile,
        (_, "") => Part::Value,
        (FamilyKind::Counter, "_total") | (FamilyKind::Info, "_info") => Part::Value,
        (FamilyKind::Histogram | FamilyKind::GaugeHistogram, "_bucket") => Part::Bucket,
        (FamilyKind::Histogram | FamilyKind::Summary, "_sum") => Part::Sum,
        (FamilyKind::Histogram | FamilyKind::Summary, "_count") => Part::Count,
        (FamilyKind::GaugeHistogram, "_gsum") => Part::Sum,
        (FamilyKind::GaugeHistogram, "_gcount") => Part::Count,
        (FamilyKind::Counter | FamilyKind::Histogram | FamilyKind::Summary, "_created") => Part::Created,
        _ => return None,
    };
    Some(part)
}

/// Moves the `le` or `quantile` of a part that has one behind the other labels; gives their number.
fn edge_last(labels: &mut [Label<'_>], part: Part) -> Result<u16, Fault> {
    let edge = match part {
        Part::Bucket => "le",
        Part::Quantile => "quantile",
        _ => return u16::try_from(labels.len()).map_err(|_| Fault::TooManyLabels),
    };
    let at = labels.iter().position(|label| label.name == edge).ok_or(Fault::NoEdge)?;
    labels[at..].rotate_left(1);
    u16::try_from(labels.len() - 1).map_err(|_| Fault::TooManyLabels)
}
