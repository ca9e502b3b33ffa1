//! The gate over DPDK's own driver of the cards, which the kernel has given away.

use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::{PORTS, SHORT, SILENCE, Scenario};
use crate::say;
use crate::vm::frames::{ANY, frame};
use crate::vm::image::DPDK_CONFIG;

/// Where the cards are, as `configs/vm-dpdk.toml` has them: each behind a port of its own.
const ADDRESSES: [&str; 2] = ["0000:01:00.0", "0000:02:00.0"];
/// Frames that must not get through.
const STOPPED: u32 = 20;

impl Scenario {
    /// Everything in its order, from cards that the kernel drives.
    pub(super) fn poll_mode(&mut self) -> Result<()> {
        self.give_cards_away()?;
        self.start_polling()?;
        self.all_judged(self.frames).context("with the gate alive")?;
        self.rules_hold()?;
        self.replaced()?;
        self.dark()?;
        self.start_polling().context("once more")?;
        self.all_judged(self.frames / 4).context("after a restart")?;
        self.rules_hold()?;
        self.stop()
    }

    /// Has vfio-pci drive the cards, behind the IOMMU.
    fn give_cards_away(&mut self) -> Result<()> {
        for (port, address) in PORTS.iter().zip(ADDRESSES) {
            let found =
                self.guest.run(&format!("basename $(readlink /sys/class/net/{port}/device)"), SHORT)?;
            ensure!(found.trim() == address, "{port} is at {}", found.trim());
            let device = format!("/sys/bus/pci/devices/{address}");
            self.guest.run(
                &format!(
                    "echo vfio-pci >{device}/driver_override && echo {address} >{device}/driver/unbind && \
                     echo {address} >/sys/bus/pci/drivers_probe && test -e {device}/iommu_group"
                ),
                SHORT,
            )?;
            let driver = self.guest.run(&format!("basename $(readlink {device}/driver)"), SHORT)?;
            ensure!(driver.trim() == "vfio-pci", "{address} has the driver {}", driver.trim());
        }
        say::detail("both cards are vfio-pci's, each behind the IOMMU");
        Ok(())
    }

    fn start_polling(&mut self) -> Result<()> {
        let started = Instant::now();
        let log = self.launch(DPDK_CONFIG)?;
        for port in PORTS {
            let expected = format!("{port}: net_e1000_igb, ");
            ensure!(log.contains(&expected), "the gate does not say `{expected}`: {log}");
        }
        say::detail(&format!(
            "the gate stands after {:.1} s: DPDK's driver net_e1000_igb",
            started.elapsed().as_secs_f32()
        ));
        self.opened("the gate")
    }

    /// Where nobody drives the cards nothing passes, and nothing is let through.
    fn dark(&mut self) -> Result<()> {
        self.guest.run("killall -9 portcullis", SHORT)?;
        let series = self.next_series();
        for number in 0..STOPPED {
            for port in 0..2 {
                self.wire.push(port, &frame(series, port, number, ANY))?;
            }
        }
        let came = self.wire.drain(SILENCE)?;
        ensure!(came == [0, 0], "{came:?} frames came through without a gate");
        say::detail("gate and warden were killed; the ports are dark");
        Ok(())
    }
}
