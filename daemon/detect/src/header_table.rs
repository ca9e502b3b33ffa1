//! Which rules without a pattern a packet has to be asked about: told by a table over what their packet
//! tests look at most (TCP's flags, ICMP's type, the protocol), and by their addresses.

use hashbrown::HashMap;
use portcullis_wire::Decoded;
use portcullis_wire::decoded::Transport;

use crate::address_index::AddressIndex;
use crate::input::FlowFacts;
use crate::rule::Rule;

/// The one field of a packet that the table is by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderKey {
    /// The flags of a TCP header.
    TcpFlags(u8),
    /// The type of an ICMP message.
    IcmpType(u8),
    /// The protocol of all other packets.
    Protocol(u8),
}

impl HeaderKey {
    fn of(packet: &Decoded) -> Self {
        match packet.transport {
            Transport::Tcp(header) => Self::TcpFlags(header.flags.0),
            Transport::Icmpv4(message) | Transport::Icmpv6(message) => Self::IcmpType(message.kind),
            Transport::Udp(_) | Transport::None => Self::Protocol(packet.protocol),
        }
    }

    const fn number(self) -> usize {
        match self {
            Self::TcpFlags(number) => number as usize,
            Self::IcmpType(number) => number as usize + 256,
            Self::Protocol(number) => number as usize + 512,
        }
    }
}

/// All keys, by their numbers.
fn keys() -> impl Iterator<Item = HeaderKey> {
    let all = |key: fn(u8) -> HeaderKey| (0..=u8::MAX).map(key);
    all(HeaderKey::TcpFlags).chain(all(HeaderKey::IcmpType)).chain(all(HeaderKey::Protocol))
}

/// Rules without a pattern.
#[derive(Debug, Default)]
pub(crate) struct HeaderTable {
    addresses: AddressIndex,
    /// The list of each key, for flows that are established and then for all other packets; empty where
    /// there are no rules.
    lists_by_key: Box<[u16]>,
    lists: Box<[Box<[u32]>]>,
}

impl HeaderTable {
    pub(crate) fn build(ids: &[u32], rules: &[Rule]) -> Self {
        let (addresses, rest) = AddressIndex::build(ids, rules);
        if rest.is_empty() {
            return Self { addresses, ..Self::default() };
        }
        let mut numbers: HashMap<Vec<u32>, u16> = HashMap::new();
        let mut lists: Vec<Box<[u32]>> = Vec::new();
        let mut lists_by_key = Vec::new();
        for established in [true, false] {
            for key in keys() {
                let admitted = |id: &u32| {
                    rules.get(*id as usize).is_some_and(|rule| {
                        rule.flow.established.is_none_or(|asked| asked == established)
                            && rule.tests.iter().all(|test| test.admits(key))
                    })
                };
                let list: Vec<u32> = rest.iter().copied().filter(admitted).collect();
                // There are fewer keys than numbers.
                let number = *numbers.entry(list).or_insert_with_key(|list| {
                    lists.push(list.as_slice().into());
                    u16::try_from(lists.len() - 1).unwrap_or(u16::MAX)
                });
                lists_by_key.push(number);
            }
        }
        Self { addresses, lists_by_key: lists_by_key.into(), lists: lists.into() }
    }

    /// Has `found` take the rules that the packet has to be asked about.
    pub(crate) fn search(&self, packet: &Decoded, flow: Option<FlowFacts>, mut found: impl FnMut(&[u32])) {
        self.addresses.search(packet, &mut found);
        let established = flow.is_some_and(|flow| flow.established);
        let half = if established { 0 } else { self.lists_by_key.len() / 2 };
        let number = self.lists_by_key.get(half + HeaderKey::of(packet).number());
        if let Some(list) = number.and_then(|number| self.lists.get(usize::from(*number))) {
            found(list);
        }
    }

    /// Bytes of memory it takes.
    pub(crate) fn memory(&self) -> usize {
        let lists: usize = self.lists.iter().map(|list| list.len() * 4 + 16).sum();
        self.addresses.memory() + self.lists_by_key.len() * 2 + lists
    }
}
