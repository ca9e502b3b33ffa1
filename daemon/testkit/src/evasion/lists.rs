//! What was published, item by item, and which rows try it.

/// What tries an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// Rows whose names begin like one of these.
    Rows(&'static [&'static str]),
    /// A test elsewhere, for it cannot hide anything in a session: its file below `daemon`, and its name.
    Test(&'static str, &'static str),
}

use Tried::{Rows, Test};

/// A list: its name, and each of its items with what tries it.
pub type List = (&'static str, &'static [(&'static str, Tried)]);

/// The lists.
pub const LISTS: [List; 3] = [
    ("Ptacek and Newsham", PTACEK_NEWSHAM),
    ("Handley, Paxson and Kreibich", HANDLEY_PAXSON_KREIBICH),
    ("SymTCP", SYMTCP),
];

/// By section, then the scripts in the order of their appendix.
const PTACEK_NEWSHAM: &[(&str, Tried)] = &[
    ("link-layer address of another host", Rows(&["Ethernet: another destination"])),
    ("bad IP header fields", Rows(&["IP version", "IP header length", "IP length", "IPv6 version"])),
    ("IP header checksum", Rows(&["IP checksum"])),
    ("time to live", Rows(&["insertion: chaff that dies", "IP time to live", "IPv6 hop limit"])),
    ("do not fragment before a narrow link", Rows(&["large: chaff"])),
    ("IP options, source route", Rows(&["IP options: strict source route", "IP options: length 0"])),
    ("fragments in order, 8 and 24 bytes", Rows(&["fragments: of 8", "fragments: of 24"])),
    ("one fragment out of order", Rows(&["fragments: of 8, the first one last"])),
    ("fragments twice", Rows(&["fragments: of 8, each twice"])),
    ("all fragments out of order", Rows(&["fragments: of 8, backwards"])),
    ("the last fragment first", Rows(&["fragments: of 8, the last one first"])),
    ("fragments over the ones behind", Rows(&["fragments: of 8, a wide chaff", "fragments: of 16, chaff"])),
    ("fragments until memory is full", Test("defrag/src/tests/limits.rs", "a_flood_stays_within_memory")),
    ("fragments that time out", Rows(&["fragments: of 8, the last after", "fragments: of 8, an old chaff"])),
    ("TCP header fields", Rows(&["TCP data offset", "TCP reserved bits", "TCP flags"])),
    ("TCP checksum", Rows(&["TCP checksum"])),
    ("TCP options where they are not expected", Rows(&["TCP options"])),
    ("timestamps that are too old", Rows(&["insertion: chaff with an old timestamp"])),
    ("data without ACK", Rows(&["insertion: chaff without ACK"])),
    ("data with a SYN", Rows(&["opening: a SYN with all of it", "opening: a SYN with chaff"])),
    ("FIN with a wrong checksum, then bytes", Rows(&["end: FIN with a wrong checksum"])),
    ("numbers that go over the end", Rows(&["segments: of 1"])),
    ("a segment twice", Rows(&["segments: of 1, each twice"])),
    ("a segment over one before", Rows(&["overlap: chaff second", "overlap: chaff first"])),
    ("segments over the ones behind", Rows(&["interleaved: chaff over the place behind, pieces of 2"])),
    ("chaff with far numbers between", Rows(&["interleaved: chaff far ahead", "sequence: chaff"])),
    ("a segment out of order", Rows(&["segments: of 8, in pairs backwards"])),
    ("all segments out of order", Rows(&["segments: of 8, backwards"])),
    ("no handshake", Rows(&["opening: no handshake"])),
    ("SYNs between", Rows(&["interleaved: SYNs", "begin: a SYN in the window"])),
    ("chaff, then a handshake", Rows(&["opening: chaff, and then the handshake"])),
    ("a reset, then another session", Rows(&["begin: a session that is reset"])),
    ("resets and FINs that hosts refuse", Rows(&["end: RST", "end: FIN"])),
    ("silence until state is forgotten", Rows(&["silence"])),
    ("sessions until memory is full", Test("stream/tests/it/limits.rs", "sessions_within_memcap")),
];

/// Header field by header field.
const HANDLEY_PAXSON_KREIBICH: &[(&str, Tried)] = &[
    ("IP version", Rows(&["IP version", "IPv6 version", "Ethernet: the type of IPv6"])),
    ("IP header length", Rows(&["IP header length"])),
    ("type of service", Rows(&["IP type of service", "IPv6 traffic class"])),
    (
        "total length",
        Rows(&["IP length", "IPv6 length", "Ethernet: bytes behind", "Ethernet: a frame that is cut"]),
    ),
    ("identification", Rows(&["IP identification"])),
    ("reserved flag", Rows(&["IP flags: reserved"])),
    ("do not fragment", Rows(&["IP flags: DF", "large: chaff"])),
    ("more fragments", Rows(&["IP flags: MF", "IP flags: DF and MF"])),
    ("fragment offset", Rows(&["IP offset", "IPv6 headers: a second fragment"])),
    ("larger than 64 KiB as a whole", Test("defrag/src/tests/limits.rs", "too_large_only_as_a_whole")),
    ("time to live", Rows(&["IP time to live", "IPv6 hop limit"])),
    ("protocol", Rows(&["IP protocol", "IPv6 next header"])),
    ("header checksum", Rows(&["IP checksum"])),
    ("source address", Rows(&["IP source", "IPv6 source"])),
    ("destination address", Rows(&["IP destination", "IPv6 destination"])),
    ("IP options", Rows(&["IP options"])),
    ("padding of options", Rows(&["IP options: end, then rubbish"])),
    ("fragments that overlap", Rows(&["fragments: of 8, chaff", "fragments: overlapping segments"])),
    ("UDP length", Test("wire/src/decode/transport.rs", "udp_lengths")),
    ("UDP checksum", Test("wire/src/decode/transport.rs", "udp_checksum_covers_its_own_length_only")),
    ("TCP sequence: retransmitted otherwise", Rows(&["overlap"])),
    ("TCP sequence: out of the window", Rows(&["sequence: chaff"])),
    ("TCP acknowledgement", Rows(&["TCP acknowledgement", "insertion: chaff that acknowledges"])),
    ("TCP data offset", Rows(&["TCP data offset"])),
    ("TCP reserved bits", Rows(&["TCP reserved bits"])),
    ("TCP flags in every combination", Rows(&["TCP flags: 0x00", "TCP flags: 0x03", "TCP flags: 0x3f"])),
    ("TCP window, withdrawn", Rows(&["TCP window: 0", "TCP window: 1"])),
    ("TCP checksum", Rows(&["TCP checksum"])),
    ("urgent pointer", Rows(&["urgent", "TCP urgent pointer"])),
    ("maximum segment size", Rows(&["TCP options: segment size"])),
    ("window scale", Rows(&["TCP options: window scale"])),
    ("selective acknowledgement", Rows(&["TCP options: selective acknowledgement"])),
    (
        "echo, T/TCP, other checksums",
        Rows(&["TCP options: echo", "TCP options: connection", "TCP options: another"]),
    ),
    (
        "timestamps",
        Rows(&["TCP options: timestamp", "TCP options: old timestamp", "insertion: chaff with a timestamp"]),
    ),
    ("signatures", Rows(&["TCP options: signature", "TCP options: authentication"])),
    (
        "options cut or of a wrong length",
        Rows(&["TCP options: length", "TCP options: a timestamp that is cut"]),
    ),
    ("resets that may not arrive", Rows(&["end: RST that dies", "begin: RST, then a new SYN"])),
    ("keep-alives", Rows(&["segments: keep-alives"])),
    ("data with a SYN", Rows(&["opening: a SYN with data"])),
    ("ICMP about a session", Rows(&["ICMP"])),
    (
        "a cold start",
        Test(
            "engine/tests/it/blindness.rs",
            "the_grace_is_bounded_by_number_and_time_and_comes_again_after_a_blind_time",
        ),
    ),
    ("state until memory is full", Test("stream/tests/it/limits.rs", "payload_within_memcap")),
];

/// By the packet that is inserted or that evades.
const SYMTCP: &[(&str, Tried)] = &[
    ("SYN with data", Rows(&["opening: a SYN with chaff", "opening: a SYN with data"])),
    ("several SYNs", Rows(&["opening: another SYN", "opening: many SYNs"])),
    ("SYN and FIN", Rows(&["opening: SYN and FIN"])),
    ("SYN in the window", Rows(&["begin: a SYN in the window", "insertion: chaff with SYN"])),
    ("SYN and ACK in the window", Rows(&["insertion: chaff with SYN and ACK"])),
    ("a RST while the handshake goes on", Rows(&["opening: a RST that dies"])),
    (
        "a wrong acknowledgement in the handshake",
        Rows(&["opening: a wrong acknowledgement first", "opening: chaff before the last"]),
    ),
    (
        "RST or FIN with a wrong checksum",
        Rows(&["end: RST with a wrong checksum", "end: FIN with a wrong checksum"]),
    ),
    (
        "RST or FIN with a wrong header length",
        Rows(&["end: RST with a data offset", "end: FIN with a data offset"]),
    ),
    ("RST or FIN with a signature", Rows(&["end: RST with a signature", "end: FIN with a signature"])),
    ("RST or FIN with an old timestamp", Rows(&["end: RST with an old", "end: FIN with an old"])),
    (
        "RST or FIN that acknowledges too much",
        Rows(&["end: RST that acknowledges", "end: FIN that acknowledges"]),
    ),
    ("RST in the window, but not exact", Rows(&["end: RST one too far", "end: RST in the window"])),
    ("RST partly in the window", Rows(&["end: RST partly in the window", "end: RST with data"])),
    ("RST or FIN that dies on the way", Rows(&["end: RST that dies", "end: FIN that dies"])),
    ("FIN without ACK", Rows(&["end: FIN without ACK"])),
    ("FIN ahead of what was sent", Rows(&["end: FIN ahead", "end: FIN far ahead"])),
    ("data with a wrong checksum", Rows(&["TCP checksum: wrong"])),
    ("data with a wrong header length", Rows(&["TCP data offset"])),
    ("data with a signature", Rows(&["insertion: chaff with a signature"])),
    ("data with an old timestamp", Rows(&["insertion: chaff with an old timestamp"])),
    ("data without ACK or any flag", Rows(&["insertion: chaff without"])),
    ("data that acknowledges too much or too little", Rows(&["insertion: chaff that acknowledges"])),
    ("data that dies on the way", Rows(&["insertion: chaff that dies"])),
    ("data from before the first byte", Rows(&["sequence: 1 bytes before", "sequence: 2000 bytes before"])),
    (
        "data far ahead, a large gap",
        Rows(&["sequence: chaff 65535 ahead", "sequence: chaff over the window's end"]),
    ),
    ("data that overlaps what waits", Rows(&["overlap: waiting chaff"])),
    ("data after long silence", Rows(&["silence"])),
    ("urgent data", Rows(&["urgent: a byte too many", "urgent: a pointer of zero"])),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evasion::rows;
    use std::fs;
    use std::path::Path;

    #[test]
    fn every_item_is_tried() {
        let names: Vec<_> = rows().into_iter().map(|row| row.name).collect();
        let daemon = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("it stands in a folder");
        for (list, items) in LISTS {
            for (item, tried) in items {
                match tried {
                    Rows(prefixes) => {
                        for prefix in *prefixes {
                            let named = names.iter().any(|name| name.starts_with(prefix));
                            assert!(named, "{list}, {item}: no row is called {prefix:?}");
                        }
                    }
                    Test(file, name) => {
                        let text = fs::read_to_string(daemon.join(file)).expect(file);
                        let there = text.contains(&format!("#[test]\nfn {name}()"))
                            || text.contains(&format!("#[test]\n    fn {name}()"));
                        assert!(there, "{list}, {item}: no test {name} in {file}");
                    }
                }
            }
        }
    }

    #[test]
    fn no_two_rows_share_a_name() {
        let mut names: Vec<_> = rows().into_iter().map(|row| row.name).collect();
        names.sort_unstable();
        let before = names.len();
        names.dedup();
        assert_eq!(names.len(), before);
    }
}
