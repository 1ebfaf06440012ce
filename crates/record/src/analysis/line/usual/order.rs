//! The order of an object's keys. A writer keeps to one, and leaves out what a line does not have: so the next key is
//! compared with the one that is due, and looked for only if it is another.

use super::cursor::Cursor;

/// Keys beyond this many are more than any line of ours has.
const MAX_KEYS: usize = 512;

/// Keys in the order in which they come, each with what its value means.
#[derive(Clone, Debug)]
pub(super) struct Order<F> {
    /// As written: `"key":`.
    keys: Vec<(Box<str>, F)>,
}

impl<F> Default for Order<F> {
    fn default() -> Self {
        Order { keys: Vec::new() }
    }
}

impl<F: Copy> Order<F> {
    /// Reads the next key of an object whose keys before `place` are through. `None` for what is no key, or one that
    /// came before: the same key twice, or a new order, which is then learned with the next object.
    #[inline]
    pub(super) fn next_key(
        &mut self,
        cursor: &mut Cursor,
        place: &mut usize,
        meaning: impl Fn(&str) -> F,
    ) -> Option<F> {
        match self.keys.get(*place) {
            Some((key, field)) if cursor.literal(key).is_some() => {
                *place += 1;
                Some(*field)
            }
            _ => self.look_for_key(cursor, place, meaning),
        }
    }

    #[cold]
    fn look_for_key(
        &mut self,
        cursor: &mut Cursor,
        place: &mut usize,
        meaning: impl Fn(&str) -> F,
    ) -> Option<F> {
        let mut name = "";
        let key = cursor.attempt(|cursor| {
            name = cursor.string()?;
            cursor.literal(":")
        })?;
        let known = self.keys.iter().position(|(other, _)| **other == *key);
        if known.is_some_and(|known| known < *place) || self.keys.len() == MAX_KEYS {
            self.keys.clear();
            return None;
        }
        let at = known.unwrap_or(*place);
        if known.is_none() {
            self.keys.insert(at, (key.into(), meaning(name)));
        }
        *place = at + 1;
        Some(self.keys[at].1)
    }
}
