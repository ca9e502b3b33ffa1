//! Which of many rules name an address, without asking each: for lists of addresses in rules.
//!
//! Each rule is entered by the side of its header that names fewer addresses. The address space is cut
//! where any of them begins or ends, and each piece knows its rules.

use std::collections::BTreeSet;

use hashbrown::HashMap;
use portcullis_wire::{Address, Decoded};

use crate::address::AddressSet;
use crate::address_sieve::{Beginnings, Blocks};
use crate::header::Side;
use crate::interval::{Bound, IntervalSet};
use crate::rule::Rule;

/// Sides that name more addresses than this tell too little apart: the rule is asked about every packet. The
/// smaller ones are for when lists would grow beyond [`ENTRIES_MAX`].
const BREADTHS: [u64; 3] = [1 << 24, 1 << 16, 1 << 8];

/// Most entries in all lists.
const ENTRIES_MAX: usize = 4_000_000;

/// From this many pieces on, a table by the upper 16 bits goes before the search.
const PAGED_FROM: usize = 256;

/// Rules by the addresses they name.
#[derive(Debug, Default)]
pub(crate) struct AddressIndex {
    source: Lookup,
    destination: Lookup,
}

impl AddressIndex {
    /// Enters the rules that name few enough addresses; gives back the others.
    pub(crate) fn build(ids: &[u32], rules: &[Rule]) -> (Self, Vec<u32>) {
        let mut left = Vec::new();
        for breadth in BREADTHS {
            let (sides, rest) = split(ids, rules, breadth);
            left = rest;
            let sources = Lookup::build(&sides[0]);
            let destinations = Lookup::build(&sides[1]);
            if let (Some(source), Some(destination)) = (sources, destinations) {
                return (Self { source, destination }, left);
            }
        }
        left.extend(ids);
        left.sort_unstable();
        left.dedup();
        (Self::default(), left)
    }

    /// Has `found` take the rules that may name the packet's addresses.
    pub(crate) fn search(&self, packet: &Decoded, mut found: impl FnMut(&[u32])) {
        if packet.ip_version != 0 {
            found(self.source.of(packet.ip_version, &packet.source));
            found(self.destination.of(packet.ip_version, &packet.destination));
        }
    }

    /// Bytes of memory it takes.
    pub(crate) fn memory(&self) -> usize {
        self.source.memory() + self.destination.memory()
    }
}

type Entered<'r> = Vec<(u32, &'r AddressSet)>;

