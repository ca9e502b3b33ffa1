//! Doubly linked lists over numbered places, as two numbers a place in one array. Every place is in
//! exactly one of the lists. Owns the links; knows nothing of what they link.

use super::config::TrackerError;
use crate::memory::prefetch;

/// The rings' sentinels come first, then one link a place.
#[derive(Debug)]
pub(super) struct Lists {
    links: Vec<Link>,
    heads: u32,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    previous: u32,
    next: u32,
}

impl Lists {
    /// `heads` empty lists with memory reserved for `places`; none of those is there yet.
    pub(super) fn new(heads: u32, places: u32) -> Result<Self, TrackerError> {
        let mut links = Vec::new();
        let count = heads as usize + places as usize;
        links.try_reserve_exact(count).map_err(|_| TrackerError::memory(count * size_of::<Link>()))?;
        links.extend((0..heads).map(|head| Link { previous: head, next: head }));
        Ok(Self { links, heads })
    }

    /// Adds the next place, at the front of a list.
    pub(super) fn add(&mut self, head: u32) {
        let node = u32::try_from(self.links.len()).unwrap_or(u32::MAX);
        self.links.push(Link { previous: node, next: node });
        self.insert_after(head, node);
    }

    pub(super) fn front(&self, head: u32) -> Option<u32> {
        self.place(self.links[head as usize].next)
    }

    pub(super) fn back(&self, head: u32) -> Option<u32> {
        self.place(self.links[head as usize].previous)
    }

    /// The places of a list, front to back.
    pub(super) fn iter(&self, head: u32) -> impl Iterator<Item = u32> {
        let after = |place: u32| self.place(self.links[(self.heads + place) as usize].next);
        std::iter::successors(self.front(head), move |place| after(*place))
    }

    /// Asks the processor for a place's link.
    pub(super) fn prefetch(&self, place: u32) {
        if let Some(link) = self.links.get((self.heads + place) as usize) {
            prefetch(link);
        }
    }

    /// Asks the processor for the links before and after a place's, which moving it changes.
    pub(super) fn prefetch_neighbours(&self, place: u32) {
        if let Some(link) = self.links.get((self.heads + place) as usize) {
            prefetch(&self.links[link.previous as usize]);
            prefetch(&self.links[link.next as usize]);
        }
    }

    /// Takes a place out of its list, to the front of `head`.
    pub(super) fn move_to_front(&mut self, head: u32, place: u32) {
        self.unlink(self.heads + place);
        self.insert_after(head, self.heads + place);
    }

    /// Takes a place out of its list, to the back of `head`.
    pub(super) fn move_to_back(&mut self, head: u32, place: u32) {
        self.unlink(self.heads + place);
        let last = self.links[head as usize].previous;
        self.insert_after(last, self.heads + place);
    }

    fn place(&self, node: u32) -> Option<u32> {
        node.checked_sub(self.heads)
    }

    fn unlink(&mut self, node: u32) {
        let Link { previous, next } = self.links[node as usize];
        self.links[previous as usize].next = next;
        self.links[next as usize].previous = previous;
    }

    fn insert_after(&mut self, previous: u32, node: u32) {
        let next = self.links[previous as usize].next;
        self.links[node as usize] = Link { previous, next };
        self.links[previous as usize].next = node;
        self.links[next as usize].previous = node;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_move_between_lists_and_keep_their_order() {
        let mut lists = Lists::new(2, 4).expect("memory");
        for _ in 0..4 {
            lists.add(0);
        }
        assert_eq!(lists.iter(0).collect::<Vec<_>>(), [3, 2, 1, 0]);
        lists.move_to_front(0, 1);
        lists.move_to_back(0, 3);
        assert_eq!(lists.iter(0).collect::<Vec<_>>(), [1, 2, 0, 3]);
        lists.move_to_back(1, 2);
        lists.move_to_front(1, 3);
        assert_eq!((lists.front(1), lists.back(1), lists.back(0)), (Some(3), Some(2), Some(0)));
        lists.move_to_front(0, 3);
        lists.move_to_front(0, 2);
        assert_eq!((lists.front(1), lists.back(1)), (None, None));
        assert_eq!(lists.iter(0).collect::<Vec<_>>(), [2, 3, 1, 0]);
    }
}
