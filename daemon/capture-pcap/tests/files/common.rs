//! Captures written by hand, in either byte order, with the place of every record known.

use portcullis_capture::{Frame, FrameSource, Read};
use portcullis_capture_pcap::{PcapError, PcapReader};
use portcullis_wire::LinkType;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A packet as a test expects it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) id: u64,
    pub(crate) nanos: u64,
    pub(crate) wire_length: u32,
    pub(crate) link: LinkType,
    pub(crate) bytes: Vec<u8>,
}

/// A capture as it is written: bytes, and where each record or block starts.
#[derive(Clone, Debug)]
pub(crate) struct Capture {
    pub(crate) big_endian: bool,
    pub(crate) bytes: Vec<u8>,
    /// Start of every record or block after the file header, and the packets before it.
    pub(crate) starts: Vec<(usize, u64)>,
    packets: u64,
    ng: bool,
}

impl Capture {
    /// A pcap file with this magic, as the byte order writes it.
    pub(crate) fn classic(big_endian: bool, magic: u32, link: u32) -> Self {
        let mut capture = Self { big_endian, bytes: Vec::new(), starts: Vec::new(), packets: 0, ng: false };
        capture.word(magic);
        capture.half(2);
        capture.half(4);
        for word in [0, 0, 65_535, link] {
            capture.word(word);
        }
        capture
    }

    /// A pcapng file with its first section.
    pub(crate) fn ng(big_endian: bool) -> Self {
        let mut capture = Self { big_endian, bytes: Vec::new(), starts: Vec::new(), packets: 0, ng: true };
        capture.section(big_endian);
        capture.starts.clear();
        capture
    }

    /// A record of a pcap file; `extra` are bytes of header that only some variant has.
    pub(crate) fn record(&mut self, second: u32, fraction: u32, data: &[u8], wire_length: u32, extra: usize) {
        self.start();
        for word in [second, fraction, size(data), wire_length] {
            self.word(word);
        }
        self.bytes.extend(std::iter::repeat_n(0xaa, extra));
        self.bytes.extend_from_slice(data);
        self.packets += 1;
    }

    /// A new section, perhaps in the other byte order.
    pub(crate) fn section(&mut self, big_endian: bool) {
        self.big_endian = big_endian;
        let mut body = self.body();
        body.word(0x1a2b_3c4d);
        body.half(1);
        body.half(0);
        body.word(u32::MAX);
        body.word(u32::MAX);
        // shb_hardware, shb_comment-like content and an end.
        body.option(2, b"hand made");
        body.option(0, b"");
        self.block(0x0a0d_0d0a, &body.bytes);
    }

    /// An interface with these options.
    pub(crate) fn interface(&mut self, link: u16, snaplen: u32, options: &[(u16, &[u8])]) {
        let mut body = self.body();
        body.half(link);
        body.half(0);
        body.word(snaplen);
        for (code, value) in options {
            body.option(*code, value);
        }
        self.block(1, &body.bytes);
    }

    /// An enhanced packet block with options behind the data.
    pub(crate) fn enhanced(&mut self, interface: u32, units: u64, data: &[u8], wire_length: u32) {
        let mut body = self.body();
        body.word(interface);
        body.stamp(units);
        body.word(size(data));
        body.word(wire_length);
        body.padded(data);
        body.option(2, &[0, 0, 0, 1]);
        body.option(1, b"a comment");
        body.option(0, b"");
        self.block(6, &body.bytes);
        self.packets += 1;
    }

    /// A simple packet block.
    pub(crate) fn simple(&mut self, data: &[u8], wire_length: u32) {
        let mut body = self.body();
        body.word(wire_length);
        body.padded(data);
        self.block(3, &body.bytes);
        self.packets += 1;
    }

    /// An obsolete packet block.
    pub(crate) fn obsolete(&mut self, interface: u16, units: u64, data: &[u8], wire_length: u32) {
        let mut body = self.body();
        body.half(interface);
        body.half(7);
        body.stamp(units);
        body.word(size(data));
        body.word(wire_length);
        body.padded(data);
        self.block(2, &body.bytes);
        self.packets += 1;
    }

    /// Any block.
    pub(crate) fn block(&mut self, kind: u32, body: &[u8]) {
        self.start();
        let length = size(body) + 12;
        self.word(kind);
        self.word(length);
        self.bytes.extend_from_slice(body);
        self.word(length);
    }

    /// Length of the file header, which must be whole for the file to be opened.
    pub(crate) fn header(&self) -> usize {
        if !self.ng {
            return 24;
        }
        self.starts.first().map_or(self.bytes.len(), |(start, _)| *start)
    }

    /// Packets in all.
    pub(crate) fn packets(&self) -> u64 {
        self.packets
    }

    /// Nothing yet, in the same byte order.
    fn body(&self) -> Self {
        Self { big_endian: self.big_endian, bytes: Vec::new(), starts: Vec::new(), packets: 0, ng: self.ng }
    }

    fn start(&mut self) {
        self.starts.push((self.bytes.len(), self.packets));
    }

    fn stamp(&mut self, units: u64) {
        self.word(u32::try_from(units >> 32).unwrap());
        self.word(u32::try_from(units & 0xffff_ffff).unwrap());
    }

