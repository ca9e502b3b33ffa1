//! The emulated machine: QEMU without any privilege, and what it is told over its second serial line.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;

use super::kernel::Kernel;
use super::packages::QEMU;
use crate::program::Interrupt;

/// How long the guest may take until it takes commands.
const BOOT_LIMIT: Duration = Duration::from_secs(180);
/// How long it may take to end.
const END_LIMIT: Duration = Duration::from_secs(60);
/// How often the wish to stop is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A network card that QEMU emulates, and who drives it: the kernel, with zero copy, or DPDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Nic {
    /// The paravirtual one, with DMA through the kernel's DMA layer: without it there is no zero copy.
    Virtio,
    /// Intel's 82576.
    Igb,
    /// The same behind an IOMMU, for DPDK's own driver.
    IgbPolled,
}

impl Nic {
    /// The name of its driver in the kernel.
    pub(crate) const fn driver(self) -> &'static str {
        match self {
            Self::Virtio => "virtio_net",
            Self::Igb | Self::IgbPolled => "igb",
        }
    }

    /// For messages.
    pub(crate) const fn title(self) -> &'static str {
        if self.is_polled() { "igb, for DPDK" } else { self.driver() }
    }

    /// Is it for DPDK?
    pub(crate) const fn is_polled(self) -> bool {
        matches!(self, Self::IgbPolled)
    }

    /// How many queues a port of it has. Cables of datagrams have but one, so the paravirtual one has, too; the other spreads
    /// packets by itself, and its driver takes as many queues as there are CPUs.
    pub(crate) const fn queues(self) -> u32 {
        match self {
            Self::Virtio | Self::IgbPolled => 1,
            Self::Igb => 2,
        }
    }

    const fn device(self) -> &'static str {
        match self {
            Self::Virtio => "virtio-net-pci,iommu_platform=on,disable-legacy=on",
            Self::Igb | Self::IgbPolled => "igb",
        }
    }
}

/// Ethernet address of a port.
pub(crate) fn address(port: usize) -> String {
    format!("52:54:00:00:00:0{}", port + 1)
}

/// Where the guest takes frames for a port.
pub(crate) fn guest_socket(folder: &Path, port: usize) -> PathBuf {
    folder.join(format!("guest{port}"))
}

/// Where the host takes frames from a port.
pub(crate) fn host_socket(folder: &Path, port: usize) -> PathBuf {
    folder.join(format!("host{port}"))
}

/// What the guest answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The command's exit status.
    pub(crate) status: i32,
    /// What it wrote.
    pub(crate) text: String,
}

/// A running guest; ended when dropped.
#[derive(Debug)]
pub(crate) struct Guest {
    child: Child,
    commands: ChildStdin,
    lines: Receiver<String>,
    console: PathBuf,
    interrupt: Interrupt,
    /// The kernel's release.
    pub(crate) release: String,
}

impl Guest {
    /// Boots and waits until the guest takes commands. The sockets of its ports and what its kernel says go to
    /// `folder`.
    pub(crate) fn boot(
        kernel: &Kernel,
        image: &Path,
        nic: Nic,
        folder: &Path,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let console = folder.join("console");
        let mut command = command(kernel, image, nic, folder, &console);
        // Ctrl-C reaches it through us, when its turn has come.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().with_context(|| format!("cannot start {QEMU}"))?;
        let output = child.stdout.take().context("QEMU's output was asked for")?;
        let commands = child.stdin.take().context("QEMU's input was asked for")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let interrupt = interrupt.clone();
        let mut guest = Self { child, commands, lines, console, interrupt, release: String::new() };
        let (_, release) = guest.until("== ready ", BOOT_LIMIT).context("the guest does not boot")?;
        guest.release = release;
        Ok(guest)
    }

