//! A network namespace, what runs in it, and what its interfaces look like from inside.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{fs, panic, process, thread};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::error::LabError;
use crate::sys;

/// A network namespace, held by a file descriptor.
///
/// Made by [`new`](Self::new) it has no name and no process of its own: it exists as long as this
/// value, a program in it or a socket of it does. The kernel therefore removes it with all its
/// interfaces when the process dies, however it dies.
#[derive(Debug)]
pub struct NetNs {
    fd: Arc<OwnedFd>,
    label: String,
}

/// What an interface has counted since it was made, as `/proc/net/dev` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InterfaceCounters {
    /// Packets received.
    pub rx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Packets the interface received and had no room for.
    pub rx_dropped: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets given to the interface that it did not send.
    pub tx_dropped: u64,
}

impl NetNs {
    /// Makes an empty namespace with loopback up and IPv6 off, so that nothing is on its wires but
    /// what a test sends. `label` names it in messages; it gets a suffix that makes it unique.
    ///
    /// # Errors
    ///
    /// Without the right to make namespaces, or when the kernel has no room for another.
    pub fn new(label: &str) -> Result<Self, LabError> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let label = format!("{label}-{}-{}", process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let made = thread::scope(|scope| scope.spawn(sys::fresh_network_namespace).join());
        let fd = made
            .unwrap_or_else(|panic| panic::resume_unwind(panic))
            .map_err(LabError::io(format!("making network namespace {label}")))?;
        let namespace = Self { fd: Arc::new(fd), label };
        namespace.quieten()?;
        Ok(namespace)
    }

    /// Makes a namespace that stays until [`remove_named`](Self::remove_named), known to `ip netns`
    /// as `name`; for a lab that people look into.
    ///
    /// # Errors
    ///
    /// When a namespace of that name exists, or `ip` fails.
    pub fn create_named(name: &str) -> Result<Self, LabError> {
        run_program(Command::new("ip").args(["netns", "add", name]), "the first namespace")?;
        let namespace = Self::open_named(name)?;
        namespace.quieten()?;
        Ok(namespace)
    }

    /// Opens a namespace that `ip netns` knows as `name`.
    ///
    /// # Errors
    ///
    /// When there is none, or this process may not open it.
    pub fn open_named(name: &str) -> Result<Self, LabError> {
        Self::open(&Path::new("/run/netns").join(name), name)
    }

    /// Opens the namespace that `path` refers to (`/proc/PID/ns/net`, [`path`](Self::path) of
    /// another process), called `label` in messages.
    ///
    /// # Errors
    ///
    /// When `path` cannot be opened.
    pub fn open(path: &Path, label: &str) -> Result<Self, LabError> {
        let file = File::open(path).map_err(LabError::io(format!("opening {}", path.display())))?;
        Ok(Self { fd: Arc::new(file.into()), label: label.to_owned() })
    }

    /// Removes the name that [`create_named`](Self::create_named) gave. What still runs inside
    /// keeps the namespace alive until it ends.
    ///
    /// # Errors
    ///
    /// When there is no such name.
    pub fn remove_named(name: &str) -> Result<(), LabError> {
        run_program(Command::new("ip").args(["netns", "delete", name]), "the first namespace").map(drop)
    }

