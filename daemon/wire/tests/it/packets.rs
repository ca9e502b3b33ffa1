//! Generated packets: descriptions that can be built and then compared with what was decoded.

use portcullis_wire::PacketBuilder;
use proptest::collection::vec;
use proptest::prelude::*;

/// Everything about a packet that the tests look at.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) vlans: Vec<(u16, u16)>,
    pub(crate) v6: bool,
    pub(crate) source: [u8; 16],
    pub(crate) destination: [u8; 16],
    pub(crate) ttl: u8,
    pub(crate) tos: u8,
    pub(crate) id: u16,
    pub(crate) flow_label: u32,
    pub(crate) no_operations: usize,
    pub(crate) extensions: Vec<(u8, Vec<u8>)>,
    pub(crate) fragment: Option<(u16, bool)>,
    pub(crate) transport: Transport,
    pub(crate) payload: Vec<u8>,
    pub(crate) padding: usize,
}

#[derive(Clone, Debug)]
pub(crate) enum Transport {
    Tcp { ports: (u16, u16), seq: u32, ack: u32, flags: u8, window: u16, urgent: u16, options: usize },
    Udp { ports: (u16, u16), checksum: bool },
    Echo { reply: bool, id: u16, seq: u16 },
    Other(u8),
}

impl Packet {
    pub(crate) fn v4_source(&self) -> [u8; 4] {
        *self.source.first_chunk().expect("16 bytes")
    }

    pub(crate) fn v4_destination(&self) -> [u8; 4] {
        *self.destination.first_chunk().expect("16 bytes")
    }

    /// The frame, with an Ethernet header.
    pub(crate) fn build(&self) -> Vec<u8> {
        let options = [1; 40];
        let mut builder = PacketBuilder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
            .ttl(self.ttl)
            .tos(self.tos)
            .ip_id(u32::from(self.id))
            .flow_label(self.flow_label)
            .ip_options(&options[..self.no_operations])
            .payload(&self.payload);
        for &(tpid, tci) in &self.vlans {
            builder = builder.vlan_tag(tpid, tci);
        }
        builder = if self.v6 {
            builder.ipv6(self.source, self.destination)
        } else {
            builder.ipv4(self.v4_source(), self.v4_destination())
        };
        for (protocol, body) in &self.extensions {
            builder = builder.extension(*protocol, body);
        }
        if let Some((offset, more)) = self.fragment {
            builder = builder.fragment(offset, more);
        }
        builder = match self.transport {
            Transport::Tcp {
                ports: (source, destination),
                seq,
                ack,
                flags,
                window,
                urgent,
                options: count,
            } => {
                let tcp = builder.tcp(source, destination).seq(seq).ack(ack).flags(flags);
                tcp.window(window).urgent(urgent).tcp_options(&options[..count])
            }
            Transport::Udp { ports: (source, destination), checksum } => {
                let udp = builder.udp(source, destination);
                if checksum { udp } else { udp.no_udp_checksum() }
            }
            Transport::Echo { reply: true, id, seq } => builder.echo_reply(id, seq),
            Transport::Echo { reply: false, id, seq } => builder.echo_request(id, seq),
            Transport::Other(protocol) => builder.protocol(protocol),
        };
        builder.minimum(builder.length() + self.padding).to_vec()
    }
}

/// Whole packets of all kinds.
pub(crate) fn whole() -> impl Strategy<Value = Packet> {
    let network = (any::<bool>(), any::<[u8; 16]>(), any::<[u8; 16]>());
    let fields = (any::<u8>(), any::<u8>(), any::<u16>(), 0u32..1 << 20, 0usize..=40);
    let link = (vec((tpid(), any::<u16>()), 0..=3), 0usize..20);
    let payload = vec(any::<u8>(), 0..120);
    (network, fields, link, vec(extension(), 0..=4), transport(), payload).prop_map(
        |(
            (v6, source, destination),
            (ttl, tos, id, label, options),
            (vlans, padding),
            extensions,
            transport,
            mut payload,
        )| {
            if let Transport::Other(_) = transport {
                // After extension headers less than two bytes cannot be a header.
                payload.extend([7; 2]);
            }
            Packet {
                vlans,
                v6,
                source,
                destination,
                ttl,
                tos,
                id,
                flow_label: label,
                no_operations: options,
                extensions: if v6 { extensions } else { vec![] },
                fragment: None,
                transport,
                payload,
                padding,
            }
        },
    )
}

fn tpid() -> impl Strategy<Value = u16> {
    prop_oneof![Just(0x8100), Just(0x88a8), Just(0x9100)]
}

/// Headers that etherparse knows as well; a routing header has no segments left, so that the
/// destination is that of the checksum.
fn extension() -> impl Strategy<Value = (u8, Vec<u8>)> {
    prop_oneof![
        vec(Just(0u8), 0..30).prop_map(|body| (60, body)),
        vec(any::<u8>(), 0..30).prop_map(|body| (43, [vec![4, 0], body].concat())),
        vec(any::<u8>(), 14..30).prop_map(|body| (51, body)),
    ]
}

fn transport() -> impl Strategy<Value = Transport> {
    let ports = any::<(u16, u16)>();
    let tcp = (any::<(u32, u32)>(), any::<u8>(), any::<(u16, u16)>(), 0usize..=40);
    prop_oneof![
        (ports, tcp).prop_map(|(ports, ((seq, ack), flags, (window, urgent), options))| {
            Transport::Tcp { ports, seq, ack, flags, window, urgent, options }
        }),
        (ports, Just(true)).prop_map(|(ports, checksum)| Transport::Udp { ports, checksum }),
        any::<(bool, u16, u16)>().prop_map(|(reply, id, seq)| Transport::Echo { reply, id, seq }),
        // RSVP, OSPF, PIM and one that is not assigned.
        prop::sample::select(vec![46u8, 89, 103, 200]).prop_map(Transport::Other),
    ]
}

/// Changes to a frame: bytes overwritten, then the end cut off.
pub(crate) fn damage() -> impl Strategy<Value = (Vec<(prop::sample::Index, u8)>, prop::sample::Index)> {
    (vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), any::<prop::sample::Index>())
}

/// Most damage is near the front, where the headers are.
pub(crate) fn apply(
    frame: &mut Vec<u8>,
    (changes, cut): &(Vec<(prop::sample::Index, u8)>, prop::sample::Index),
) {
    for (number, (place, value)) in changes.iter().enumerate() {
        let reach = if number == 0 { frame.len() } else { frame.len().min(80) };
        frame[place.index(reach)] = *value;
    }
    let cut = cut.index(frame.len() * 2);
    frame.truncate(if cut == 0 { 0 } else { cut });
}
