//! Every way in which loading can fail, with what to do about it.

use std::io;
use std::path::PathBuf;

/// Why the gate cannot be set up or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GateError {
    /// The process lacks capabilities.
    #[error("not permitted to load an XDP program: this needs {missing} (run as root)")]
    NoCapability {
        /// The missing capabilities, by name.
        missing: String,
    },
    /// The kernel cannot do what the gate needs.
    #[error("this kernel ({release}) has no {feature}; Linux 5.18 or newer with XDP sockets is needed")]
    KernelTooOld {
        /// What is missing.
        feature: &'static str,
        /// `uname -r`.
        release: String,
    },
    /// The kernel refused the program or a map.
    #[error("the kernel refused the XDP program: {reason}\n{}", .messages.join("\n"))]
    Refused {
        /// What libbpf made of it.
        reason: String,
        /// What libbpf and the verifier said.
        messages: Vec<String>,
    },
    /// A memory limit was met.
    #[error(
        "the kernel gave no memory for the BPF maps: raise the locked-memory limit (ulimit -l unlimited)"
    )]
    NoMemory,
    /// No such interface.
    #[error("interface {name} does not exist in this network namespace")]
    InterfaceMissing {
        /// The interface.
        name: String,
    },
    /// Its frames would not fit one buffer.
    #[error(
        "interface {name} has MTU {mtu}, but its driver or this version takes at most {max}: ip link set {name} mtu {max}"
    )]
    MtuTooLarge {
        /// The interface.
        name: String,
        /// Its MTU, in bytes.
        mtu: u32,
        /// The largest that goes, in bytes.
        max: u32,
    },
    /// There is no such gate.
    #[error("no gate called {name} is pinned under {}: {reason}", .root.display())]
    NoSuchGate {
        /// The gate's name.
        name: String,
        /// Where it was looked for.
        root: PathBuf,
        /// What the kernel said.
        reason: String,
    },
    /// Somebody else's XDP program is there. It is left alone.
    #[error(
        "interface {name} already has an XDP program ({program}), which is not ours and stays: remove it with `ip link set {name} xdp off` or end the process that owns it"
    )]
    AlreadyAttached {
        /// The interface.
        name: String,
        /// The program's name and id, as far as known.
        program: String,
    },
    /// Too few receive queues.
    #[error(
        "interface {name} has {have} receive queues, but {need} are needed: ethtool -L {name} combined {need}"
    )]
    FewerQueues {
        /// The interface.
        name: String,
        /// What it has.
        have: u32,
        /// What was asked for.
        need: u32,
    },
    /// Too many receive queues: what comes in by those without a socket would pass uninspected.
    #[error(
        "interface {name} has {have} receive queues, but only {need} are served: ethtool -L {name} combined {need}"
    )]
    MoreQueues {
        /// The interface.
        name: String,
        /// What it has.
        have: u32,
        /// What was asked for.
        need: u32,
    },
    /// The driver wants more queues for XDP than there are (veth: fewer receive queues than its peer has
    /// transmit queues).
    #[error(
        "interface {name} has too few queues for XDP: a veth needs as many receive queues as its peer has transmit queues, a NIC may need spare transmit queues (ethtool -L {name})"
    )]
    QueuesForXdp {
        /// The interface.
        name: String,
    },
    /// The driver has no XDP of its own.
    #[error("the driver of {name} has no native XDP: use xdp-mode = \"auto\" or \"generic\"")]
    NoNativeXdp {
        /// The interface.
        name: String,
    },
    /// Attaching failed otherwise.
    #[error("cannot attach the XDP program to {name}: {source}")]
    Attach {
        /// The interface.
        name: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The pin directory is not in a bpffs.
    #[error("{} is not in a BPF file system: mount -t bpf bpf /sys/fs/bpf", .path.display())]
    NoBpffs {
        /// The pin directory.
        path: PathBuf,
    },
    /// Pinning failed.
    #[error("cannot pin to {}: {source}", .path.display())]
    Pin {
        /// Where.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Another instance is alive.
    #[error("another Portcullis runs as \"{name}\" ({holder}; lock {})", .path.display())]
    Locked {
        /// The gate's name.
        name: String,
        /// Who holds the lock, as it wrote there.
        holder: String,
        /// The lock file.
        path: PathBuf,
    },
    /// The lock file cannot be used.
    #[error("cannot lock {}: {source}", .path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The request itself makes no sense.
    #[error("invalid gate: {0}")]
    Invalid(String),
    /// A port or queue that the gate does not have.
    #[error("the gate has no queue {queue} on port {port}")]
    NoSuchSlot {
        /// The port.
        port: u8,
        /// The queue.
        queue: u32,
    },
    /// A map could not be read or written.
    #[error("cannot {action}: {reason}")]
    Map {
        /// What was tried.
        action: &'static str,
        /// What libbpf made of it.
        reason: String,
    },
    /// An interface could not be taken down and up.
    #[error("cannot restart {name}: {source}")]
    Restart {
        /// The interface.
        name: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A fact about an interface could not be read.
    #[error("cannot read {what} of {name}: {source}")]
    Device {
        /// The interface.
        name: String,
        /// Which fact.
        what: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}
