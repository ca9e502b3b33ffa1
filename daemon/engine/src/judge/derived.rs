//! Packets that come out of packets: what an encapsulation carries, and what was put together from
//! fragments. Each is judged as a packet of its own, with its own flow, rules and records; what drops one of
//! them drops the frame.
//!
//! The packet that was received is judged first: what it carries goes nowhere if it does not, and the
//! flows within know its flow. A frame has one packet within it, which may have one within it, and so on, at
//! most as many as `decoder.max-layers`: a chain, and never a tree.

use super::{Case, Judge, Sought};
use crate::scopes::Scopes;
use crate::settings::EngineSettings;
use crate::tally;
use portcullis_capture::burst::ChecksumStatus;
use portcullis_capture::{DropReason, Packet, PacketMeta, Verdict};
use portcullis_event::{PacketSource, Tunnel};
use portcullis_flow::{FlowGuess, FlowKey, FlowTable};
use portcullis_wire::decoded::{Address, Encapsulation, Inner};
use portcullis_wire::{Decoded, Decoder};

/// How packets within packets are made out: as the others are.
#[derive(Clone, Debug)]
pub(crate) struct Unwrapping {
    pub(crate) decoder: Decoder,
    pub(crate) scopes: Scopes,
}

impl Unwrapping {
    /// As the engine is told to decode, and to tell flows apart.
    pub(crate) fn new(settings: &EngineSettings) -> Self {
        Self { decoder: Decoder::new(settings.decoder), scopes: Scopes::new(settings) }
    }
}

/// What a packet came out of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    /// What it was taken out of, or put together by.
    pub(crate) source: PacketSource,
    /// The flow of the packet that carried it; 0 for none.
    pub(crate) carrier: u64,
    /// The packet that was received.
    root: Root,
}

#[derive(Clone, Copy, Debug)]
struct Root {
    ip_version: u8,
    source: Address,
    destination: Address,
    source_port: u16,
    destination_port: u16,
    protocol: u8,
    id: u64,
}

impl Origin {
    /// The addresses of the packet that was received: they decide which worker has it.
    pub(crate) const fn outermost(&self) -> (&Address, &Address) {
        (&self.root.source, &self.root.destination)
    }

    /// EVE's `tunnel`, for a packet with so many encapsulations around it.
    pub(crate) fn tunnel(&self, depth: u8, pcap_cnt: bool) -> Tunnel {
        let root = &self.root;
        Tunnel {
            ip_version: root.ip_version,
            source: root.source,
            destination: root.destination,
            source_port: root.source_port,
            destination_port: root.destination_port,
            protocol: root.protocol,
            depth,
            pcap_cnt: Some(root.id).filter(|id| pcap_cnt && *id != 0),
            pkt_src: PacketSource::Wire,
        }
    }
}

impl Judge {
    /// Goes on with what a received packet carries, and says what that means for the frame. `verdict`
    /// is the packet's own.
    #[cold]
    pub(super) fn with_contents(
        &mut self,
        table: &mut FlowTable,
        decoded: &Decoded,
        sought: Option<&Sought>,
        packet: &mut Packet<'_>,
        verdict: Verdict,
    ) -> Verdict {
        let Verdict::Drop(_) = self.contents(table, decoded, packet, verdict) else { return verdict };
        if matches!(verdict, Verdict::Drop(_)) {
            return verdict;
        }
        let reason = DropReason::TunnelPacketDrop;
        // The flow's first packet to be dropped is reported, so the flow has to be asked.
        match sought.and_then(|sought| table.look_up(&sought.keyed, sought.hash)) {
            Some((mut flow, direction)) => {
                let mut case = Case { decoded, flow: Some((&mut flow, direction)) };
                self.report_drop(&mut case, packet, reason, None);
            }
            None => self.report_drop(&mut Case { decoded, flow: None }, packet, reason, None),
        }
        Verdict::Drop(reason)
    }

    /// Judges what a packet carries, unless it is dropped itself. The verdict is that of both.
    fn contents(
        &mut self,
        table: &mut FlowTable,
        decoded: &Decoded,
        packet: &mut Packet<'_>,
        verdict: Verdict,
    ) -> Verdict {
        let carrier = std::mem::take(&mut self.carrier);
        let (Verdict::Accept, Some(inner)) = (verdict, &decoded.inner) else { return verdict };
        // A device may have looked at the outermost checksum only; one that is still to be filled in is
        // the innermost.
        let unfilled = packet.meta.checksum == ChecksumStatus::Partial;
        let part = inner.span.start as usize..inner.span.end as usize;
        let within = inner.span.of(packet.bytes());
        let mut described = Decoded::default();
        self.unwrapping.decoder.decode_inner_into(decoded, inner, unfilled, within, &mut described);
        let meta = PacketMeta { link: inner.start.link(), vlan: inner.vlan, ..packet.meta };
        let source = source(inner);
        let judged = packet
            .within(part, meta, |packet| self.derived(table, decoded, &described, packet, source, carrier));
        judged.unwrap_or(verdict)
    }

    /// Judges a packet that came out of another one, and all that it carries in turn.
    ///
    /// `parent` is the packet it came out of, `source` how, and `carrier` that packet's flow (0 for none).
    /// `decoded` describes `packet`, which is a part of the frame or a buffer of whoever put it together: what
    /// hooks change in the latter goes nowhere.
    pub(super) fn derived(
        &mut self,
        table: &mut FlowTable,
        parent: &Decoded,
        decoded: &Decoded,
        packet: &mut Packet<'_>,
        source: PacketSource,
        carrier: u64,
    ) -> Verdict {
        let root = self.origin.map_or_else(|| root(parent, packet), |origin| origin.root);
        let before = self.origin.replace(Origin { source, carrier, root });
        tally::contents(&mut self.counters, &mut self.alike, decoded);
        if source == PacketSource::Defrag {
            tally::reassembled(&mut self.counters, &mut self.alike, parent, decoded);
        }
        let keyed = FlowKey::of(decoded, self.unwrapping.scopes.at(packet.meta.ingress));
        // Fragments of an ICMP error meet where its own addresses lead, and the flow that it quotes may be
        // another worker's: so that this makes no difference, it is no flow's anywhere.
        let keyed = keyed.filter(|keyed| !(keyed.quoted && source == PacketSource::Defrag));
        let sought = keyed.map(|keyed| {
            let hash = table.hash(&keyed.key);
            Sought { keyed, hash, guess: FlowGuess::NONE }
        });
        let verdict = self.alone(table, decoded, sought.as_ref(), packet);
        let verdict = self.contents(table, decoded, packet, verdict);
        self.origin = before;
        verdict
    }
}

/// What is to be told of the packet that was received; what came out of it has its number.
const fn root(decoded: &Decoded, packet: &Packet<'_>) -> Root {
    Root {
        ip_version: decoded.ip_version,
        source: decoded.source,
        destination: decoded.destination,
        source_port: decoded.source_port,
        destination_port: decoded.destination_port,
        protocol: decoded.protocol,
        id: packet.meta.id,
    }
}

const fn source(inner: &Inner) -> PacketSource {
    match inner.encapsulation {
        Encapsulation::Gre => PacketSource::Gre,
        Encapsulation::Ipv4 => PacketSource::Ipv4Tunnel,
        Encapsulation::Ipv6 => PacketSource::Ipv6Tunnel,
        Encapsulation::Teredo => PacketSource::Teredo,
        Encapsulation::Geneve => PacketSource::Geneve,
        Encapsulation::Vxlan => PacketSource::Vxlan,
    }
}
