//! The loader on real interfaces: attaching, pinning, adopting, and every way to fail.
#![expect(unsafe_code, reason = "a mount namespace of its own for the test's bpffs")]
#![expect(clippy::unwrap_used, reason = "what fails here is the test")]

use portcullis_bpf::{AttachedMode, Bypass, Fail, Gate, GateConfig, GateError, GatePort, XdpMode};
use portcullis_bpf::{ListPolicy, ListRoom, Lists};
use portcullis_lists::Table;
use portcullis_testkit::{NetNs, VethPair, require_root};
use rustix::net::{AddressFamily, SocketType, socket};
use rustix::thread::{CapabilitySet, UnshareFlags, capabilities, set_capabilities, unshare_unsafe};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::thread;

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Two ports in a namespace of their own, and a bpffs that only this test sees and that ends with it.
struct Bench {
    namespace: NetNs,
    dir: tempfile::TempDir,
}

impl Bench {
    /// Runs `body` on a thread with its own mounts.
    fn with(queues: u32, mtu: u32, body: impl FnOnce(&Self) + Send) {
        require_root();
        let run = || {
            // SAFETY: the mount namespace and the working directory become this thread's own, and it opened nothing
            // that others rely on.
            unsafe { unshare_unsafe(UnshareFlags::NEWNS | UnshareFlags::FS) }.unwrap();
            let dir = tempfile::tempdir().unwrap();
            mount(&["--make-rprivate", "/"]);
            mount(&["-t", "bpf", "bpf", dir.path().to_str().unwrap()]);
            let namespace = NetNs::new("gate").unwrap();
            VethPair::between(&namespace, "port0", &namespace, "far0", queues, mtu).unwrap();
            VethPair::between(&namespace, "port1", &namespace, "far1", queues, mtu).unwrap();
            body(&Self { namespace, dir });
        };
        if let Err(panic) = thread::scope(|scope| scope.spawn(run).join()) {
            std::panic::resume_unwind(panic);
        }
    }

    fn config(&self, queues: u32) -> GateConfig {
        let port = |name: &str| GatePort { name: name.to_owned(), queues };
        GateConfig {
            name: "test".to_owned(),
            ports: vec![port("port0"), port("port1")],
            // Not in the bpffs, but as much of this test only: beside it.
            lock_dir: self.dir.path().with_extension("lock"),
            ..GateConfig::default()
        }
    }

    fn pinned(&self, queues: u32) -> GateConfig {
        GateConfig { pin_dir: Some(self.dir.path().join("portcullis")), ..self.config(queues) }
    }

    fn load(&self, config: &GateConfig) -> Result<Gate, GateError> {
        self.namespace.run(|| Gate::load(config))
    }

    fn error(&self, config: &GateConfig) -> GateError {
        self.load(config).expect_err("loading must fail")
    }

    /// The id of the XDP program on an interface, as `ip` shows it.
    fn attached(&self, interface: &str) -> Option<String> {
        let shown = self.namespace.output("ip", &["link", "show", interface]).unwrap();
        let id = shown.split("prog/xdp id ").nth(1)?;
        Some(id.split_whitespace().next()?.to_owned())
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.dir.path().with_extension("lock"));
        // The mount hides the directory that tempfile will remove.
        let _ = Command::new("umount").arg("-l").arg(self.dir.path()).status();
    }
}

fn mount(arguments: &[&str]) {
    assert!(Command::new("mount").args(arguments).status().unwrap().success(), "mount {arguments:?}");
}

fn is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none())
}

#[test]
fn attaches_and_takes_off_again() {
    Bench::with(2, 1500, |bench| {
        for (mode, expected) in [
            (XdpMode::Auto, AttachedMode::Native),
            (XdpMode::Native, AttachedMode::Native),
            (XdpMode::Generic, AttachedMode::Generic),
        ] {
            let gate = bench.namespace.run(|| Gate::load(&GateConfig { mode, ..bench.config(2) })).unwrap();
            assert!(gate.modes().eq([("port0", expected), ("port1", expected)]));
            assert!(!gate.adopted());
            assert!(bench.attached("port0").is_some() && bench.attached("port1").is_some());
            gate.detach().unwrap();
            assert_eq!((bench.attached("port0"), bench.attached("port1")), (None, None));
        }
    });
}

