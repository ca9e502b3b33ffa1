//! What rules matched of late in a direction, so that what stays in the window is not matched again.

use portcullis_flow::portable::Reader;

/// Most of them that are remembered.
const REMEMBERED: usize = 3;

/// Rules that matched, and how far they were asked about then (the lower half of the offset); those that
/// matched last, first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Matches([(u32, u32); REMEMBERED]);

impl Matches {
    /// From where in a window the rule is to be asked, so that what it matched before is not matched again:
    /// an index into the window's bytes. `offset` and `new_from` are the [window](crate::Window)'s.
    #[must_use]
    pub fn ask_from(&self, rule: u32, offset: u64, new_from: usize) -> usize {
        let found = self.0.iter().find(|(other, _)| *other == rule.wrapping_add(1));
        let Some((_, end)) = found else { return 0 };
        #[expect(clippy::cast_possible_truncation, reason = "the lower half was kept")]
        let until = end.wrapping_sub(offset as u32) as usize;
        // What is new before it was not asked about yet.
        if until <= new_from { until } else { 0 }
    }

    /// Appends them as [`read`](Self::read) reads them, each with the name that `rule` has for it.
    pub(super) fn tell(&self, rule: &dyn Fn(u32) -> u64, out: &mut Vec<u8>) {
        for (number, end) in self.0 {
            let name = number.checked_sub(1).map_or(0, rule);
            out.extend_from_slice(&number.to_le_bytes());
            out.extend_from_slice(&end.to_le_bytes());
            out.extend_from_slice(&name.to_le_bytes());
        }
    }

    /// Takes them from bytes, less those of rules that have another name here.
    pub(super) fn read(&mut self, rule: &dyn Fn(u32) -> u64, reader: &mut Reader<'_>) -> Option<()> {
        for place in &mut self.0 {
            let (number, end, name) = (reader.u32()?, reader.u32()?, reader.u64()?);
            if number.checked_sub(1).is_some_and(|number| rule(number) == name) {
                *place = (number, end);
            }
        }
        Some(())
    }

    pub(super) fn note(&mut self, rule: u32, end: u64) {
        #[expect(clippy::cast_possible_truncation, reason = "the lower half tells windows apart")]
        let entry = (rule.wrapping_add(1), end as u32);
        let known = self.0.iter().position(|(other, _)| *other == entry.0);
        if let Some(until) = self.0.get_mut(..=known.unwrap_or(REMEMBERED - 1)) {
            until.rotate_right(1);
        }
        self.0[0] = entry;
    }
}
