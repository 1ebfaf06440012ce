//! A place in a text of compact JSON. Every step gives `None` at what it does not expect, and then the cursor is of
//! no further use.

use super::order::Order;

/// Objects and lists within each other that are skipped at most.
const DEPTH: u32 = 16;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// Powers of ten up to what eight digits hold.
const TENS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Cursor { text, at: 0 }
    }

    /// Nothing is left.
    pub(super) fn end(&self) -> Option<()> {
        (self.at == self.text.len()).then_some(())
    }

    /// Exactly this comes next.
    #[inline]
    pub(super) fn literal(&mut self, expected: &str) -> Option<()> {
        let rest = self.text.as_bytes().get(self.at..)?;
        rest.starts_with(expected.as_bytes()).then(|| self.at += expected.len())
    }

    /// An object; `field` is given each key and reads its value.
    #[inline]
    pub(super) fn object(&mut self, mut field: impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        self.items("{", "}", |cursor| {
            let key = cursor.string()?;
            cursor.literal(":")?;
            field(cursor, key)
        })
    }

    /// An object whose keys mostly come in an order; `field` is given what a key means and reads its value.
    #[inline]
    pub(super) fn object_in_order<F: Copy>(
        &mut self,
        order: &mut Order<F>,
        meaning: impl Fn(&str) -> F,
        mut field: impl FnMut(&mut Self, F) -> Option<()>,
    ) -> Option<()> {
        let mut place = 0;
        self.items("{", "}", |cursor| {
            let meant = order.next_key(cursor, &mut place, &meaning)?;
            field(cursor, meant)
        })
    }

    /// A list; `item` reads each of its items.
    #[inline]
    pub(super) fn array(&mut self, item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.items("[", "]", item)
    }

    #[inline]
    fn items(
        &mut self,
        open: &str,
        close: &str,
        mut item: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        self.literal(open)?;
        if self.literal(close).is_some() {
            return Some(());
        }
        loop {
            item(self)?;
            if self.literal(",").is_none() {
                return self.literal(close);
            }
        }
    }

    /// A string without escapes.
    #[inline]
    pub(super) fn string(&mut self) -> Option<&'a str> {
        self.literal("\"")?;
        let start = self.at;
        let mut at = start;
        // Eight bytes at a time to the first quote, backslash or control character.
        let stop = loop {
            let Some(word) = self.word(at) else { break self.stop_bytewise(at)? };
            let stops = zero_bytes(word ^ (ONES * u64::from(b'"')))
                | zero_bytes(word ^ (ONES * u64::from(b'\\')))
                | (word.wrapping_sub(ONES * 0x20) & !word & HIGHS);
            if stops != 0 {
                break at + (stops.trailing_zeros() / 8) as usize;
            }
            at += 8;
        };
        if self.text.as_bytes()[stop] != b'"' {
            return None;
        }
        self.at = stop + 1;
        self.text.get(start..stop)
    }

    fn stop_bytewise(&self, from: usize) -> Option<usize> {
        let rest = self.text.as_bytes().get(from..)?;
        rest.iter().position(|&byte| matches!(byte, b'"' | b'\\' | 0..0x20)).map(|offset| from + offset)
    }

    /// A whole number without sign, fraction or exponent.
    #[inline]
    pub(super) fn whole(&mut self) -> Option<u64> {
        let start = self.at;
        let mut value = 0u64;
        loop {
            let (word, count) = self.digits();
            value = value.checked_mul(TENS[count])?.checked_add(number_of(word, count))?;
            if count < 8 {
                self.at += count;
                break;
            }
            // By a constant, so that a processor that guesses right need not wait for the count.
            self.at += 8;
        }
        self.well_begun(start)?;
        match self.text.as_bytes().get(self.at) {
            Some(b'.' | b'e' | b'E') => None,
            _ => Some(value),
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self) -> Option<bool> {
        match self.literal("true") {
            Some(()) => Some(true),
            None => self.literal("false").map(|()| false),
        }
    }

    /// What `read` passes over, as it stands in the text; the cursor stays where it was if `read` gives up.
    pub(super) fn attempt(&mut self, read: impl FnOnce(&mut Self) -> Option<()>) -> Option<&'a str> {
        let start = self.at;
        if read(self).is_none() {
            self.at = start;
            return None;
        }
        self.text.get(start..self.at)
    }

    /// Any value, as it stands in the text.
    pub(super) fn raw(&mut self) -> Option<&'a str> {
        self.attempt(Self::skip)
    }

    /// Passes over any value.
    #[inline]
    pub(super) fn skip(&mut self) -> Option<()> {
        self.skip_within(DEPTH)
    }

    fn skip_within(&mut self, depth: u32) -> Option<()> {
        match self.text.as_bytes().get(self.at)? {
            b'"' => self.string().map(drop),
            b'{' => {
                let depth = depth.checked_sub(1)?;
                self.object(|cursor, _| cursor.skip_within(depth))
            }
            b'[' => {
                let depth = depth.checked_sub(1)?;
                self.array(|cursor| cursor.skip_within(depth))
            }
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            _ => self.number().map(drop),
        }
    }

    /// Any number, as it stands in the text.
    pub(super) fn number(&mut self) -> Option<&'a str> {
        let start = self.at;
        // A sign is no digit that could lead: what follows it is judged.
        let _ = self.literal("-");
        let first = self.at;
        self.skip_digits();
        self.well_begun(first)?;
        if self.literal(".").is_some() {
            self.some_digits()?;
        }
        if self.literal("e").or_else(|| self.literal("E")).is_some() {
            let _ = self.literal("-").or_else(|| self.literal("+"));
            self.some_digits()?;
        }
        self.text.get(start..self.at)
    }

    /// The digits from `start` are at least one, and no needless zero leads them.
    #[inline]
    fn well_begun(&self, start: usize) -> Option<()> {
        let digits = self.at - start;
        (digits == 1 || (digits > 1 && self.text.as_bytes()[start] != b'0')).then_some(())
    }

    fn some_digits(&mut self) -> Option<()> {
        let start = self.at;
        self.skip_digits();
        (self.at > start).then_some(())
    }

    #[inline]
    fn skip_digits(&mut self) {
        loop {
            let (_, count) = self.digits();
            if count < 8 {
                self.at += count;
                return;
            }
            self.at += 8;
        }
    }

    /// The next eight bytes and how many digits they begin with.
    #[inline]
    fn digits(&self) -> (u64, usize) {
        let word = self.word(self.at).unwrap_or_else(|| self.last_word());
        let digits = word ^ ZEROS;
        // What is above nine carries into its high half; a carry out of a byte marks only bytes behind it.
        let others = (digits | digits.wrapping_add(ONES * 6)) & (ONES * 0xF0);
        (word, (others.trailing_zeros() / 8) as usize)
    }

    /// The last bytes of the text, and nothing behind them.
    #[cold]
    fn last_word(&self) -> u64 {
        let mut bytes = [0; 8];
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        bytes[..rest.len()].copy_from_slice(rest);
        u64::from_le_bytes(bytes)
    }

    /// The next eight bytes, the first in the lowest place.
    #[inline]
    fn word(&self, at: usize) -> Option<u64> {
        let bytes = self.text.as_bytes().get(at..at + 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }
}

/// The high bit of every byte that is zero; bytes above the lowest such byte may be marked wrongly.
#[inline]
fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

/// The number that the first `count` of eight bytes write, which are digits.
#[inline]
fn number_of(word: u64, count: usize) -> u64 {
    // The digits move to the high end, behind zeros.
    let digits = match count {
        0 => return 0,
        _ => (word ^ ZEROS) << (64 - 8 * count),
    };
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8) & 0x00FF_00FF_00FF_00FF;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_FFFF_0000_FFFF;
    fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xFFFF_FFFF
}
