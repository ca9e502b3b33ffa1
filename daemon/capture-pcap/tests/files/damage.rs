//! What is damaged is told with its place, after everything before it.

use crate::common::{Capture, every_variant, file, read_all};
use portcullis_capture_pcap::{Damage, PcapError, PcapReader};
use proptest::prelude::*;
use std::path::Path;

#[test]
fn a_file_cut_anywhere_gives_all_before_the_cut() {
    for (name, capture, expected) in every_variant() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cut.pcap");
        for cut in 0..=capture.bytes.len() {
            std::fs::write(&path, &capture.bytes[..cut]).unwrap();
            let (packets, error) = read_all(&path);
            check_cut(&capture, cut, packets.len() as u64, error, name);
            assert_eq!(packets, expected[..packets.len()], "{name} cut at {cut}");
        }
    }
}

fn check_cut(capture: &Capture, cut: usize, packets: u64, error: Option<PcapError>, name: &str) {
    let at = format!("{name} cut at {cut}: {error:?}");
    if cut < 4 {
        assert_eq!(packets, 0, "{at}");
        match error {
            Some(PcapError::Empty { .. }) => assert_eq!(cut, 0, "{at}"),
            Some(PcapError::NotACapture { start, .. }) => assert_eq!(start.len(), cut, "{at}"),
            _ => panic!("{at}"),
        }
        return;
    }
    // The record that is cut, or the one that would start here.
    let starts = || capture.starts.iter().copied().filter(|(start, _)| *start <= cut);
    let (start, before) =
        if cut < capture.header() { (0, 0) } else { starts().next_back().unwrap_or((cut, 0)) };
    if cut == capture.bytes.len() {
        assert!(error.is_none(), "{at}");
        assert_eq!(packets, capture.packets(), "{at}");
        return;
    }
    assert_eq!(packets, before, "{at}");
    match error {
        None => assert_eq!(start, cut, "{at}"),
        Some(PcapError::Damaged { offset, packets, reason: Damage::Truncated { missing }, .. }) => {
            assert_eq!((offset, packets), (start as u64, before), "{at}");
            assert!(missing > 0 && start < cut, "{at}");
        }
        _ => panic!("{at}"),
    }
}