    /// Runs a shell command, which must end within `limit`.
    pub(crate) fn ask(&mut self, command: &str, limit: Duration) -> Result<Answer> {
        ensure!(!command.contains('\n'), "a command is one line");
        writeln!(self.commands, "{command}")
            .and_then(|()| self.commands.flush())
            .context("the guest is gone")?;
        let (text, status) =
            self.until("== status ", limit).with_context(|| format!("no answer to `{command}`"))?;
        Ok(Answer { status: status.parse().context("a status is a number")?, text })
    }

    /// The same, and it must succeed; what it wrote.
    pub(crate) fn run(&mut self, command: &str, limit: Duration) -> Result<String> {
        let Answer { status, text } = self.ask(command, limit)?;
        ensure!(status == 0, "`{command}` failed in the guest ({status}): {}", text.trim());
        Ok(text)
    }

    /// What the guest's kernel and early programs said: the end of it.
    pub(crate) fn console(&self) -> String {
        let text = fs::read(&self.console).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(25)..).unwrap_or_default().join("\n")
    }

    /// Ends the machine and waits until it has.
    pub(crate) fn end(mut self) -> Result<()> {
        writeln!(self.commands, "reboot -f").context("the guest is gone")?;
        let interrupt = self.interrupt.clone();
        interrupt.wait_for("the guest to end", END_LIMIT, || Ok(self.child.try_wait()?)).map(drop)
    }

    /// The lines before one that begins with `mark`, and the rest of that line.
    fn until(&mut self, mark: &str, limit: Duration) -> Result<(String, String)> {
        let deadline = Instant::now() + limit;
        let mut text = String::new();
        loop {
            self.interrupt.check()?;
            match self.lines.recv_timeout(LOOK_EVERY) {
                Ok(line) => match line.strip_prefix(mark) {
                    Some(rest) => return Ok((text, rest.trim().to_owned())),
                    None => text = text + &line + "\n",
                },
                Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
                Err(RecvTimeoutError::Timeout) => {
                    bail!("{} seconds are over; {}", limit.as_secs(), self.said(&text))
                }
                Err(RecvTimeoutError::Disconnected) => bail!("the machine has ended; {}", self.said(&text)),
            }
        }
    }

    /// For messages: what QEMU and the guest have said.
    fn said(&mut self, text: &str) -> String {
        let _ = self.child.kill();
        let mut complaint = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            let _ = std::io::Read::read_to_string(&mut stderr, &mut complaint);
        }
        format!("it said: {}\n{}\n{}", text.trim(), complaint.trim(), self.console())
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // It may have ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(kernel: &Kernel, image: &Path, nic: Nic, folder: &Path, console: &Path) -> Command {
    let mut command = Command::new(QEMU);
    let (machine, parameters) = if nic.is_polled() {
        // Memory from huge pages, and an IOMMU, without which the kernel gives no card away. On a busy machine the emulated
        // timer may come too late for the kernel's check of how interrupts come through that.
        ("q35,kernel-irqchip=split", " intel_iommu=on hugepages=96 no_timer_check")
    } else {
        ("q35", "")
    };
    command.args(["-machine", machine, "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "768"]);
    command.arg("-smp").arg(nic.queues().to_string());
    command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
    command.arg("-kernel").arg(&kernel.image).arg("-initrd").arg(image);
    command.arg("-append").arg(format!("console=ttyS0 quiet mitigations=off panic=-1{parameters}"));
    if nic.is_polled() {
        command.args(["-device", "intel-iommu"]);
    }
    command.arg("-serial").arg(format!("file:{}", console.display())).args(["-serial", "stdio"]);
    for port in 0..2 {
        let (guest, host) = (guest_socket(folder, port), host_socket(folder, port));
        // Two cards on the root bus collide, so each has a port of its own.
        command.arg("-device").arg(format!("pcie-root-port,id=root{port},slot={}", port + 1));
        command.arg("-netdev").arg(format!(
            "dgram,id=net{port},local.type=unix,local.path={},remote.type=unix,remote.path={}",
            guest.display(),
            host.display()
        ));
        let (device, address) = (nic.device(), address(port));
        command.arg("-device").arg(format!("{device},netdev=net{port},bus=root{port},mac={address}"));
    }
    command
}
