//! The trackers of a worker: found by key, ordered by age, fixed in number.

use crate::blocks::NONE;
use crate::key::{DatagramKey, Hasher};
use crate::tracker::{State, Tracker};

/// All trackers.
#[derive(Debug)]
pub(crate) struct Table {
    trackers: Vec<Tracker>,
    /// The first tracker of each chain; a power of two of them.
    buckets: Vec<u32>,
    hasher: Hasher,
    free: u32,
    oldest: u32,
    newest: u32,
    used: u32,
}

impl Table {
    /// Bytes that `count` trackers take.
    pub(crate) fn cost(count: u32) -> usize {
        count as usize * size_of::<Tracker>() + bucket_count(count) * size_of::<u32>()
    }

    pub(crate) fn new(count: u32, seed: u64) -> Self {
        let mut trackers = vec![Tracker::default(); count as usize];
        for (next, tracker) in (1..).zip(&mut trackers) {
            tracker.next = if next == count { NONE } else { next };
        }
        Self {
            free: if trackers.is_empty() { NONE } else { 0 },
            trackers,
            buckets: vec![NONE; bucket_count(count)],
            hasher: Hasher::new(seed),
            oldest: NONE,
            newest: NONE,
            used: 0,
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.trackers.len()
    }

    /// Is no tracker in use?
    pub(crate) const fn is_empty(&self) -> bool {
        self.used == 0
    }

    pub(crate) fn get(&self, place: u32) -> Option<&Tracker> {
        self.trackers.get(place as usize)
    }

    pub(crate) fn get_mut(&mut self, place: u32) -> Option<&mut Tracker> {
        self.trackers.get_mut(place as usize)
    }

    /// The place of the datagram's tracker.
    pub(crate) fn find(&self, key: &DatagramKey) -> Option<u32> {
        let mut place = self.buckets.get(self.bucket(key)).copied()?;
        while let Some(tracker) = self.get(place) {
            if tracker.key == *key {
                return Some(place);
            }
            place = tracker.next;
        }
        None
    }

    /// A new tracker for the datagram, the newest of all; `None` where all are in use.
    pub(crate) fn open(&mut self, key: DatagramKey) -> Option<u32> {
        let bucket = self.bucket(&key);
        let place = self.free;
        let tracker = self.trackers.get_mut(place as usize)?;
        self.free = tracker.next;
        let first = self.buckets.get_mut(bucket)?;
        *tracker = Tracker { key, state: State::Open, next: *first, ..Tracker::default() };
        *first = place;
        self.used += 1;
        self.link_newest(place);
        Some(place)
    }

    /// Takes a tracker out of the table. What it holds must have been given back before.
    pub(crate) fn close(&mut self, place: u32) {
        let Some(tracker) = self.get(place).copied().filter(|tracker| tracker.state != State::Free) else {
            return;
        };
        self.unlink_age(place);
        self.unlink_bucket(&tracker, place);
        if let Some(freed) = self.trackers.get_mut(place as usize) {
            *freed = Tracker { next: self.free, ..Tracker::default() };
            self.free = place;
            self.used -= 1;
        }
    }

    /// Makes a tracker the newest.
    pub(crate) fn touch(&mut self, place: u32) {
        if self.newest != place {
            self.unlink_age(place);
            self.link_newest(place);
        }
    }

    /// Makes a tracker the oldest: the first to be taken for another datagram.
    pub(crate) fn age(&mut self, place: u32) {
        if self.oldest == place {
            return;
        }
        self.unlink_age(place);
        let next = std::mem::replace(&mut self.oldest, place);
        if let Some(tracker) = self.trackers.get_mut(place as usize) {
            (tracker.older, tracker.newer) = (NONE, next);
        }
        match self.trackers.get_mut(next as usize) {
            Some(next) => next.older = place,
            None => self.newest = place,
        }
    }

    /// Places, the oldest first.
    pub(crate) fn by_age(&self) -> impl Iterator<Item = u32> {
        let mut place = self.oldest;
        std::iter::from_fn(move || {
            let current = place;
            place = self.get(current)?.newer;
            Some(current)
        })
    }

    fn bucket(&self, key: &DatagramKey) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "cut to the number of buckets anyway")]
        let hash = self.hasher.hash(key) as usize;
        hash & (self.buckets.len() - 1)
    }

    fn unlink_bucket(&mut self, tracker: &Tracker, place: u32) {
        let bucket = self.bucket(&tracker.key);
        let Some(first) = self.buckets.get_mut(bucket) else { return };
        if *first == place {
            *first = tracker.next;
            return;
        }
        let mut before = *first;
        while let Some(candidate) = self.trackers.get_mut(before as usize) {
            if candidate.next == place {
                candidate.next = tracker.next;
                return;
            }
            before = candidate.next;
        }
    }

    fn link_newest(&mut self, place: u32) {
        let before = std::mem::replace(&mut self.newest, place);
        if let Some(tracker) = self.trackers.get_mut(place as usize) {
            (tracker.older, tracker.newer) = (before, NONE);
        }
        match self.trackers.get_mut(before as usize) {
            Some(before) => before.newer = place,
            None => self.oldest = place,
        }
    }

    fn unlink_age(&mut self, place: u32) {
        let Some(&Tracker { older, newer, .. }) = self.get(place) else { return };
        match self.trackers.get_mut(older as usize) {
            Some(older) => older.newer = newer,
            None => self.oldest = newer,
        }
        match self.trackers.get_mut(newer as usize) {
            Some(newer) => newer.older = older,
            None => self.newest = older,
        }
    }
}

