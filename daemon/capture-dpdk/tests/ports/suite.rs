//! What every packet module must do.

use crate::common::{Bench, Options, Outside};
use portcullis_capture::PortId;
use portcullis_capture::suite::Fixture;
use portcullis_capture_dpdk::{CopyMode, DpdkModule};
use portcullis_wire::Timestamp;

/// The module between two outsides; in pass-through as a tap.
struct Inline(Bench);

impl Inline {
    fn outside(&mut self, port: PortId) -> &mut Outside {
        if port == PortId(0) { &mut self.0.client } else { &mut self.0.server }
    }
}

fn fixture(workers: usize, copy_mode: CopyMode) -> Inline {
    let workers = u8::try_from(workers).expect("few workers");
    Inline(Bench::new(&Options { queues: workers.into(), workers, copy_mode, ..Options::default() }))
}

impl Fixture for Inline {
    type Module = DpdkModule;

    fn open(workers: usize, pass_through: bool) -> Self {
        fixture(workers, if pass_through { CopyMode::Tap } else { CopyMode::Ips })
    }

    fn states(&mut self) -> &mut Vec<DpdkModule> {
        &mut self.0.modules
    }

    fn inject(&mut self, port: PortId, frame: &[u8], _at: Timestamp) {
        self.outside(port).send(frame);
    }

    fn departed(&mut self, port: PortId, _expected: usize) -> Vec<Vec<u8>> {
        self.outside(port).received()
    }

    fn end(&mut self) {}
}

portcullis_capture::packet_module_suite!(Inline);

/// The same where nothing may leave.
mod ids {
    use super::*;

    struct Listening(Inline);

    impl Fixture for Listening {
        type Module = DpdkModule;

        fn open(workers: usize, pass_through: bool) -> Self {
            assert!(pass_through, "a set that listens forwards nothing");
            Self(fixture(workers, CopyMode::Ids))
        }

        fn states(&mut self) -> &mut Vec<DpdkModule> {
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