#[test]
fn dropping_is_a_clean_end() {
    Bench::with(1, 1500, |bench| {
        drop(bench.load(&bench.pinned(1)).unwrap());
        assert_eq!((bench.attached("port0"), bench.attached("port1")), (None, None));
        assert!(is_empty(&bench.dir.path().join("portcullis")));
    });
}

#[test]
fn a_successor_adopts_what_was_left_pinned() {
    Bench::with(1, 1500, |bench| {
        bench.load(&bench.pinned(1)).unwrap().leave_pinned();
        let left = bench.attached("port0");
        assert!(left.is_some(), "the pin holds the link");
        let mut gate = bench.load(&GateConfig { fail: Fail::Closed, ..bench.pinned(1) }).unwrap();
        assert!(gate.adopted());
        let now = bench.attached("port0");
        assert!(now.is_some() && now != left, "the new program is behind the old link");
        let xsk = socket(AddressFamily::XDP, SocketType::RAW, None).unwrap();
        gate.set_socket(1, 0, xsk.as_fd()).unwrap();
        gate.clear_socket(1, 0).unwrap();
        gate.detach().unwrap();
        assert_eq!(bench.attached("port0"), None);
    });
}

#[test]
fn pins_that_do_not_fit_are_replaced() {
    Bench::with(1, 1500, |bench| {
        bench.load(&bench.pinned(1)).unwrap().leave_pinned();
        // Another mode is wanted.
        let gate = bench.load(&GateConfig { mode: XdpMode::Generic, ..bench.pinned(1) }).unwrap();
        assert!(!gate.adopted());
        assert!(gate.modes().all(|(_, mode)| mode == AttachedMode::Generic));
        gate.leave_pinned();
        // Another interface took the place of one.
        bench.namespace.output("ip", &["link", "del", "port1"]).unwrap();
        VethPair::between(&bench.namespace, "port1", &bench.namespace, "far1", 1, 1500).unwrap();
        let gate = bench.load(&bench.pinned(1)).unwrap();
        assert!(!gate.adopted());
        assert!(bench.attached("port1").is_some());
        // Pins of another version are removed, too.
        gate.leave_pinned();
        let home = bench.dir.path().join("portcullis/test");
        let ours = std::fs::read_dir(&home).unwrap().next().unwrap().unwrap().path();
        std::fs::rename(ours, home.join("v1")).unwrap();
        let gate = bench.load(&bench.pinned(1)).unwrap();
        assert!(!gate.adopted() && !home.join("v1").exists());
    });
}

#[test]
fn a_verdict_cache_of_another_size_is_made_anew() {
    Bench::with(1, 1500, |bench| {
        let sized = |cache| GateConfig { cache, ..bench.pinned(1) };
        let load = |cache| {
            let gate = bench.load(&sized(cache)).unwrap();
            let known = gate.cache().unwrap().generation();
            (gate, known)
        };
        let (gate, _) = load(64);
        gate.cache().unwrap().set_generation(7);
        gate.leave_pinned();
        // Nothing holds in one that is new until it is taken over.
        for (size, known) in [(64, 7), (65, 0), (65, 0), (0, 0)] {
            let (gate, generation) = load(size);
            assert_eq!((gate.adopted(), generation), (true, known), "{size}");
            gate.leave_pinned();
        }
        load(0).0.detach().unwrap();
    });
}