/// Enough that chains stay short when all trackers are in use.
fn bucket_count(trackers: u32) -> usize {
    (trackers as usize).next_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KeyScope;
    use portcullis_wire::Decoded;
    use portcullis_wire::decoded::Fragment;
    use proptest::prelude::*;

    fn key(id: u32) -> DatagramKey {
        let scope = KeyScope { vlan: true, inline_set: true };
        DatagramKey::of(&Decoded::default(), Fragment { id, ..Fragment::default() }, 0, scope)
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Open(u32),
        Close(u32),
        Touch(u32),
        Age(u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        (0_u32..20, 0..4).prop_map(|(id, kind)| match kind {
            0 => Step::Open(id),
            1 => Step::Close(id),
            2 => Step::Touch(id),
            _ => Step::Age(id),
        })
    }

    proptest! {
        /// The table against a list in order of age, over so few buckets that chains are long.
        #[test]
        fn a_table_is_a_list_by_age(steps in prop::collection::vec(step(), 0..200)) {
            let mut table = Table::new(8, 1);
            table.buckets = vec![NONE; 2];
            let mut model: Vec<u32> = Vec::new();
            for step in steps {
                match step {
                    Step::Open(id) if table.find(&key(id)).is_none() => {
                        let opened = table.open(key(id));
                        prop_assert_eq!(opened.is_some(), model.len() < 8);
                        model.extend(opened.map(|_| id));
                    }
                    Step::Open(_) => {}
                    Step::Close(id) => {
                        if let Some(place) = table.find(&key(id)) {
                            table.close(place);
                            table.close(place);
                        }
                        model.retain(|other| *other != id);
                    }
                    Step::Touch(id) | Step::Age(id) => {
                        let Some(place) = table.find(&key(id)) else { continue };
                        model.retain(|other| *other != id);
                        if matches!(step, Step::Touch(_)) {
                            table.touch(place);
                            model.push(id);
                        } else {
                            table.age(place);
                            model.insert(0, id);
                        }
                    }
                }
                let order: Vec<DatagramKey> =
                    table.by_age().map(|place| table.get(place).unwrap().key).collect();
                prop_assert_eq!(order, model.iter().map(|id| key(*id)).collect::<Vec<_>>());
                prop_assert_eq!(table.used as usize, model.len());
                for id in 0..20 {
                    prop_assert_eq!(table.find(&key(id)).is_some(), model.contains(&id));
                }
            }
        }
    }
}