/// The rules by source and by destination, and those whose sides are both too broad.
fn split<'r>(ids: &[u32], rules: &'r [Rule], breadth_max: u64) -> ([Entered<'r>; 2], Vec<u32>) {
    let mut sides: [Entered<'r>; 2] = [Vec::new(), Vec::new()];
    let mut rest = Vec::new();
    for &id in ids {
        let Some(rule) = rules.get(id as usize) else { continue };
        let breadth = |side: &Side| side.addresses.as_ref().map_or(u64::MAX, |set| set.breadth());
        let (source, destination) = (breadth(&rule.header.source), breadth(&rule.header.destination));
        let (side, index) =
            if source <= destination { (&rule.header.source, 0) } else { (&rule.header.destination, 1) };
        match &side.addresses {
            Some(set) if source.min(destination) <= breadth_max => {
                sides[index].push((id, set));
                if rule.header.both_ways {
                    sides[1 - index].push((id, set));
                }
            }
            _ => rest.push(id),
        }
    }
    (sides, rest)
}

/// Lists of rules by address.
#[derive(Debug, Default)]
struct Lookup {
    v4: Pieces<u32>,
    /// Where there are many pieces: which addresses none of them names.
    v4_blocks: Blocks,
    v6_beginnings: Beginnings,
    /// By the upper 16 bits of an IPv4 address, the number of pieces that begin before them.
    pages: Box<[u32]>,
    v6: Pieces<u128>,
    lists: Box<[Box<[u32]>]>,
}

/// A space of addresses in pieces: where each begins, ascending from the least, and the number of its list.
#[derive(Debug)]
struct Pieces<T>(Box<[(T, u32)]>);

impl<T> Default for Pieces<T> {
    fn default() -> Self {
        Self(Box::default())
    }
}

impl Lookup {
    /// `None` where the lists would be too long.
    fn build(entered: &[(u32, &AddressSet)]) -> Option<Self> {
        let mut pool = Pool::default();
        let v4 = Pieces::build(entered.iter().map(|(id, set)| (*id, set.v4())), &mut pool)?;
        let v6 = Pieces::build(entered.iter().map(|(id, set)| (*id, set.v6())), &mut pool)?;
        let mut pages = Vec::new();
        let (mut v4_blocks, mut v6_beginnings) = (Blocks::default(), Beginnings::default());
        if v6.0.len() >= PAGED_FROM {
            v6_beginnings = Beginnings::of(v6.named(&pool));
        }
        if v4.0.len() >= PAGED_FROM {
            v4_blocks = Blocks::of(v4.named(&pool));
            let before = |page: u32| v4.0.partition_point(|&(start, _)| start >> 16 < page);
            pages = (0..=1 << 16).map(|page| u32::try_from(before(page)).unwrap_or(u32::MAX)).collect();
        }
        let (pages, lists) = (pages.into(), pool.lists.into());
        Some(Self { v4, v4_blocks, v6_beginnings, pages, v6, lists })
    }

    #[inline]
    fn of(&self, version: u8, address: &Address) -> &[u32] {
        let list = match (version, address) {
            (4, [.., a, b, c, d]) => {
                let number = u32::from_be_bytes([*a, *b, *c, *d]);
                if !self.v4_blocks.may_hold(number) {
                    return &[];
                }
                let page = (number >> 16) as usize;
                match (self.pages.get(page), self.pages.get(page + 1)) {
                    // The piece before those that begin in the page reaches into it.
                    (Some(&from), Some(&to)) => {
                        self.v4.list((from as usize).saturating_sub(1), to as usize, number)
                    }
                    _ => self.v4.list(0, self.v4.0.len(), number),
                }
            }
            _ if !self.v6_beginnings.may_hold(address) => return &[],
            _ => self.v6.list(0, self.v6.0.len(), u128::from_be_bytes(*address)),
        };
        list.and_then(|list| self.lists.get(list as usize)).map_or(&[], |list| list)
    }

    fn memory(&self) -> usize {
        let lists: usize = self.lists.iter().map(|list| list.len() * 4 + 16).sum();
        let sieves = self.v4_blocks.memory() + self.v6_beginnings.memory();
        self.v4.0.len() * 8 + self.v6.0.len() * 32 + self.pages.len() * 4 + lists + sieves
    }
}

/// Lists of rules, each once.
#[derive(Default)]
struct Pool {
    numbers: HashMap<Box<[u32]>, u32>,
    lists: Vec<Box<[u32]>>,
    entries: usize,
}

impl Pool {
    fn number(&mut self, list: &BTreeSet<u32>) -> Option<u32> {
        let list: Box<[u32]> = list.iter().copied().collect();
        if let Some(&number) = self.numbers.get(&list) {
            return Some(number);
        }
        self.entries += list.len();
        let number = u32::try_from(self.lists.len()).ok().filter(|_| self.entries <= ENTRIES_MAX)?;
        self.lists.push(list.clone());
        self.numbers.insert(list, number);
        Some(number)
    }
}

impl<T: Bound> Pieces<T> {
    fn build<'s>(sets: impl Iterator<Item = (u32, &'s IntervalSet<T>)>, pool: &mut Pool) -> Option<Self>
    where
        T: 's,
    {
        // Where which rule begins and ends to be named.
        let mut changes: Vec<(T, bool, u32)> = Vec::new();
        for (id, set) in sets {
            for &(first, last) in set.spans() {
                changes.push((first, true, id));
                changes.extend(last.next().map(|after| (after, false, id)));
            }
        }
        if changes.is_empty() {
            return Some(Self::default());
        }
        changes.sort_unstable();
        let mut named = BTreeSet::new();
        let mut pieces = vec![(T::MIN, pool.number(&named)?)];
        let mut changes = changes.into_iter().peekable();
        while let Some((at, begins, id)) = changes.next() {
            if begins {
                named.insert(id);
            } else {
                named.remove(&id);
            }
            if changes.peek().is_none_or(|&(next, ..)| next != at) {
                let piece = (at, pool.number(&named)?);
                match pieces.last_mut() {
                    Some(last) if last.0 == at => *last = piece,
                    _ => pieces.push(piece),
                }
            }
        }
        Some(Self(pieces.into()))
    }

    /// The pieces that rules name, from the first address to the last.
    fn named<'s>(&'s self, pool: &'s Pool) -> impl Iterator<Item = (T, T)> + 's {
        let lasts = self.0.iter().skip(1).filter_map(|&(start, _)| start.previous()).chain([T::MAX]);
        let is_named = |list: u32| pool.lists.get(list as usize).is_none_or(|list| !list.is_empty());
        let pieces = self.0.iter().zip(lasts).filter(move |((_, list), _)| is_named(*list));
        pieces.map(|(&(first, _), last)| (first, last))
    }

    /// The list of the piece that holds `number`, which is one of `from..to`.
    #[inline]
    fn list(&self, from: usize, to: usize, number: T) -> Option<u32> {
        let pieces = self.0.get(from..to)?;
        let after = pieces.partition_point(|&(start, _)| start <= number);
        pieces.get(after.checked_sub(1)?).map(|&(_, list)| list)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ruleset::{LoadOptions, RuleSet, Source};

    fn index(rules: &str) -> (AddressIndex, Vec<u32>, RuleSet) {
        let source = Source { name: "rules", text: rules.as_bytes() };
        let loaded = RuleSet::load(&[source], &LoadOptions::default());
        assert_eq!(loaded.errors, []);
        let ids: Vec<u32> = (0..).take(loaded.rules.len()).collect();
        let (index, rest) = AddressIndex::build(&ids, &loaded.rules.rules);
        (index, rest, loaded.rules)
    }

    fn v4(address: u32) -> Address {
        portcullis_wire::decoded::mapped(address.to_be_bytes())
    }

    fn check(rules: &str, pairs: &[(u32, u32)]) {
        let (index, rest, set) = index(rules);
        for &(source, destination) in pairs {
            let (source, destination) = (v4(source), v4(destination));
            let packet = Decoded { ip_version: 4, source, destination, ..Decoded::default() };
            let mut found = rest.clone();
            index.search(&packet, |list| found.extend_from_slice(list));
            for (id, rule) in (0..).zip(&set.rules) {
                if rule.header.matches(&packet) {
                    assert!(found.contains(&id), "{source:?} {destination:?} rule {id}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn every_rule_that_names_the_addresses_is_found(
            rules in prop::collection::vec((0_u32..6, 0_u32..6, 24_u32..=32, any::<[bool; 3]>()), 1..400),
            pairs in prop::collection::vec((0_u32..8, 0_u32..8), 1..20),
        ) {
            let address = |number: u32| number * 0x1001_0080;
            let text: String = (1..).zip(&rules).map(|(sid, (source, destination, length, [any, both, swap]))| {
                let net = |number| format!("{}/{length}", std::net::Ipv4Addr::from_bits(address(number)));
                let (one, other) = (net(*source), if *any { "any".to_owned() } else { net(*destination) });
                let (one, other) = if *swap { (other, one) } else { (one, other) };
                let arrow = if *both { "<>" } else { "->" };
                format!("alert ip {one} any {arrow} {other} any (sid:{sid};)\n")
            }).collect();
            let pairs: Vec<_> = pairs.into_iter().map(|(a, b)| (address(a), address(b) + 1)).collect();
            check(&text, &pairs);
        }
    }

    #[test]
    fn broad_rules_are_left_over_and_lists_are_short() {
        let (index, rest, _) = index(
            "alert ip any any -> 0.0.0.0/1 any (sid:1;)\nalert ip 10.0.0.1 any -> any any (sid:2;)\n\
             alert ip any any -> 2001:db8::/32 any (sid:3;)\nalert ip any any -> ::/0 any (sid:4;)",
        );
        assert_eq!(rest.len(), 2);
        let packet = Decoded { ip_version: 4, source: v4(0x0a00_0001), ..Decoded::default() };
        let mut found = Vec::new();
        index.search(&packet, |list| found.extend_from_slice(list));
        assert_eq!(found, [1]);
    }
}
