//! Every variant of the formats is read as it was written.

use crate::common::{Capture, every_variant, file, read_all};
use pcap_parser::traits::PcapReaderIterator;
use pcap_parser::{Block, LegacyPcapReader, PcapBlockOwned, PcapNGReader};
use portcullis_capture::FrameSource;
use portcullis_capture_pcap::PcapReader;
use portcullis_wire::LinkType;

#[test]
fn every_variant_is_read_as_written() {
    for (name, capture, expected) in every_variant() {
        let (_folder, path) = file(&capture.bytes);
        let (packets, error) = read_all(&path);
        assert!(error.is_none(), "{name}: {error:?}");
        assert_eq!(packets, expected, "{name}, big-endian: {}", capture.big_endian);
    }
}

/// The hand-made files are captures to another reader too.
#[test]
fn another_reader_finds_the_same_packets() {
    for (name, capture, expected) in every_variant() {
        let mut found = Vec::new();
        let mut take = |block: PcapBlockOwned<'_>| match block {
            PcapBlockOwned::Legacy(record) => found.push(record.data.to_vec()),
            PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                found.push(packet.data[..packet.caplen as usize].to_vec());
            }
            PcapBlockOwned::NG(Block::SimplePacket(packet)) => {
                let length = packet.data.len().min(packet.origlen as usize);
                found.push(packet.data[..length].to_vec());
            }
            _ => {}
        };
        match name {
            // It does not know this variant in big-endian.
            "modified" if capture.big_endian => continue,
            "pcapng" => each(PcapNGReader::new(65_536, &capture.bytes[..]).unwrap(), &mut take),
            _ => each(LegacyPcapReader::new(65_536, &capture.bytes[..]).unwrap(), &mut take),
        }
        let mut expected: Vec<_> = expected.into_iter().map(|packet| packet.bytes).collect();
        if name == "pcapng" {
            // It passes over obsolete packet blocks.
            expected.remove(4);
        }
        assert_eq!(found, expected, "{name}");
    }
}

fn each(mut reader: impl PcapReaderIterator, take: &mut dyn FnMut(PcapBlockOwned<'_>)) {
    loop {
        let taken = match reader.next() {
            Ok((taken, block)) => {
                take(block);
                taken
            }
            Err(pcap_parser::PcapError::Eof) => return,
            Err(pcap_parser::PcapError::Incomplete(_)) => {
                reader.refill().unwrap();
                continue;
            }
            Err(error) => panic!("{error:?}"),
        };
        reader.consume(taken);
    }
}

#[test]
fn the_link_type_is_known_before_the_first_packet() {
    let check = |capture: &Capture, link: LinkType| {
        let (_folder, path) = file(&capture.bytes);
        assert_eq!(PcapReader::open(&path).unwrap().link(), link);
    };
    check(&Capture::classic(false, 0xa1b2_c3d4, 276), LinkType::LinuxSll2);
    // With a frame check sequence of four bytes, as the upper bits say.
    check(&Capture::classic(true, 0xa1b2_c3d4, 0x4400_0001), LinkType::Ethernet);
    let mut ng = Capture::ng(true);
    check(&ng, LinkType::Ethernet);
    ng.block(0x0bad_cafe, &[0; 400]);
    ng.interface(101, 0, &[]);
    check(&ng, LinkType::Raw);
}

#[test]
fn progress_goes_from_nothing_to_all() {
    let mut capture = Capture::classic(false, 0xa1b2_c3d4, 1);
    for n in 0..100 {
        capture.record(n, 0, &[0; 100], 100, 0);
    }
    let (_folder, path) = file(&capture.bytes);
    let mut reader = PcapReader::open(&path).unwrap();
    let progress = reader.progress();
    assert_eq!((progress.read(), progress.total()), (24, 24 + 100 * 116));
    reader.read(&mut portcullis_capture::Frame::default()).unwrap();
    assert_eq!(progress.read(), 24 + 116);
}

#[test]
fn a_large_unknown_block_is_passed_over_and_the_largest_packet_read() {
    let mut capture = Capture::ng(false);
    capture.interface(1, 0, &[]);
    capture.block(0x0bad_cafe, &vec![7; 5_000_000]);
    capture.enhanced(0, 1, &vec![8; 262_144], 262_144);
    let (_folder, path) = file(&capture.bytes);
    let (packets, error) = read_all(&path);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(packets.len(), 1);
    assert_eq!(packets[0].bytes, vec![8; 262_144]);
}
