//! What every packet module must do, over a veth pair on each side.

use crate::common::{Bench, Options, PATIENCE};
use portcullis_capture::PortId;
use portcullis_capture::suite::{Fixture, is_ours};
use portcullis_capture_xdp::{CopyMode, XdpModule};
use portcullis_testkit::RawSocket;
use portcullis_wire::Timestamp;
use std::time::Duration;

/// The module between two outsides; in pass-through as a tap.
struct Inline(Bench);

impl Inline {
    fn outside(&mut self, port: PortId) -> &mut RawSocket {
        if port == PortId(0) { &mut self.0.client } else { &mut self.0.server }
    }
}

fn fixture(workers: usize, copy_mode: CopyMode) -> Inline {
    let queues = u32::try_from(workers).expect("few workers");
    Inline(Bench::new(&Options { queues, copy_mode, ..Options::default() }))
}

impl Fixture for Inline {
    type Module = XdpModule;

    fn open(workers: usize, pass_through: bool) -> Self {
        fixture(workers, if pass_through { CopyMode::Tap } else { CopyMode::Ips })
    }

    fn states(&mut self) -> &mut Vec<XdpModule> {
        &mut self.0.modules
    }

    fn inject(&mut self, port: PortId, frame: &[u8], _at: Timestamp) {
        self.outside(port).send(frame).expect("sending");
    }

    fn departed(&mut self, port: PortId, expected: usize) -> Vec<Vec<u8>> {
        let outside = self.outside(port);
        let mut frames = Vec::new();
        for _ in 0..expected {
            frames.extend(outside.receive_matching(PATIENCE, is_ours).expect("receiving"));
        }
        while let Some(frame) = outside.receive(Duration::ZERO).expect("receiving") {
            frames.push(frame);
        }
        frames
    }

    fn end(&mut self) {}
}

portcullis_capture::packet_module_suite!(Inline);

/// The same where nothing may leave.
mod ids {
    use super::*;

    struct Listening(Inline);

    impl Fixture for Listening {
        type Module = XdpModule;

        fn open(workers: usize, pass_through: bool) -> Self {
            assert!(pass_through, "a set that listens forwards nothing");
            Self(fixture(workers, CopyMode::Ids))
        }

        fn states(&mut self) -> &mut Vec<XdpModule> {
            self.0.states()
        }

        fn inject(&mut self, port: PortId, frame: &[u8], at: Timestamp) {
            self.0.inject(port, frame, at);
        }

        fn departed(&mut self, port: PortId, expected: usize) -> Vec<Vec<u8>> {
            self.0.departed(port, expected)
        }

        fn end(&mut self) {}
    }

    #[test]
    fn pass_through_refuses_to_send() {
        portcullis_capture::suite::sending::pass_through_refuses_to_send::<Listening>();
    }

    #[test]
    fn pass_through_never_changes_traffic() {
        portcullis_capture::suite::sending::pass_through_never_changes_traffic::<Listening>();
    }
}
