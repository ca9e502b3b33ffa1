//! Has a NIC bring both directions of a flow to the same queue number, and all packets of two hosts to one: then the worker
//! of that queue is their owner (`engine::spread`), and hardly a packet is passed on.

use portcullis_bpf::device::{self, HashedBy, HashedFlow};
use serde::{Deserialize, Serialize};
use std::io;

/// What of it was like before, where it was changed; plain data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RssRestore {
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The table.
    pub table: Option<Vec<u32>>,
    /// What was hashed: `HashedFlow` and `HashedBy` as numbers.
    pub hashed: Vec<(u32, u64)>,
}

impl RssRestore {
    /// Was anything changed?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What was changed, for people.
    #[must_use]
    pub fn changed(&self) -> String {
        let hashed = !self.hashed.is_empty();
        let parts =
            [(self.key.is_some(), "key"), (self.table.is_some(), "table"), (hashed, "what is hashed")];
        let changed: Vec<&str> = parts.into_iter().filter(|(is, _)| *is).map(|(_, part)| part).collect();
        format!("changed: {}", changed.join(", "))
    }

    /// Changes what the driver of the interface `name` lets be changed: a key that is the same in both directions, a table of
    /// all queues in equal parts, a hash of nothing but addresses, for fragments have no ports. A driver that hides its key or
    /// table is left alone, and so is an interface of one queue. What a driver refuses is told by name, and stays as it was.
    #[must_use]
    pub fn apply(name: &str) -> (Self, Vec<String>) {
        let (mut before, mut refused) = (Self::default(), Vec::new());
        let (Ok(queues @ 2..), Ok(known)) = (device::queues(name), device::rss(name)) else {
            return (before, refused);
        };
        if !known.is_symmetric() {
            match device::set_rss_key(name, &known.symmetric_key()) {
                Ok(()) => before.key = Some(known.key.clone()),
                Err(error) => refused.push(format!("the key of the hash: {error}")),
            }
        }
        if let Some(table) = equal_parts(&known.table, queues) {
            match device::set_rss_table(name, &table) {
                Ok(()) => before.table = Some(known.table),
                Err(error) => refused.push(format!("the table of queues: {error}")),
            }
        }
        for flow in HashedFlow::ALL {
            let Ok(by) = device::hashed_by(name, flow) else { continue };
            if by == HashedBy::ADDRESSES {
                continue;
            }
            match device::set_hashed_by(name, flow, HashedBy::ADDRESSES) {
                Ok(()) => before.hashed.push((flow as u32, by.0)),
                Err(error) => refused.push(format!("what of {flow:?} is hashed: {error}")),
            }
        }
        (before, refused)
    }

    /// Makes it what it was. Goes on after an error, and tells the first.
    ///
    /// # Errors
    /// Something could not be restored.
    pub fn restore(&self, name: &str) -> io::Result<()> {
        let mut first = Ok(());
        let mut done = |result: io::Result<()>| {
            if first.is_ok() {
                first = result;
            }
        };
        for (number, by) in &self.hashed {
            if let Some(flow) = HashedFlow::ALL.into_iter().find(|flow| *flow as u32 == *number) {
                done(device::set_hashed_by(name, flow, HashedBy(*by)));
            }
        }
        if let Some(table) = &self.table {
            done(device::set_rss_table(name, table));
        }
        if let Some(key) = &self.key {
            done(device::set_rss_key(name, key));
        }
        first
    }

    /// What to restore where a predecessor changed this first, and then we did.
    #[must_use]
    pub fn before(first: Option<Self>, then: Option<Self>) -> Option<Self> {
        let (Some(first), Some(then)) = (first.clone(), then.clone()) else { return first.or(then) };
        let mut hashed = first.hashed;
        let is_known = |hashed: &[(u32, u64)], number| hashed.iter().any(|(known, _)| *known == number);
        let more: Vec<_> =
            then.hashed.into_iter().filter(|(number, _)| !is_known(&hashed, *number)).collect();
        hashed.extend(more);
        Some(Self { key: first.key.or(then.key), table: first.table.or(then.table), hashed })
    }
}

/// The table with all queues in equal parts, unless it is so that each has its part, and no other.
fn equal_parts(table: &[u32], queues: u32) -> Option<Vec<u32>> {
    let is_used = |queue| table.contains(&queue);
    if (0..queues).all(is_used) && table.iter().all(|queue| *queue < queues) {
        return None;
    }
    Some((0..queues).cycle().take(table.len()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_left_alone_where_every_queue_has_its_part() {
        assert_eq!(equal_parts(&[0, 1, 1, 1], 2), None);
        assert_eq!(equal_parts(&[0, 0, 0, 0], 2), Some(vec![0, 1, 0, 1]));
        assert_eq!(equal_parts(&[0, 1, 2, 3], 2), Some(vec![0, 1, 0, 1]));
        assert_eq!(equal_parts(&[0, 1, 0, 1], 3), Some(vec![0, 1, 2, 0]));
    }

    #[test]
    fn the_first_state_is_the_one_to_restore() {
        let was = |key: u8, hashed: &[(u32, u64)]| {
            Some(RssRestore { key: Some(vec![key]), table: None, hashed: hashed.to_vec() })
        };
        let both = RssRestore::before(was(1, &[(1, 10)]), was(2, &[(1, 11), (2, 20)]));
        assert_eq!(both, was(1, &[(1, 10), (2, 20)]));
        assert_eq!(RssRestore::before(None, was(2, &[])), was(2, &[]));
        assert_eq!(RssRestore::before(was(1, &[]), None), was(1, &[]));
    }

    #[test]
    fn an_interface_that_is_not_there_is_left_alone() {
        let (before, refused) = RssRestore::apply("no-such-port");
        assert!(before.is_empty() && refused.is_empty());
    }
}