#[test]
fn a_file_that_cannot_be_opened_says_why() {
    let check = |path: &Path, expected: &str| {
        let message = PcapReader::open(path).unwrap_err().to_string();
        assert!(message.contains(expected) && message.contains(&path.display().to_string()), "{message}");
    };
    let folder = tempfile::tempdir().unwrap();
    check(&folder.path().join("none.pcap"), "cannot open");
    check(folder.path(), "Is a directory");
    let path = folder.path().join("file");
    for (bytes, expected) in [
        (&b""[..], "is empty"),
        (b"# a text file\n", "neither pcap nor pcapng: it starts with [23, 20, 61, 20]"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"\xfd7zXZ", "xz"),
        (
            b"\xd4\xc3\xb2\xa1\x03\x00\x04\x00________________",
            "damaged at byte 0, after 0 packets: version 3.4",
        ),
        (b"\x0a\x0d\x0d\x0a\x1c\x00\x00\x00abcd________________", "no byte-order magic"),
        (b"\x0a\x0d\x0d\x0a\x0c\x00\x00\x00\x4d\x3c\x2b\x1a________________", "cannot be 12 bytes long"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        check(&path, expected);
    }
}

/// A capture of one packet, and something that is wrong after it.
fn check_damage(mut capture: Capture, expected: Damage, harm: impl FnOnce(&mut Capture)) {
    let start = capture.bytes.len() as u64;
    let before = capture.packets();
    harm(&mut capture);
    let (_folder, path) = file(&capture.bytes);
    let (packets, error) = read_all(&path);
    assert_eq!(packets.len() as u64, before);
    match error {
        Some(PcapError::Damaged { offset, packets, reason, .. }) => {
            assert_eq!((offset, packets, reason), (start, before, expected));
        }
        other => panic!("{expected:?}, but {other:?}"),
    }
}

#[test]
fn a_damaged_record_is_told_with_its_place() {
    for big_endian in [false, true] {
        let mut classic = Capture::classic(big_endian, 0xa1b2_c3d4, 1);
        classic.record(1, 1, &[1; 60], 60, 0);
        let length = 262_145;
        check_damage(classic, Damage::PacketLength { length }, |capture| {
            capture.record(2, 2, &vec![2; 262_145], length, 0);
        });
    }
}

#[test]
fn a_damaged_block_is_told_with_its_place() {
    for big_endian in [false, true] {
        let mut ng = Capture::ng(big_endian);
        ng.interface(1, 0, &[]);
        ng.enhanced(0, 1, &[1; 60], 60);
        let check = |expected: Damage, harm: &dyn Fn(&mut Capture)| check_damage(ng.clone(), expected, harm);
        // Changes the last byte of a word of what was just written, wherever the byte order has it.
        let poke = move |capture: &mut Capture, at: usize, value: u8| {
            let at = if big_endian { at + 3 } else { at };
            capture.bytes[at] = value;
        };
        check(Damage::NoSuchInterface { interface: 1, described: 1 }, &|capture| {
            capture.enhanced(1, 2, &[2; 60], 60);
        });
        check(Damage::NoSuchInterface { interface: 7, described: 1 }, &|capture| {
            capture.obsolete(7, 2, &[2; 60], 60);
        });
        check(Damage::PacketLength { length: 262_145 }, &|capture| {
            capture.enhanced(0, 2, &vec![2; 262_145], 262_145);
        });
        check(Damage::BlockTrailer { length: 16, trailer: 20 }, &|capture| {
            capture.block(0x0bad_cafe, &[0; 4]);
            let end = capture.bytes.len();
            poke(capture, end - 4, 20);
        });
        check(Damage::BlockLength { kind: 0x0bad_cafe, length: 17 }, &|capture| {
            capture.block(0x0bad_cafe, &[0; 4]);
            let end = capture.bytes.len();
            poke(capture, end - 12, 17);
        });
        check(Damage::BlockLength { kind: 5, length: 8 }, &|capture| {
            capture.block(5, &[0; 4]);
            let end = capture.bytes.len();
            poke(capture, end - 12, 8);
        });
        check(Damage::BlockLength { kind: 6, length: 24 }, &|capture| capture.block(6, &[0; 12]));
        check(Damage::PacketBeyondBlock { captured: 200, length: 32 }, &|capture| {
            capture.block(6, &[0; 20]);
            let end = capture.bytes.len();
            poke(capture, end - 12, 200);
        });
        check(Damage::PacketBeyondBlock { captured: 99, length: 20 }, &|capture| capture.simple(&[3; 4], 99));
        check(Damage::OptionBeyondBlock { code: 4, length: 255 }, &|capture| {
            capture.interface(1, 0, &[(4, &[0; 4])]);
            let at = capture.bytes.len() - 10;
            capture.bytes[at + usize::from(big_endian)] = 255;
        });
        check(Damage::Version { major: 2, minor: 0 }, &|capture| {
            let at = capture.bytes.len();
            capture.section(big_endian);
            capture.bytes[at + 12 + usize::from(big_endian)] = 2;
        });
    }
}

#[test]
fn a_packet_before_any_interface_is_damage() {
    let capture = Capture::ng(false);
    check_damage(capture.clone(), Damage::NoSuchInterface { interface: 0, described: 0 }, |capture| {
        capture.enhanced(0, 1, &[1; 60], 60);
    });
    check_damage(capture, Damage::NoSuchInterface { interface: 0, described: 0 }, |capture| {
        capture.simple(&[1; 60], 60);
    });
}

#[test]
fn interfaces_are_bounded() {
    let mut capture = Capture::ng(false);
    for _ in 0..65_536 {
        capture.interface(1, 0, &[]);
    }
    check_damage(capture, Damage::TooManyInterfaces, |capture| capture.interface(1, 0, &[]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn any_bytes_end_without_a_panic(
        variant in 0_usize..8,
        pokes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let (_, mut capture, _) = every_variant().swap_remove(variant);
        for (at, value) in pokes {
            let at = at.index(capture.bytes.len());
            capture.bytes[at] = value;
        }
        let (_folder, path) = file(&capture.bytes);
        let (packets, error) = read_all(&path);
        prop_assert!(packets.len() <= capture.bytes.len() / 16);
        if let Some(PcapError::Damaged { offset, packets: before, .. }) = error {
            prop_assert_eq!(before, packets.len() as u64);
            prop_assert!(offset <= capture.bytes.len() as u64);
        }
    }
}