    /// What messages call this namespace.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// A path by which other processes of root reach this namespace while it is held here
    /// (`nsenter --net=PATH`, `ip link set … netns PATH`).
    #[must_use]
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", process::id(), self.fd.as_raw_fd()))
    }

    /// Runs `body` on a thread of its own inside the namespace and gives back what it returns; a
    /// panic goes through. Only the network changes: mounts stay, so `/sys/fs/bpf` is reachable,
    /// but `/sys/class/net` still shows the interfaces of the first namespace.
    ///
    /// Sockets made by `body` belong to the namespace and may be taken out of it. A program started
    /// by `body` with [`command`](Self::command) is killed when `body` ends; start it outside.
    ///
    /// # Panics
    ///
    /// When the namespace cannot be entered (no root), or `body` panics.
    pub fn run<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        let result = thread::scope(|scope| {
            scope
                .spawn(|| {
                    move_into_link_name_space(self.fd.as_fd(), Some(LinkNameSpaceType::Network))
                        .unwrap_or_else(|error| panic!("cannot enter namespace {}: {error}", self.label));
                    body()
                })
                .join()
        });
        result.unwrap_or_else(|panic| panic::resume_unwind(panic))
    }

    /// A command that will run inside the namespace, with the mounts of this process; it keeps the
    /// namespace alive until it is dropped. The program is killed when the thread that starts it
    /// ends, so nothing outlives a test that dies.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        sys::enter_before_exec(&mut command, Arc::clone(&self.fd));
        command
    }

    /// Runs `program` with `arguments` inside the namespace to its end; gives its standard output.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or reports failure: then with its standard error.
    pub fn output(&self, program: &str, arguments: &[&str]) -> Result<String, LabError> {
        run_program(self.command(program).args(arguments), &self.label)
    }

    /// Brings `interface` up.
    ///
    /// # Errors
    ///
    /// When there is no such interface.
    pub fn set_up(&self, interface: &str) -> Result<(), LabError> {
        self.output("ip", &["link", "set", interface, "up"]).map(drop)
    }

    /// Waits until `interface` really sends what it is given. After an end of a wire is brought up
    /// the kernel takes a moment to give it a queue, and throws away silently what is sent before.
    ///
    /// # Errors
    ///
    /// When there is no such interface, or it is not up within ten seconds (its other end may be
    /// down).
    pub fn wait_until_up(&self, interface: &str) -> Result<(), LabError> {
        const PATIENCE: Duration = Duration::from_secs(10);
        let deadline = Instant::now() + PATIENCE;
        // The kernel says UP and sets up the queue under one lock, which this question takes too.
        while !self.output("ip", &["-oneline", "link", "show", "dev", interface])?.contains(" state UP ") {
            if Instant::now() >= deadline {
                let what = format!("waiting for {interface} in {} to be up", self.label);
                return Err(LabError::Io { what, source: io::ErrorKind::TimedOut.into() });
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Takes `interface` down.
    ///
    /// # Errors
    ///
    /// When there is no such interface.
    pub fn set_down(&self, interface: &str) -> Result<(), LabError> {
        self.output("ip", &["link", "set", interface, "down"]).map(drop)
    }

    /// Gives `interface` an address, like `10.77.0.1/24`.
    ///
    /// # Errors
    ///
    /// When there is no such interface, or the address is malformed or there already.
    pub fn add_address(&self, interface: &str, address: &str) -> Result<(), LabError> {
        // nodad: an IPv6 address is usable at once and no probe is sent.
        let arguments: &[&str] = if address.contains(':') {
            &["address", "add", address, "dev", interface, "nodad"]
        } else {
            &["address", "add", address, "dev", interface]
        };
        self.output("ip", arguments).map(drop)
    }

    /// Switches a feature of `interface` as `ethtool -K` names it (`tx`, `gro`, `rxvlan` …).
    ///
    /// # Errors
    ///
    /// When ethtool does not know the feature or the device cannot change it.
    pub fn set_feature(&self, interface: &str, feature: &str, on: bool) -> Result<(), LabError> {
        self.output("ethtool", &["-K", interface, feature, if on { "on" } else { "off" }]).map(drop)
    }

    /// Writes a setting of the namespace, like `net.ipv6.conf.all.disable_ipv6`.
    ///
    /// # Errors
    ///
    /// When there is no such setting, or it refuses `value`.
    pub fn set_sysctl(&self, key: &str, value: &str) -> Result<(), LabError> {
        let path = format!("/proc/sys/{}", key.replace('.', "/"));
        self.run(|| fs::write(&path, value)).map_err(LabError::io(format!("writing {value} to {path}")))
    }

    /// The interfaces of the namespace, loopback too, in the kernel's order.
    ///
    /// # Errors
    ///
    /// When `/proc` cannot be read.
    pub fn interfaces(&self) -> Result<Vec<String>, LabError> {
        Ok(self.device_table()?.into_iter().map(|(name, _)| name).collect())
    }

    /// What `interface` has counted.
    ///
    /// # Errors
    ///
    /// When there is no such interface.
    pub fn counters(&self, interface: &str) -> Result<InterfaceCounters, LabError> {
        let found = self.device_table()?.into_iter().find(|(name, _)| name == interface);
        found.map(|(_, counters)| counters).ok_or_else(|| LabError::NoInterface {
            interface: interface.to_owned(),
            place: self.label.clone(),
        })
    }

    fn device_table(&self) -> Result<Vec<(String, InterfaceCounters)>, LabError> {
        let table = self
            .run(|| fs::read_to_string("/proc/thread-self/net/dev"))
            .map_err(LabError::io("reading /proc/thread-self/net/dev"))?;
        Ok(table.lines().filter_map(device_line).collect())
    }

    fn quieten(&self) -> Result<(), LabError> {
        for scope in ["all", "default"] {
            let key = format!("net.ipv6.conf.{scope}.disable_ipv6");
            match self.set_sysctl(&key, "1") {
                // A kernel without IPv6 is as quiet as can be.
                Err(LabError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                other => other?,
            }
        }
        self.set_up("lo")
    }
}

impl AsFd for NetNs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// One line of `/proc/net/dev`: the name, eight receive columns, eight transmit columns. The two
/// heading lines have no colon after a name and numbers, so they give nothing.
fn device_line(line: &str) -> Option<(String, InterfaceCounters)> {
    let (name, rest) = line.split_once(':')?;
    let columns: Vec<u64> = rest.split_whitespace().map_while(|column| column.parse().ok()).collect();
    let &[rx_bytes, rx_packets, _, rx_dropped, _, _, _, _, tx_bytes, tx_packets, _, tx_dropped, ..] =
        columns.as_slice()
    else {
        return None;
    };
    let counters = InterfaceCounters { rx_packets, rx_bytes, rx_dropped, tx_packets, tx_bytes, tx_dropped };
    Some((name.trim().to_owned(), counters))
}

fn run_program(command: &mut Command, place: &str) -> Result<String, LabError> {
    let text = format!("{command:?}").replace('"', "");
    let output = match command.output() {
        Ok(output) => output,
        Err(source) => return Err(LabError::Start { command: text, source }),
    };
    if !output.status.success() {
        return Err(LabError::Program {
            command: text,
            place: place.to_owned(),
            status: output.status.to_string(),
            stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_lines_are_read_by_column() {
        let line = "  gate0:  1500     12    1    2    0     0          0         0     9000     34    3    4    0     0       0          0";
        let (name, counters) = device_line(line).unwrap();
        assert_eq!(name, "gate0");
        let expected = InterfaceCounters {
            rx_packets: 12,
            rx_bytes: 1500,
            rx_dropped: 2,
            tx_packets: 34,
            tx_bytes: 9000,
            tx_dropped: 4,
        };
        assert_eq!(counters, expected);
        assert!(device_line("Inter-|   Receive                            |  Transmit").is_none());
        assert!(device_line(" face |bytes    packets errs drop").is_none());
    }
}
