//! Every way in which opening can fail, with what to do about it.

use portcullis_bpf::GateError;
use std::io;

/// Why an inline set cannot be opened or has broken down.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum XdpError {
    /// The kernel side failed.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// Whoever owns the gate refused a socket, for this reason.
    #[error("{0}")]
    Slot(String),
    /// The request itself makes no sense.
    #[error("invalid inline set: {0}")]
    Invalid(String),
    /// The gate was loaded for other ports.
    #[error("the gate was loaded for other ports than {0}")]
    OtherGate(String),
    /// The two ports of a pair have different MTUs, so that one would get frames that it cannot send.
    #[error("{first} has MTU {mtu} and its peer {second} {other_mtu}: ip link set {second} mtu {mtu}")]
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
    /// The two ports of a pair have different numbers of receive queues.
    #[error(
        "{first} has {queues} receive queues and its peer {second} {other_queues}: ethtool -L {second} combined {queues}"
    )]
    DifferentQueues {
        /// The first port.
        first: String,
        /// Its queues.
        queues: u32,
        /// Its peer.
        second: String,
        /// The peer's.
        other_queues: u32,
    },
    /// A worker would have nothing to receive from.
    #[error(
        "{workers} workers, but {name} has only {queues} receive queues: ethtool -L {name} combined {workers}, or fewer workers"
    )]
    FewerQueues {
        /// The interface.
        name: String,
        /// Its queues.
        queues: u32,
        /// The workers asked for.
        workers: u32,
    },
    /// Frames would not fit the UMEM's.
    #[error("{name} has MTU {mtu}, but at most {max} fits the frame size: ip link set {name} mtu {max}")]
    MtuTooLarge {
        /// The interface.
        name: String,
        /// Its MTU.
        mtu: u32,
        /// The largest that fits.
        max: u32,
    },
    /// Somebody else holds the queue.
    #[error("queue {queue} of {name} is busy: another process has an AF_XDP socket on it")]
    QueueBusy {
        /// The interface.
        name: String,
        /// The queue.
        queue: u32,
    },
    /// Zero-copy was demanded and is not to be had.
    #[error("the driver of {name} has no zero-copy AF_XDP: use bind-mode = \"auto\" or \"copy\"")]
    NoZeroCopy {
        /// The interface.
        name: String,
    },
    /// The memory for frames could not be had.
    #[error(
        "cannot get {bytes} bytes of locked memory for frames: raise the limit (ulimit -l unlimited) or lower ring-size"
    )]
    NoMemory {
        /// Bytes asked for.
        bytes: u64,
    },
    /// The process lacks a capability.
    #[error("not permitted to open AF_XDP sockets: this needs CAP_NET_RAW (run as root)")]
    NoCapability,
    /// A socket could not be opened otherwise.
    #[error("cannot open an AF_XDP socket on queue {queue} of {name}: {source}")]
    Socket {
        /// The interface.
        name: String,
        /// The queue.
        queue: u32,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The interface has gone, or its socket broke.
    #[error("interface {name} has failed: {source}")]
    PortLost {
        /// The interface.
        name: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Any other system call.
    #[error("cannot {action}: {source}")]
    System {
        /// What was tried.
        action: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// Why a port cannot be made fit for inspection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PortError {
    /// The interface is missing or tells nothing about itself.
    #[error(transparent)]
    Device(#[from] GateError),
    /// An offload that damages frames cannot be switched off.
    #[error(
        "{offload} of {name} cannot be switched off, and with it {damage}: this interface cannot be used inline"
    )]
    OffloadStuck {
        /// The interface.
        name: String,
        /// The offload, by ethtool's name.
        offload: &'static str,
        /// What it would do.
        damage: &'static str,
    },
    /// A setting could not be read or changed.
    #[error("cannot {action} of {name}: {source}")]
    Setting {
        /// The interface.
        name: String,
        /// What was tried.
        action: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// This host itself depends on the interface.
    #[error(
        "{name} carries this host's default route: it is not for inline use (give it another pair, or move the route)"
    )]
    DefaultRoute {
        /// The interface.
        name: String,
    },
}
