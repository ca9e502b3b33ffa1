//! How much differs between what a list held and what it holds now. A feed that broke off on its way looks like a
//! large change, and so does one that somebody else got into his hands.

use crate::net::{Net, Word};
use crate::set::NetSet;

/// Fewer networks that come or go than this are no large change, whatever their share.
pub const FEW: u64 = 100;

/// What came and what went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Networks before.
    pub before: u64,
    /// Networks that were not there before.
    pub added: u64,
    /// Networks that are no longer there.
    pub removed: u64,
}

impl Change {
    /// From `old` to `new`.
    #[must_use]
    pub fn between(old: &NetSet, new: &NetSet) -> Self {
        let (added, removed) = differing(old.v4(), new.v4());
        let (added_v6, removed_v6) = differing(old.v6(), new.v6());
        Self { before: old.len() as u64, added: added + added_v6, removed: removed + removed_v6 }
    }

    /// Is it nothing?
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.added == 0 && self.removed == 0
    }

    /// Is it more than `percent` of what was there? A change of fewer than [`FEW`] networks never is.
    #[must_use]
    pub fn is_above(self, percent: u8) -> bool {
        let differing = self.added.saturating_add(self.removed);
        differing >= FEW && u128::from(differing) * 100 > u128::from(self.before) * u128::from(percent)
    }
}

/// Both sorted: how many are in `new` only, and in `old` only.
fn differing<W: Word>(old: &[Net<W>], new: &[Net<W>]) -> (u64, u64) {
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    let (mut added, mut removed) = (0, 0);
    loop {
        let order = match (old.peek(), new.peek()) {
            (Some(was), Some(is)) => was.cmp(is),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (None, None) => return (added, removed),
        };
        if order.is_le() {
            old.next();
        }
        if order.is_ge() {
            new.next();
        }
        added += u64::from(order.is_gt());
        removed += u64::from(order.is_lt());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Nets;
    use proptest::collection::btree_set;
    use proptest::prelude::*;

    fn set(addresses: impl IntoIterator<Item = u32>) -> NetSet {
        NetSet::new(Nets { v4: addresses.into_iter().map(Net::single).collect(), v6: Vec::new() }).0
    }

    proptest! {
        #[test]
        fn it_is_what_sets_say(old in btree_set(0_u32..40, 0..30), new in btree_set(0_u32..40, 0..30)) {
            let change = Change::between(&set(old.iter().copied()), &set(new.iter().copied()));
            prop_assert_eq!(change.added, new.difference(&old).count() as u64);
            prop_assert_eq!(change.removed, old.difference(&new).count() as u64);
            prop_assert_eq!(change.before, old.len() as u64);
            prop_assert_eq!(change.is_none(), old == new);
        }
    }

    #[test]
    fn a_large_change_is_a_share_and_not_few() {
        let check = |before, added, removed, expected| {
            let change = Change { before, added, removed };
            assert_eq!(change.is_above(20), expected, "{change:?}");
        };
        check(1000, 100, 100, false);
        check(1000, 101, 100, true);
        check(1000, 0, 1000, true);
        check(0, 1_000_000, 0, true);
        check(3, 99, 0, false);
        check(3, 100, 0, true);
        check(0, 0, 0, false);
    }
}