#[test]
fn lists_stay_in_force_until_there_is_too_little_room_for_the_new_ones() {
    Bench::with(1, 1500, |bench| {
        let load = |entries| {
            let lists = ListRoom { wanted: entries > 0, entries, entries_v6: 0 };
            bench.load(&GateConfig { lists, ..bench.pinned(1) }).unwrap()
        };
        let lines = |gate: &Gate| gate.lists().unwrap().line_count;
        let gate = load(1000);
        let room = lines(&gate);
        let rule = || vec![Bypass { network: (LOCALHOST, 8), peer: None, protocol: None, ports: None }];
        let mut lists = Lists::open(&gate.lists().unwrap()).unwrap();
        assert!(!lists.any_in_force());
        lists.publish(&Table::default(), &rule(), &ListPolicy::default()).unwrap();
        gate.leave_pinned();
        for (entries, expected) in [(1000, true), (10, true), (0, true), (10_000, false), (1000, false)] {
            let gate = load(entries);
            let held = Lists::open(&gate.lists().unwrap()).unwrap().any_in_force();
            assert_eq!((gate.adopted(), held), (true, expected), "{entries}");
            assert_eq!(lines(&gate) > room, !expected, "{entries}");
            gate.leave_pinned();
        }
        load(0).detach().unwrap();
    });
}

#[test]
fn a_second_instance_is_kept_away() {
    Bench::with(1, 1500, |bench| {
        let gate = bench.load(&bench.pinned(1)).unwrap();
        let before = bench.attached("port0");
        let error = bench.error(&bench.pinned(1));
        let holder = format!("process {}", std::process::id());
        assert!(matches!(&error, GateError::Locked { holder: named, .. } if *named == holder), "{error}");
        assert_eq!(bench.attached("port0"), before, "the first one is untouched");
        drop(gate);
        bench.load(&bench.pinned(1)).unwrap();
    });
}

#[test]
fn a_foreign_program_stays() {
    Bench::with(1, 1500, |bench| {
        let foreign = bench.load(&GateConfig { name: "foreign".to_owned(), ..bench.config(1) }).unwrap();
        let before = (bench.attached("port0"), bench.attached("port1"));
        let error = bench.error(&bench.pinned(1));
        assert!(
            matches!(&error, GateError::AlreadyAttached { name, program } if name == "port0" && program.starts_with("gate, id ")),
            "{error}"
        );
        assert_eq!((bench.attached("port0"), bench.attached("port1")), before);
        assert!(is_empty(&bench.dir.path().join("portcullis")), "no pin is left");
        drop(foreign);
        bench.load(&bench.pinned(1)).unwrap();
    });
}

#[test]
fn one_port_that_fails_leaves_none_attached() {
    Bench::with(2, 1500, |bench| {
        // Port 1's driver wants as many receive queues as its peer has transmit queues.
        bench.namespace.output("ethtool", &["-L", "port1", "rx", "1"]).unwrap();
        let mut config = bench.pinned(2);
        config.ports[1].queues = 1;
        let error = bench.error(&GateConfig { mode: XdpMode::Native, ..config });
        assert!(matches!(&error, GateError::QueuesForXdp { name } if name == "port1"), "{error}");
        assert_eq!(bench.attached("port0"), None);
        assert!(is_empty(&bench.dir.path().join("portcullis")), "no pin is left");
    });
}

#[test]
fn numbers_of_queues_must_fit() {
    Bench::with(2, 1500, |bench| {
        let error = bench.error(&bench.config(4));
        assert!(matches!(error, GateError::FewerQueues { have: 2, need: 4, .. }), "{error}");
        let error = bench.error(&bench.config(1));
        assert!(matches!(error, GateError::MoreQueues { have: 2, need: 1, .. }), "{error}");
    });
}

