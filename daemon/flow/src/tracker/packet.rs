//! What a packet does.

use super::core::FlowTracker;
use super::entry::{FlowEntry, FlowState, FlowStats};
use super::event::{EndReason, FlowEvent, FlowEvents, FlowSide};
use super::extract::{Extracted, FlowExtractor, L4Proto, PacketView};
use super::history::{Counted, History, Once, Rules};
use super::store::Record;
use super::tcp::{Connection, Steps};
use crate::hash::FlowHash;
use arrayvec::ArrayVec;
use portcullis_wire::Timestamp;
use portcullis_wire::decoded::{Tcp, TcpFlags};

/// Packets whose flows [`FlowTracker::track_burst`] looks for at once.
pub const BURST: usize = 32;

impl<E: FlowExtractor, S> FlowTracker<E, S> {
    /// Takes in a packet; what happened by it, in order. Without allocation.
    pub fn track(&mut self, packet: PacketView<'_>) -> FlowEvents<E::Key, S> {
        self.track_with_payload(packet, |_, _, _, _| {})
    }

    /// The same, and shows `payload` the data of a TCP segment that has some: flow, sender, sequence number, bytes. It
    /// is called at most once, before the flow changes by this packet.
    pub fn track_with_payload(
        &mut self,
        packet: PacketView<'_>,
        payload: impl FnMut(&E::Key, FlowSide, u32, &[u8]),
    ) -> FlowEvents<E::Key, S> {
        let mut events = FlowEvents::new();
        self.track_into(packet, payload, |event| events.push(event));
        events
    }

    /// The same, and hands each event to `events` as it happens instead of collecting them.
    pub fn track_into(
        &mut self,
        packet: PacketView<'_>,
        mut payload: impl FnMut(&E::Key, FlowSide, u32, &[u8]),
        mut events: impl FnMut(FlowEvent<E::Key, S>),
    ) {
        let Some(extracted) = self.extractor.extract(&packet) else {
            self.stats.packets_unmatched += 1;
            return;
        };
        self.apply(&packet, &extracted, None, &mut payload, &mut events);
    }

