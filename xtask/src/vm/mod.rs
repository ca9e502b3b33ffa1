//! The gate on real drivers: a Debian kernel in QEMU, two emulated network cards whose drivers work on our packet
//! memory (zero copy), or that DPDK drives, the real binary between them, and this program at both cables.
//!
//! Nothing here needs privileges but the installation of packages, and nothing of this machine is touched: cards, cables
//! and the gate are the guest's.

mod frames;
mod guest;
mod image;
mod kernel;
mod packages;
mod scenario;
mod wire;

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use crate::program::Interrupt;
use crate::{say, setup, workspace};
use guest::{Guest, Nic};
use kernel::Kernel;
use packages::Packages;
use scenario::Scenario;
use wire::Wire;

/// Frames that go through in each direction, unless said otherwise.
const FRAMES: u32 = 2000;

/// The cards that are emulated, and Debian's packages, are those of x86-64.
const IS_POSSIBLE: bool = cfg!(target_arch = "x86_64");

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// The network card.
    #[arg(long, value_enum, default_value_t = Choice::All)]
    nic: Choice,
    /// Frames that go through in each direction.
    #[arg(long, default_value_t = FRAMES, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    frames: u32,
    /// The guest's kernel by its Debian version, such as 6.18.15+deb13 [default: the newest]
    #[arg(long, value_name = "VERSION")]
    kernel: Option<String>,
    /// Build with all optimisations; the build of the tests is shared otherwise.
    #[arg(long)]
    release: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Choice {
    /// The paravirtual card of virtual machines.
    Virtio,
    /// Intel's 82576, driver igb.
    Igb,
    /// The same with DPDK's driver instead of the kernel's, through vfio-pci.
    IgbDpdk,
    /// One after the other.
    All,
}

impl Default for Options {
    fn default() -> Self {
        Self { nic: Choice::All, frames: FRAMES, kernel: None, release: false }
    }
}

impl Choice {
    const fn nics(self) -> &'static [Nic] {
        match self {
            Self::Virtio => &[Nic::Virtio],
            Self::Igb => &[Nic::Igb],
            Self::IgbDpdk => &[Nic::IgbPolled],
            Self::All => &[Nic::Virtio, Nic::Igb, Nic::IgbPolled],
        }
    }
}

/// What the tests of the project do of this: everything, where the machine is one that can.
pub(crate) fn test() -> Result<()> {
    if !IS_POSSIBLE {
        say::detail(
            "no virtual machine with zero-copy ports: it runs this machine's binary, and needs x86-64 for it",
        );
        return Ok(());
    }
    run(&Options::default())
}

/// Goes through everything on each card; an error when anything is not as it should be.
pub(crate) fn run(options: &Options) -> Result<()> {
    ensure!(
        IS_POSSIBLE,
        "the virtual machine runs this machine's own binary, and needs an x86-64 machine for it"
    );
    let interrupt = Interrupt::listen()?;
    let packages = Packages::open()?;
    packages.install_emulator()?;
    let kernel = match &options.kernel {
        Some(version) => kernel::exactly(&packages, version)?,
        None => kernel::newest(&packages)?,
    };
    let folder = workspace::target()?.join("vm");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let image = folder.join("initramfs");
    // What the image holds: a gate with DPDK, or without.
    let mut built = None;
    for nic in options.nic.nics() {
        if built != Some(nic.is_polled()) {
            build_image(&kernel, nic.is_polled(), options.release, &image)?;
            built = Some(nic.is_polled());
        }
        let started = Instant::now();
        say::step(&format!("Booting Linux {} with two ports of the driver {}", kernel.version, nic.title()));
        // Paths of sockets must be short.
        let folder =
            tempfile::Builder::new().prefix("portcullis-vm").tempdir().context("no temporary folder")?;
        let wire = Wire::lay(folder.path(), &interrupt)?;
        let guest = Guest::boot(&kernel, &image, *nic, folder.path(), &interrupt)?;
        say::detail(&format!(
            "Linux {} takes commands after {:.1} s",
            guest.release,
            started.elapsed().as_secs_f32()
        ));
        Scenario::new(guest, wire, *nic, options.frames).play()?;
        say::detail(&format!("{}: all of it in {:.1} s", nic.title(), started.elapsed().as_secs_f32()));
    }
    Ok(())
}

/// Builds the gate, with DPDK or without, and writes an image that holds it.
fn build_image(kernel: &Kernel, dpdk: bool, release: bool, image: &Path) -> Result<()> {
    if dpdk {
        setup::dpdk()?;
    }
    say::step(&format!("Building the gate for the virtual machine{}", if dpdk { ", with DPDK" } else { "" }));
    let features: &[&str] = if dpdk { &["--features", "dpdk"] } else { &[] };
    let gate = workspace::build_with("portcullis", "portcullis", features, release)?;
    image::write(kernel, &gate, dpdk, image)
}