    fn option(&mut self, code: u16, value: &[u8]) {
        self.half(code);
        self.half(u16::try_from(value.len()).unwrap());
        self.padded(value);
    }

    fn padded(&mut self, data: &[u8]) {
        self.bytes.extend_from_slice(data);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn word(&mut self, word: u32) {
        let bytes = if self.big_endian { word.to_be_bytes() } else { word.to_le_bytes() };
        self.bytes.extend_from_slice(&bytes);
    }

    fn half(&mut self, half: u16) {
        let bytes = if self.big_endian { half.to_be_bytes() } else { half.to_le_bytes() };
        self.bytes.extend_from_slice(&bytes);
    }
}

fn size(data: &[u8]) -> u32 {
    u32::try_from(data.len()).unwrap()
}

/// A folder that goes away with the test, and a file in it.
pub(crate) fn file(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.pcap");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

/// Reads a file to its end, or to what is wrong with it.
pub(crate) fn read_all(path: &Path) -> (Vec<Expected>, Option<PcapError>) {
    let mut reader = match PcapReader::open(path) {
        Ok(reader) => reader,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut packets = Vec::new();
    let mut frame = Frame::default();
    loop {
        match reader.read(&mut frame) {
            Ok(Read::Frame) => packets.push(Expected {
                id: frame.meta.id,
                nanos: frame.meta.timestamp.as_nanos(),
                wire_length: frame.meta.wire_length,
                link: frame.meta.link,
                bytes: frame.bytes.clone(),
            }),
            Ok(_) => return (packets, None),
            Err(error) => return (packets, Some(error)),
        }
    }
}

/// One capture of every variant, with what is in it.
pub(crate) fn every_variant() -> Vec<(&'static str, Capture, Vec<Expected>)> {
    let mut variants = Vec::new();
    for big_endian in [false, true] {
        for (name, magic, unit, extra) in [
            ("micro", 0xa1b2_c3d4, 1_000, 0),
            ("nano", 0xa1b2_3c4d, 1, 0),
            ("modified", 0xa1b2_cd34, 1_000, 8),
        ] {
            let mut capture = Capture::classic(big_endian, magic, 113);
            let mut expected = Vec::new();
            for n in 0..3_u32 {
                let data: Vec<u8> = (0..20 + 13 * u8::try_from(n).unwrap()).collect();
                capture.record(1_700_000_000 + n, 123_456 + n, &data, size(&data) + n, extra);
                expected.push(Expected {
                    id: u64::from(n) + 1,
                    nanos: (1_700_000_000 + u64::from(n)) * 1_000_000_000 + (123_456 + u64::from(n)) * unit,
                    wire_length: size(&data) + n,
                    link: LinkType::LinuxSll,
                    bytes: data,
                });
            }
            capture.record(1, 2, &[], 0, extra);
            let (nanos, link) = (1_000_000_000 + 2 * unit, LinkType::LinuxSll);
            expected.push(Expected { id: 4, nanos, wire_length: 0, link, bytes: Vec::new() });
            variants.push((name, capture, expected));
        }
        variants.push(sections(big_endian));
    }
    variants
}

/// Two sections, the second in the other byte order, every kind of block.
fn sections(big_endian: bool) -> (&'static str, Capture, Vec<Expected>) {
    let mut capture = Capture::ng(big_endian);
    let seconds = |seconds: i64, big: bool| if big { seconds.to_be_bytes() } else { seconds.to_le_bytes() };
    let mut expected = Vec::new();
    let mut expect = |nanos, wire_length, link, bytes: &[u8]| {
        let id = expected.len() as u64 + 1;
        expected.push(Expected { id, nanos, wire_length, link, bytes: bytes.to_vec() });
    };
    capture.interface(1, 40, &[(2, b"eth0")]);
    let offset = seconds(-5, big_endian);
    capture.interface(101, 0, &[(3, b"raw"), (9, &[9]), (14, &offset), (0, b"")]);
    capture.enhanced(0, 1_700_000_000_123_456, &[1; 33], 60);
    expect(1_700_000_000_123_456_000, 60, LinkType::Ethernet, &[1; 33]);
    capture.block(0x0bad_cafe, &[9; 40]);
    capture.enhanced(1, 1_700_000_000_123_456_789, &[2; 20], 20);
    expect(1_699_999_995_123_456_789, 20, LinkType::Raw, &[2; 20]);
    capture.simple(&[3; 40], 99);
    expect(1_699_999_995_123_456_789, 99, LinkType::Ethernet, &[3; 40]);
    capture.simple(&[4; 21], 21);
    expect(1_699_999_995_123_456_789, 21, LinkType::Ethernet, &[4; 21]);
    capture.obsolete(0, 7_000_001, &[5; 6], 6);
    expect(7_000_001_000, 6, LinkType::Ethernet, &[5; 6]);
    capture.section(!big_endian);
    capture.interface(276, 0, &[(9, &[0x80 | 10])]);
    capture.enhanced(0, 1_536, &[6; 7], 7);
    expect(1_500_000_000, 7, LinkType::LinuxSll2, &[6; 7]);
    capture.block(5, &[0; 12]);
    ("pcapng", capture, expected)
}
