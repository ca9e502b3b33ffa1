//! Many lists in one table, in which the longest network around an address tells all lists that it is on.

use crate::net::{Net, Word};
use crate::set::NetSet;
use std::net::IpAddr;

/// A list of a table, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListId(u8);

impl ListId {
    /// Most lists in a table: an entry marks its lists in three bytes.
    pub const MAX: usize = 24;

    /// The list of this number, below [`MAX`](Self::MAX).
    #[must_use]
    pub fn new(number: usize) -> Option<Self> {
        u8::try_from(number).ok().filter(|_| number < Self::MAX).map(Self)
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> usize {
        self.0.into()
    }
}

/// A set of lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Marks(u32);

impl Marks {
    /// One list.
    #[must_use]
    pub const fn of(list: ListId) -> Self {
        Self(1 << list.0)
    }

    /// From its bits, of which those of no list are left out.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits & ((1 << ListId::MAX) - 1))
    }

    /// A bit a list: that of list 0 is the lowest.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The lists of either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Is the list one of them?
    #[must_use]
    pub const fn has(self, list: ListId) -> bool {
        self.0 & Self::of(list).0 != 0
    }

    /// Is it none?
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// A network and the lists that all of its addresses are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry<W> {
    /// The network.
    pub net: Net<W>,
    /// The lists, those of networks around it included; never none.
    pub marks: Marks,
}

impl PartialOrd for Marks {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Marks {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

/// Many lists in one. An entry is there only where it says more than the one around it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    v4: Vec<Entry<u32>>,
    v6: Vec<Entry<u128>>,
}

impl Table {
    /// The table of these lists.
    #[must_use]
    pub fn new<'s>(lists: impl Iterator<Item = (ListId, &'s NetSet)> + Clone) -> Self {
        let v4 = lists.clone().flat_map(|(list, set)| set.v4().iter().map(move |net| (*net, list)));
        let v6 = lists.flat_map(|(list, set)| set.v6().iter().map(move |net| (*net, list)));
        Self { v4: flattened(v4), v6: flattened(v6) }
    }

    /// The entries of IPv4, in order.
    #[must_use]
    pub fn v4(&self) -> &[Entry<u32>] {
        &self.v4
    }

    /// The entries of IPv6, in order.
    #[must_use]
    pub fn v6(&self) -> &[Entry<u128>] {
        &self.v6
    }

    /// The lists that an address is on. Not for the packet path: it searches once for each length of a network.
    #[must_use]
    pub fn find(&self, address: IpAddr) -> Marks {
        match address {
            IpAddr::V4(address) => longest(&self.v4, address.into()),
            IpAddr::V6(address) => longest(&self.v6, address.into()),
        }
    }
}

fn flattened<W: Word>(nets: impl Iterator<Item = (Net<W>, ListId)>) -> Vec<Entry<W>> {
    let mut entries: Vec<Entry<W>> = nets.map(|(net, list)| Entry { net, marks: Marks::of(list) }).collect();
    entries.sort_unstable();
    entries.dedup_by(|later, kept| {
        let same = later.net == kept.net;
        if same {
            kept.marks = kept.marks.or(later.marks);
        }
        same
    });
    // The entries around the one looked at, the largest first.
    let mut around: Vec<Entry<W>> = Vec::new();
    entries.retain_mut(|entry| {
        while around.last().is_some_and(|outer| !outer.net.covers(entry.net)) {
            around.pop();
        }
        let inherited = around.last().map_or_else(Marks::default, |outer| outer.marks);
        entry.marks = entry.marks.or(inherited);
        let says_more = entry.marks != inherited;
        if says_more {
            around.push(*entry);
        }
        says_more
    });
    entries
}

fn longest<W: Word>(entries: &[Entry<W>], address: W) -> Marks {
    let found = (0..=W::BITS).rev().find_map(|length| {
        let net = Net::around(address, length);
        let place = entries.binary_search_by(|entry| entry.net.cmp(&net)).ok()?;
        entries.get(place).map(|entry| entry.marks)
    });
    found.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Nets;
    use proptest::prelude::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    const BASE: u32 = 0xc633_6400;

    /// Lists of networks that meet often.
    fn lists() -> impl Strategy<Value = Vec<Vec<Net<u32>>>> {
        let net = (0_u32..256, 22_u8..=32).prop_map(|(low, length)| Net::around(BASE | low, length));
        proptest::collection::vec(proptest::collection::vec(net, 0..20), 1..6)
    }

    /// The same in IPv6, so that the bits stand across the middle.
    fn wide(net: Net<u32>) -> Net<u128> {
        Net::around(0x2001_0db8 << 96 | u128::from(net.first()) << 60, 36 + net.length())
    }

    proptest! {
        #[test]
        fn it_finds_what_the_lists_say(lists in lists()) {
            let sets: Vec<NetSet> = lists.iter().map(|nets| {
                let v6 = nets.iter().map(|net| wide(*net)).collect();
                NetSet::new(Nets { v4: nets.clone(), v6 }).0
            }).collect();
            let all = sets.iter().enumerate().map(|(number, set)| (ListId::new(number).unwrap(), set));
            let table = Table::new(all);
            for low in 0..1024 {
                let address = Net::single(BASE - 256 + low);
                let mut expected = Marks::default();
                for (number, nets) in lists.iter().enumerate() {
                    if nets.iter().any(|net| net.covers(address)) {
                        expected = expected.or(Marks::of(ListId::new(number).unwrap()));
                    }
                }
                prop_assert_eq!(table.find(Ipv4Addr::from(address.first()).into()), expected);
                let v6 = wide(address).first() | 0xffff;
                prop_assert_eq!(table.find(Ipv6Addr::from(v6).into()), expected);
            }
            for (index, entry) in table.v4().iter().enumerate() {
                let around = table.v4()[..index].iter().rev().find(|outer| outer.net.covers(entry.net));
                prop_assert!(around.is_none_or(|outer| outer.marks != entry.marks), "says nothing: {:?}", entry);
            }
        }
    }

    #[test]
    fn there_are_so_many_lists_and_no_more() {
        assert_eq!(ListId::new(23).unwrap().number(), 23);
        assert_eq!(ListId::new(24), None);
        let last = Marks::of(ListId::new(23).unwrap());
        assert!(last.has(ListId::new(23).unwrap()) && !last.has(ListId::new(0).unwrap()));
        assert_eq!(Marks::from_bits(u32::MAX).bits(), 0x00ff_ffff);
        assert!(Marks::default().is_empty());
    }
}
