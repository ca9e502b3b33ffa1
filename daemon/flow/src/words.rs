//! Columns whose size is known only at run time: so many 64-bit words beside each flow, for hooks whose
//! types this program does not know (a plugin's). Zero means that there is nothing to free.

use crate::flow::{Flow, STORED};
use crate::settings::SetupError;
use crate::storage::{Column, reserve};
use std::sync::Arc;

/// Names a column of words. From [`Registry::words`](crate::hooks::Registry::words).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WordsId(pub(crate) u8);

/// Told to free what the words of an ended flow stand for; not called where all of them are 0.
pub type FreeWords = Arc<dyn Fn(&mut [u64]) + Send + Sync>;

/// The words of all flows, by slot.
pub(crate) struct Words {
    all: Vec<u64>,
    /// Words of a flow; at least 1.
    each: usize,
    free: FreeWords,
}

impl Words {
    pub(crate) fn new(each: usize, free: FreeWords) -> Self {
        Self { all: Vec::new(), each: each.max(1), free }
    }

    fn of(&self, place: usize) -> Option<&[u64]> {
        let start = place.checked_mul(self.each)?;
        self.all.get(start..start + self.each)
    }

    fn of_mut(&mut self, place: usize) -> Option<&mut [u64]> {
        let start = place.checked_mul(self.each)?;
        self.all.get_mut(start..start + self.each)
    }
}

impl Column for Words {
    fn flow_bytes(&self) -> u64 {
        (self.each * size_of::<u64>()) as u64
    }

    fn reserve(&mut self, capacity: usize) -> Result<(), SetupError> {
        reserve(&mut self.all, capacity.saturating_mul(self.each))
    }

    fn open(&mut self, count: usize) {
        self.all.resize(self.all.len() + count * self.each, 0);
    }

    fn clear(&mut self, place: usize) {
        let free = Arc::clone(&self.free);
        if let Some(words) = self.of_mut(place).filter(|words| words.iter().any(|word| *word != 0)) {
            let zeroed = Zeroed(words);
            free(&mut *zeroed.0);
        }
    }
}

impl Drop for Words {
    /// Frees what flows that never ended left.
    fn drop(&mut self) {
        for place in 0..self.all.len() / self.each {
            self.clear(place);
        }
    }
}

/// Makes the words 0 at its end, also where freeing them panics.
struct Zeroed<'w>(&'w mut [u64]);

impl Drop for Zeroed<'_> {
    fn drop(&mut self) {
        self.0.fill(0);
    }
}

/// Words kept beside a flow: 0 when it begins.
impl Flow<'_> {
    /// The words of this flow; `None` where the id is of another registry.
    #[must_use]
    pub fn words(&self, id: WordsId) -> Option<&[u64]> {
        self.storage.words(id)?.of(self.slot.place())
    }

    /// The same, to be changed. They stay until the flow has ended: the finish callbacks still see them.
    #[must_use]
    pub fn words_mut(&mut self, id: WordsId) -> Option<&mut [u64]> {
        self.hot.flags |= STORED;
        self.storage.words_mut(id)?.of_mut(self.slot.place())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    fn column(freed: &Arc<Mutex<Vec<u64>>>) -> Words {
        let freed = Arc::clone(freed);
        let free = move |words: &mut [u64]| {
            freed.lock().unwrap().extend_from_slice(words);
            assert_ne!(words[0], 13, "as the test wants");
        };
        let mut words = Words::new(2, Arc::new(free));
        words.reserve(4).unwrap();
        words.open(4);
        words
    }

    #[test]
    fn what_is_not_zero_is_freed_once() {
        let freed = Arc::default();
        let mut words = column(&freed);
        assert_eq!(words.flow_bytes(), 16);
        words.of_mut(1).unwrap().copy_from_slice(&[0, 5]);
        words.of_mut(2).unwrap().copy_from_slice(&[7, 0]);
        (0..4).for_each(|place| words.clear(place));
        assert_eq!(*freed.lock().unwrap(), [0, 5, 7, 0]);
        assert!(words.all.iter().all(|word| *word == 0));
        assert!(words.of_mut(4).is_none() && words.of(usize::MAX).is_none());
    }

    #[test]
    fn the_words_are_zero_also_where_freeing_them_panics() {
        let freed = Arc::default();
        let mut words = column(&freed);
        words.of_mut(0).unwrap()[0] = 13;
        let cleared = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| words.clear(0)));
        assert!(cleared.is_err());
        assert_eq!(words.of(0).unwrap(), [0, 0]);
    }

    #[test]
    fn what_flows_without_an_end_left_is_freed_with_the_column() {
        let freed = Arc::default();
        let mut words = column(&freed);
        words.of_mut(3).unwrap()[0] = 9;
        drop(words);
        assert_eq!(*freed.lock().unwrap(), [9, 0]);
    }
}
