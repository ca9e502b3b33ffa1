//! Every way in which opening can fail, with what to do about it.

/// Why ports cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DpdkError {
    /// The request itself makes no sense.
    #[error("invalid DPDK ports: {0}")]
    Invalid(String),
    /// The environment was started before: DPDK does that only once a process.
    #[error("DPDK was started in this process already, and can be only once")]
    StartedBefore,
    /// The environment does not start.
    #[error(
        "DPDK does not start: {0}; above it says why (huge-pages = \"no\" does without huge pages, and sysctl \
         vm.nr_hugepages=512 makes some)"
    )]
    Environment(String),
    /// There is no such port.
    #[error(
        "DPDK has no port {device}, and above it may say why: a PCI device must be bound to vfio-pci (dpdk-devbind.py \
         -b vfio-pci {device}), a virtual one needs its driver and what it stands on"
    )]
    NoPort {
        /// The device.
        device: String,
    },
    /// A port refuses.
    #[error("{device} cannot be {action}: {reason}")]
    Port {
        /// The device.
        device: String,
        /// What was tried.
        action: &'static str,
        /// DPDK's answer.
        reason: String,
    },
    /// A port has too few queues.
    #[error(
        "{name} has at most {max} pairs of queues, but {queues} are needed: capture.workers = {max} does with fewer"
    )]
    FewerQueues {
        /// The port.
        name: String,
        /// What it has.
        max: u32,
        /// What was asked for.
        queues: u16,
    },
    /// The two ports of a pair have different MTUs, so that one would get frames that it cannot send.
    #[error("{first} has MTU {mtu} and its peer {second} {other_mtu}: set capture.dpdk.mtu")]
    DifferentMtus {
        /// The first port.
        first: String,
        /// Its MTU.
        mtu: u32,
        /// Its peer.
        second: String,
        /// The peer's.
        other_mtu: u32,
    },
    /// The MTU is more than a port takes.
    #[error("{name} takes an MTU of at most {max}, not {mtu}")]
    MtuTooLarge {
        /// The port.
        name: String,
        /// The largest it takes.
        max: u32,
        /// What was asked for.
        mtu: u32,
    },
    /// Packets would need several buffers, which a port cannot do.
    #[error(
        "mbuf-size {room} is less than a frame of MTU {mtu}, and {name} cannot {action} frames in several buffers: \
         leave mbuf-size out"
    )]
    Segments {
        /// The port.
        name: String,
        /// Bytes a buffer.
        room: u16,
        /// The MTU.
        mtu: u32,
        /// What it cannot do.
        action: &'static str,
    },
    /// The pool would run dry.
    #[error("mempool-size {size} is too small: the rings and workers alone hold up to {least} buffers")]
    PoolTooSmall {
        /// What was asked for.
        size: u32,
        /// What is needed.
        least: u32,
    },
    /// The pool could not be had.
    #[error(
        "no memory for a pool of {buffers} buffers of {bytes} bytes: raise capture.dpdk.memory, or vm.nr_hugepages where \
         huge pages are used, or lower the descriptors"
    )]
    NoMemory {
        /// Buffers asked for.
        buffers: u32,
        /// Bytes of each.
        bytes: u16,
    },
}