    /// Takes in packets in their order, as [`track_into`](Self::track_into) does one after the other, but looks for the
    /// flows of [`BURST`] of them at once, so that waiting for memory is shared: of many flows much faster.
    pub fn track_burst(
        &mut self,
        packets: &[PacketView<'_>],
        mut payload: impl FnMut(&E::Key, FlowSide, u32, &[u8]),
        mut events: impl FnMut(FlowEvent<E::Key, S>),
    ) {
        for packets in packets.chunks(BURST) {
            let found: ArrayVec<_, BURST> = packets.iter().map(|packet| self.look_ahead(packet)).collect();
            let hashes = found.iter().flatten().map(|(_, hash)| *hash);
            let places: ArrayVec<u32, BURST> =
                hashes.filter_map(|hash| self.store.prefetch_flow(hash)).collect();
            places.iter().for_each(|place| self.store.prefetch_order(*place));
            for (packet, found) in packets.iter().zip(&found) {
                match found {
                    Some((extracted, hash)) => {
                        self.apply(packet, extracted, Some(*hash), &mut payload, &mut events);
                    }
                    None => self.stats.packets_unmatched += 1,
                }
            }
        }
    }

    fn look_ahead(&self, packet: &PacketView<'_>) -> Option<(Extracted<E::Key>, FlowHash)> {
        let extracted = self.extractor.extract(packet)?;
        let hash = self.store.hash(&extracted.key);
        self.store.prefetch_index(hash);
        Some((extracted, hash))
    }

    fn apply(
        &mut self,
        packet: &PacketView<'_>,
        extracted: &Extracted<E::Key>,
        hash: Option<FlowHash>,
        payload: &mut impl FnMut(&E::Key, FlowSide, u32, &[u8]),
        events: &mut impl FnMut(FlowEvent<E::Key, S>),
    ) {
        let ts = packet.timestamp();
        let Some(place) = self.place_of(extracted, hash, ts, events) else { return };
        self.stats.packets += 1;
        let Some(Record { key, entry }) = self.store.record_mut(place) else { return };
        let side = entry.side_of(extracted.orientation);
        if let Some(tcp) = &extracted.tcp
            && !extracted.payload.is_empty()
        {
            payload(key, side, tcp.seq, extracted.payload.of(packet.frame()));
        }
        entry.stats.count(side, packet.wire_length(), extracted.payload.len(), ts);
        for to in observe(entry, side, extracted).into_iter().flatten() {
            let (from, key) = (std::mem::replace(&mut entry.state, to), key.clone());
            events(match to {
                FlowState::Established => FlowEvent::Established { key, ts },
                _ => FlowEvent::StateChange { key, from, to, ts },
            });
        }
        events(FlowEvent::Packet { key: key.clone(), side, len: packet.wire_length(), ts });
        let reason = match entry.state {
            FlowState::Reset => EndReason::Rst,
            FlowState::Closed => EndReason::Fin,
            _ => return self.store.touch(place),
        };
        if let Some(record) = self.store.remove(place) {
            events(self.end(record, reason));
        }
    }

    /// Where the packet's flow is, which may have to begin; `None` where it cannot.
    fn place_of(
        &mut self,
        extracted: &Extracted<E::Key>,
        mut hash: Option<FlowHash>,
        ts: Timestamp,
        events: &mut impl FnMut(FlowEvent<E::Key, S>),
    ) -> Option<u32> {
        let key = &extracted.key;
        let found = self.store.is_last_used(key).or_else(|| {
            let hash = hash.get_or_insert_with(|| self.store.hash(key));
            self.store.find(key, *hash)
        });
        if let Some(place) = found {
            if !self.store.record(place)?.entry.is_over(ts) {
                return Some(place);
            }
            // Found before a sweep came by: the packet is none of the old flow's.
            let record = self.store.remove(place)?;
            events(self.end(record, EndReason::IdleTimeout));
        }
        let hash = hash.unwrap_or_else(|| self.store.hash(key));
        self.begin(extracted, hash, ts, events)
    }

    fn begin(
        &mut self,
        extracted: &Extracted<E::Key>,
        hash: FlowHash,
        ts: Timestamp,
        events: &mut impl FnMut(FlowEvent<E::Key, S>),
    ) -> Option<u32> {
        let &Extracted { ref key, orientation, l4, ref tcp, .. } = extracted;
        let record = Record {
            key: key.clone(),
            entry: FlowEntry {
                stats: FlowStats { started: ts, last_seen: ts, ..FlowStats::default() },
                state: FlowState::Active,
                history: History::default(),
                user: (self.init)(key),
                connection: Connection::default(),
                rules: Rules::default(),
                orientation,
                l4,
                idle_timeout: self.idle_timeout_of(key, l4),
            },
        };
        if self.store.is_full()
            && let Some(evicted) = self.store.least_used().and_then(|place| self.store.remove(place))
        {
            let reason = if evicted.entry.is_over(ts) { EndReason::IdleTimeout } else { EndReason::Evicted };
            events(self.end(evicted, reason));
        }
        let Ok(place) = self.store.insert(hash, record) else {
            self.stats.packets_refused += 1;
            return None;
        };
        self.stats.flows_created += 1;
        let entry = &mut self.store.record_mut(place)?.entry;
        if tcp.as_ref().is_some_and(is_answer) && !extracted.bad_checksum {
            // Nobody but a responder sends a SYN with ACK.
            entry.orientation = orientation.opposite();
            Rules::flipped(&mut entry.history);
        }
        let side = entry.side_of(orientation);
        events(FlowEvent::Started { key: key.clone(), side, ts, l4 });
        Some(place)
    }
}

/// What the packet makes of the flow's state and history.
fn observe<K, S>(entry: &mut FlowEntry<S>, side: FlowSide, extracted: &Extracted<K>) -> Steps {
    let FlowEntry { connection, rules, history, state, .. } = entry;
    if extracted.bad_checksum {
        rules.count(history, side, Counted::Checksum);
        return [None, None];
    }
    let payload = u32::try_from(extracted.payload.len()).unwrap_or(u32::MAX);
    match (&extracted.tcp, extracted.l4) {
        (Some(tcp), _) => connection.observe(side, tcp, payload, *state, rules, history),
        (None, Some(L4Proto::Udp)) if payload > 0 => {
            rules.once(history, side, Once::Data);
            [None, None]
        }
        _ => [None, None],
    }
}

const fn is_answer(tcp: &Tcp) -> bool {
    let mask = TcpFlags::SYN | TcpFlags::ACK | TcpFlags::RST | TcpFlags::FIN;
    tcp.flags.0 & mask == TcpFlags::SYN | TcpFlags::ACK
}
