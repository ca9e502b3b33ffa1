//! Counting what was decoded and what became of it.

mod streams;

use portcullis_capture::Verdict;
use portcullis_event::Counters;
use portcullis_wire::Decoded;
use portcullis_wire::decoded::{Layer, Layers, TcpFlags, Transport};

pub(crate) use streams::streams;

/// Packets with the same layers, counted together and added up before anybody looks: there are some four layers to a
/// packet, and a handful of ways in which they come.
#[derive(Debug, Default)]
pub(crate) struct Alike([(Layers, u64); Alike::WAYS]);

impl Alike {
    const WAYS: usize = 8;

    #[inline]
    fn count(&mut self, counters: &mut Counters, layers: Layers) {
        let (kept, packets) = &mut self.0[layers.place(Self::WAYS)];
        if *kept != layers {
            add(counters, *kept, *packets);
            (*kept, *packets) = (layers, 0);
        }
        *packets += 1;
    }

    /// Adds up what was counted so far.
    pub(crate) fn settle(&mut self, counters: &mut Counters) {
        for (layers, packets) in self.0.iter_mut().filter(|(_, packets)| *packets > 0) {
            add(counters, *layers, std::mem::take(packets));
        }
    }
}

#[inline(never)]
fn add(counters: &mut Counters, layers: Layers, packets: u64) {
    for layer in layers.iter() {
        *layer_counter(counters, layer) += packets;
    }
}

/// Counts a packet that is about to be judged: `decoder.*` and the flags under `tcp.*`.
#[inline]
pub(crate) fn packet(counters: &mut Counters, alike: &mut Alike, decoded: &Decoded, length: u64) {
    counters.decoder_pkts += 1;
    counters.decoder_bytes += length;
    counters.decoder_max_pkt_size = counters.decoder_max_pkt_size.max(length);
    contents(counters, alike, decoded);
}

/// Counts a packet that came out of another one: what was found in it, but no packet more.
#[inline]
pub(crate) fn contents(counters: &mut Counters, alike: &mut Alike, decoded: &Decoded) {
    counters.decoder_invalid += u64::from(decoded.invalid.is_some());
    alike.count(counters, decoded.layers);
    if let Transport::Tcp(tcp) = &decoded.transport {
        counters.tcp_invalid_checksum += u64::from(decoded.bad_checksums.transport);
        if tcp.flags.0 & (TcpFlags::SYN | TcpFlags::RST | TcpFlags::URG) != 0 {
            flags(counters, tcp.flags);
        }
    }
}

fn flags(counters: &mut Counters, flags: TcpFlags) {
    let syn = flags.has(TcpFlags::SYN);
    counters.tcp_syn += u64::from(syn && !flags.has(TcpFlags::ACK));
    counters.tcp_synack += u64::from(syn && flags.has(TcpFlags::ACK));
    counters.tcp_rst += u64::from(flags.has(TcpFlags::RST));
    counters.tcp_urg += u64::from(flags.has(TcpFlags::URG));
}

/// Takes back what the datagram has of its fragment, and was counted with it: all but its own IP header.
pub(crate) fn reassembled(
    counters: &mut Counters,
    alike: &mut Alike,
    fragment: &Decoded,
    datagram: &Decoded,
) {
    alike.settle(counters);
    let again =
        |layer: &Layer| !matches!(layer, Layer::Ipv4 | Layer::Ipv6) && datagram.layers.contains(*layer);
    for layer in fragment.layers.iter().filter(again) {
        *layer_counter(counters, layer) -= 1;
    }
}

/// Counts what became of a packet: `ips.*`.
/// As in Suricata a rejected packet is not among the blocked ones.
pub(crate) fn verdict(counters: &mut Counters, verdict: Verdict, rejected: bool) {
    match verdict {
        Verdict::Accept => counters.ips_accepted += 1,
        Verdict::Drop(reason) => {
            let counter = if rejected { &mut counters.ips_rejected } else { &mut counters.ips_blocked };
            *counter += 1;
            *counters.drop_reason_mut(reason) += 1;
        }
        Verdict::Steer(_) => {}
    }
}

fn layer_counter(counters: &mut Counters, layer: Layer) -> &mut u64 {
    match layer {
        Layer::Ethernet => &mut counters.decoder_ethernet,
        Layer::Null => &mut counters.decoder_null,
        Layer::Ppp => &mut counters.decoder_ppp,
        Layer::Raw => &mut counters.decoder_raw,
        Layer::Sll => &mut counters.decoder_sll,
        Layer::Sll2 => &mut counters.decoder_sll2,
        Layer::Chdlc => &mut counters.decoder_chdlc,
        Layer::Vlan => &mut counters.decoder_vlan,
        Layer::VlanQinq => &mut counters.decoder_vlan_qinq,
        Layer::VlanQinqinq => &mut counters.decoder_vlan_qinqinq,
        Layer::Arp => &mut counters.decoder_arp,
        Layer::UnknownEthertype => &mut counters.decoder_unknown_ethertype,
        Layer::Ipv4 => &mut counters.decoder_ipv4,
        Layer::Ipv6 => &mut counters.decoder_ipv6,
        Layer::Tcp => &mut counters.decoder_tcp,
        Layer::Udp => &mut counters.decoder_udp,
        Layer::Sctp => &mut counters.decoder_sctp,
        Layer::Esp => &mut counters.decoder_esp,
        Layer::Icmpv4 => &mut counters.decoder_icmpv4,
        Layer::Icmpv6 => &mut counters.decoder_icmpv6,
        Layer::Pppoe => &mut counters.decoder_pppoe,
        Layer::Geneve => &mut counters.decoder_geneve,
        Layer::Gre => &mut counters.decoder_gre,
        Layer::Vxlan => &mut counters.decoder_vxlan,
        Layer::Vntag => &mut counters.decoder_vntag,
        Layer::Etag => &mut counters.decoder_etag,
        Layer::Ieee8021ah => &mut counters.decoder_ieee8021ah,
        Layer::Teredo => &mut counters.decoder_teredo,
        Layer::Ipv4InIpv4 => &mut counters.decoder_ipv4_in_ipv4,
        Layer::Ipv6InIpv4 => &mut counters.decoder_ipv6_in_ipv4,
        Layer::Ipv4InIpv6 => &mut counters.decoder_ipv4_in_ipv6,
        Layer::Ipv6InIpv6 => &mut counters.decoder_ipv6_in_ipv6,
        Layer::Mpls => &mut counters.decoder_mpls,
        Layer::Erspan => &mut counters.decoder_erspan,
        Layer::Nsh => &mut counters.decoder_nsh,
        Layer::TooManyLayers => &mut counters.decoder_too_many_layers,
    }
}
