//! Live frames from one end of a veth pair, and programs at the other, paid by the sending thread.

use super::lists::{Sources, frame};
use super::run;
use libbpf_rs::skel::{OpenSkel as _, SkelBuilder as _};
use libbpf_rs::{MapCore as _, MapFlags};
use libbpf_sys as raw;
use portcullis_bpf::device;
use rustix::time::{ClockId, clock_gettime};
use scatter::{ScatterSkel, ScatterSkelBuilder};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

mod scatter {
    //! What libbpf-cargo generated for `scatter.bpf.c`.
    #![expect(
        unreachable_pub,
        clippy::allow_attributes,
        clippy::allow_attributes_without_reason,
        clippy::undocumented_unsafe_blocks,
        clippy::multiple_unsafe_ops_per_block,
        reason = "generated"
    )]
    include!(concat!(env!("OUT_DIR"), "/scatter.skel.rs"));
}

/// The programs of `scatter.bpf.c`, sending by one interface.
pub(crate) struct Sender {
    skeleton: ScatterSkel<'static>,
    program: OwnedFd,
    frame: Vec<u8>,
}

impl Sender {
    /// From ever other sources.
    pub(crate) fn new(egress: &str, sources: Sources) -> Self {
        let skeleton = load(|constants, _| {
            constants.egress = device::ifindex(egress).unwrap();
            (constants.first, constants.bits, constants.sources) =
                (sources.first, sources.bits, sources.count);
        });
        let program = own(skeleton.progs.scatter.as_fd());
        Self { skeleton, program, frame: frame(0) }
    }

    /// From one source, with the ports of ever other flows.
    pub(crate) fn of_flows(egress: &str, source: u32, flows: u32) -> Self {
        let skeleton = load(|constants, _| {
            (constants.egress, constants.sources) = (device::ifindex(egress).unwrap(), flows);
        });
        let program = own(skeleton.progs.scatter_flows.as_fd());
        Self { skeleton, program, frame: frame(source) }
    }

    /// Nanoseconds of CPU time a frame, of so many.
    pub(crate) fn round(&self, frames: u32) -> f64 {
        let before = cpu_nanos();
        run(&self.program, 0, &self.frame, frames, raw::BPF_F_TEST_XDP_LIVE_FRAMES);
        (cpu_nanos() - before) / f64::from(frames)
    }
}

/// Counts and eats what comes in by an interface.
pub(crate) struct Sink {
    skeleton: ScatterSkel<'static>,
}

impl Sink {
    pub(crate) fn at(name: &str) -> Self {
        let skeleton = load(|_, _| {});
        attach(name, skeleton.progs.arrive.as_fd());
        Self { skeleton }
    }

    pub(crate) fn arrived(&self) -> u64 {
        self.skeleton.maps.bss_data.as_deref().unwrap().arrived
    }
}

/// What has to be done at least, to compare with.
pub(crate) struct Bounds {
    skeleton: ScatterSkel<'static>,
}

impl Bounds {
    /// With so many lines of memory, and the kernel's own hash with these keys.
    pub(crate) fn new(lines: u32, keys: &[u64]) -> Self {
        let skeleton = load(|constants, maps| {
            constants.line_count = lines;
            maps.lines.set_max_entries(lines).unwrap();
            maps.known.set_max_entries(u32::try_from(keys.len()).unwrap()).unwrap();
        });
        for key in keys {
            skeleton.maps.known.update(&key.to_ne_bytes(), &[0; 8], MapFlags::ANY).unwrap();
        }
        Self { skeleton }
    }

    /// Drops, with a line of memory for each.
    pub(crate) fn one_line(&self) -> BorrowedFd<'_> {
        self.skeleton.progs.one_line.as_fd()
    }

    /// Drops what is in the hash.
    pub(crate) fn plain_hash(&self) -> BorrowedFd<'_> {
        self.skeleton.progs.plain_hash.as_fd()
    }

    /// Redirects to an interface.
    pub(crate) fn redirect(&self, to: &str) -> BorrowedFd<'_> {
        let to = device::ifindex(to).unwrap();
        self.skeleton.maps.out.update(&[0; 4], &to.to_ne_bytes(), MapFlags::ANY).unwrap();
        self.skeleton.progs.bare_redirect.as_fd()
    }
}

fn load(
    set: impl FnOnce(&mut scatter::types::rodata, &mut scatter::OpenScatterMaps<'_>),
) -> ScatterSkel<'static> {
    let storage = Box::leak(Box::new(MaybeUninit::uninit()));
    let mut open = ScatterSkelBuilder::default().open(storage).unwrap();
    let constants = open.maps.rodata_data.take().unwrap();
    set(constants, &mut open.maps);
    open.load().unwrap()
}

fn own(program: BorrowedFd<'_>) -> OwnedFd {
    program.try_clone_to_owned().unwrap()
}

fn cpu_nanos() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// linux/if_link.h
const XDP_FLAGS_DRV_MODE: u32 = 4;

pub(crate) fn attach(name: &str, program: BorrowedFd<'_>) {
    put(name, program.as_raw_fd());
}

pub(crate) fn attach_nothing(name: &str) {
    put(name, -1);
}

fn put(name: &str, program: i32) {
    let index = i32::try_from(device::ifindex(name).unwrap()).unwrap();
    // SAFETY: numbers and no options; a descriptor that is open, or none.
    let done = unsafe { raw::bpf_xdp_attach(index, program, XDP_FLAGS_DRV_MODE, std::ptr::null()) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}
