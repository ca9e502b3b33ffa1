//! What was accepted is stored as it was.

use crate::common::{Capture, Expected, every_variant, file, read_all};
use portcullis_capture::{DropReason, PacketModule, Poll, Verdict};
use portcullis_capture_pcap::{PcapError, PcapModule, PcapOptions};
use std::path::{Path, PathBuf};

/// Replays a file into another one; of every ten packets `dropped` are.
fn store(path: &Path, write: PathBuf, dropped: u64) -> Result<(), PcapError> {
    let options = PcapOptions { write: Some(write), ..PcapOptions::for_workers(1) };
    let mut states = PcapModule::open(path, options)?;
    assert!(!states[0].properties().pass_through);
    loop {
        let poll = states[0].poll(&mut |burst| {
            for index in 0..burst.len() {
                let is_dropped = burst.packets()[index].meta.id % 10 < dropped;
                let verdict = if is_dropped { Verdict::Drop(DropReason::Rules) } else { Verdict::Accept };
                burst.judge(index, verdict);
            }
        })?;
        if poll == Poll::End {
            return Ok(());
        }
    }
}

#[test]
fn what_is_written_reads_back_the_same() {
    for (name, capture, expected) in every_variant() {
        if name == "pcapng" {
            continue;
        }
        let (folder, path) = file(&capture.bytes);
        let write = folder.path().join("out.pcap");
        store(&path, write.clone(), 0).unwrap();
        let (stored, error) = read_all(&write);
        assert!(error.is_none());
        assert_eq!(stored, expected, "{name}");
        let bytes = std::fs::read(&write).unwrap();
        let magic: u32 = if name == "nano" { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
        assert_eq!(bytes[..4], magic.to_le_bytes(), "{name}");
        if !capture.big_endian && name != "modified" {
            // The same but for the snapshot length.
            assert_eq!(bytes[20..], capture.bytes[20..], "{name}");
        }
    }
}

#[test]
fn only_what_was_accepted_is_written_in_order() {
    let mut capture = Capture::ng(true);
    capture.interface(1, 0, &[(9, &[9])]);
    for n in 0..100 {
        capture.enhanced(0, 1_000_000_000 + n, &[u8::try_from(n).unwrap(); 60], 1_500);
    }
    let (folder, path) = file(&capture.bytes);
    let write = folder.path().join("out.pcap");
    store(&path, write.clone(), 4).unwrap();
    let (stored, error) = read_all(&write);
    assert!(error.is_none());
    let (mut expected, _) = read_all(&path);
    expected.retain(|packet| packet.id % 10 >= 4);
    for (packet, id) in expected.iter_mut().zip(1..) {
        *packet = Expected { id, ..packet.clone() };
    }
    assert_eq!(stored, expected);
    assert_eq!(stored.len(), 60);
}

#[test]
fn nothing_accepted_is_an_empty_capture_of_the_same_link_type() {
    // LINKTYPE_IPV4, which means the same as another number, and stays what it is.
    let mut capture = Capture::classic(true, 0xa1b2_3c4d, 228);
    capture.record(1, 1, &[0x45; 20], 20, 0);
    let (folder, path) = file(&capture.bytes);
    let write = folder.path().join("out.pcap");
    store(&path, write.clone(), 10).unwrap();
    let bytes = std::fs::read(&write).unwrap();
    assert_eq!(bytes.len(), 24);
    assert_eq!(bytes[20..], 228_u32.to_le_bytes());
    let (stored, error) = read_all(&write);
    assert!(stored.is_empty() && error.is_none());
}

#[test]
fn a_second_link_type_is_an_error_and_what_was_before_it_is_kept() {
    let mut capture = Capture::ng(false);
    capture.interface(1, 0, &[]);
    capture.interface(101, 0, &[]);
    capture.enhanced(0, 1, &[1; 60], 60);
    capture.enhanced(1, 2, &[2; 60], 60);
    let (folder, path) = file(&capture.bytes);
    let write = folder.path().join("out.pcap");
    let error = store(&path, write.clone(), 0).unwrap_err();
    assert!(matches!(error, PcapError::MixedLinkTypes { packet: 2, .. }), "{error}");
    assert_eq!(read_all(&write).0.len(), 1);
}

#[test]
fn the_input_is_never_written_over() {
    let (_, capture, _) = every_variant().swap_remove(0);
    let (folder, path) = file(&capture.bytes);
    let alias = folder.path().join("alias.pcap");
    std::os::unix::fs::symlink(&path, &alias).unwrap();
    for write in [path.clone(), alias] {
        let error = store(&path, write, 0).unwrap_err();
        assert!(matches!(error, PcapError::SameFile { .. }), "{error}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), capture.bytes);
}

#[test]
fn what_cannot_be_written_is_an_error() {
    let (_, capture, _) = every_variant().swap_remove(0);
    let (folder, path) = file(&capture.bytes);
    let error = store(&path, folder.path().join("none/out.pcap"), 0).unwrap_err();
    assert!(matches!(error, PcapError::Create { .. }), "{error}");
    // A device that is always full: told at the end, when the buffer goes out.
    let error = store(&path, PathBuf::from("/dev/full"), 0).unwrap_err();
    assert!(matches!(error, PcapError::Write { .. }), "{error}");
    assert!(error.to_string().contains("/dev/full"), "{error}");
}
