//! What rules matched of late in a direction, so that what stays in the window is not matched again.

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