#[test]
fn a_jumbo_mtu_needs_frames_of_several_buffers() {
    Bench::with(1, 9000, |bench| {
        let error = bench.error(&bench.config(1));
        assert!(matches!(error, GateError::MtuTooLarge { mtu: 9000, .. }), "{error}");
    });
    Bench::with(1, 9000, |bench| {
        let jumbo = GateConfig { frags: true, ..bench.pinned(1) };
        bench.load(&jumbo).unwrap().leave_pinned();
        assert!(bench.load(&jumbo).map(|gate| (gate.adopted(), gate.leave_pinned())).unwrap().0);
        // What serves the one kind of program does not serve the other.
        for port in ["port0", "far0", "port1", "far1"] {
            bench.namespace.output("ip", &["link", "set", port, "mtu", "1500"]).unwrap();
        }
        assert!(!bench.load(&bench.pinned(1)).unwrap().adopted());
    });
    Bench::with(1, portcullis_bpf::device::MAX_MTU, |bench| {
        bench.load(&GateConfig { mode: XdpMode::Native, ..bench.config(1) }).unwrap();
    });
}

#[test]
fn what_makes_no_sense_is_refused() {
    Bench::with(1, 1500, |bench| {
        let mut twice = bench.config(1);
        twice.ports[1].name = "port0".to_owned();
        let mut odd = bench.config(1);
        odd.ports.pop();
        let mut none = bench.config(1);
        none.ports.clear();
        let named = |name: &str| GateConfig { name: name.to_owned(), ..bench.config(1) };
        for config in [twice, odd, none, named(""), named("../x"), named("a.b"), named("a+")] {
            let error = bench.error(&config);
            assert!(matches!(error, GateError::Invalid(_)), "{config:?}: {error}");
        }
    });
}

#[test]
fn a_missing_interface_is_named() {
    Bench::with(1, 1500, |bench| {
        let mut config = bench.config(1);
        config.ports[1].name = "nowhere".to_owned();
        let error = bench.error(&config);
        assert!(matches!(&error, GateError::InterfaceMissing { name } if name == "nowhere"), "{error}");
        assert_eq!(bench.attached("port0"), None);
    });
}

#[test]
fn pins_need_a_bpffs() {
    Bench::with(1, 1500, |bench| {
        let elsewhere = std::env::temp_dir().join("no-bpffs-here");
        let error = bench.error(&GateConfig { pin_dir: Some(elsewhere), ..bench.config(1) });
        assert!(matches!(error, GateError::NoBpffs { .. }), "{error}");
        assert_eq!(bench.attached("port0"), None);
    });
}

#[test]
fn missing_capabilities_are_named() {
    Bench::with(1, 1500, |bench| {
        let load = || {
            let mut sets = capabilities(None).unwrap();
            sets.effective -= CapabilitySet::SYS_ADMIN | CapabilitySet::BPF;
            // Of this thread only, and it ends with the closure.
            set_capabilities(None, sets).unwrap();
            Gate::load(&bench.config(1))
        };
        let error = bench.namespace.run(load).expect_err("loading must fail");
        assert!(matches!(&error, GateError::NoCapability { missing } if missing == "CAP_BPF"), "{error}");
    });
}

#[test]
fn sockets_have_their_slots() {
    Bench::with(2, 1500, |bench| {
        let mut gate = bench.load(&bench.config(2)).unwrap();
        let xsk = socket(AddressFamily::XDP, SocketType::RAW, None).unwrap();
        for (port, queue) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            gate.set_socket(port, queue, xsk.as_fd()).unwrap();
            gate.clear_socket(port, queue).unwrap();
            gate.clear_socket(port, queue).unwrap();
        }
        for (port, queue) in [(0, 2), (2, 0)] {
            let error = gate.set_socket(port, queue, xsk.as_fd()).expect_err("no such slot");
            assert!(matches!(error, GateError::NoSuchSlot { .. }), "{error}");
        }
        let wrong = socket(AddressFamily::INET, SocketType::DGRAM, None).unwrap();
        let error = gate.set_socket(0, 0, wrong.as_fd()).expect_err("not an AF_XDP socket");
        assert!(matches!(error, GateError::Map { .. }), "{error}");
    });
}
