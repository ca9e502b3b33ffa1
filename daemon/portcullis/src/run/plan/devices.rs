//! What DPDK is told.

use super::MAX_WORKERS;
use crate::config::{CaptureModule, Config, DpdkConfig};
use crate::exit::Failure;
use crate::run::dpdk;
use portcullis_capture_xdp::XdpConfig;

/// DPDK's ports.
#[derive(Debug)]
#[cfg_attr(not(feature = "dpdk"), expect(dead_code, reason = "what DPDK would be told"))]
pub(crate) struct Devices {
    /// Name and device, by port.
    pub(crate) ports: Vec<(String, String)>,
    /// How many workers, if that was said.
    workers: Option<u8>,
    /// How they are opened.
    pub(crate) settings: DpdkConfig,
}

impl Devices {
    /// How many workers there will be: as was said, or one a pair of queues, or one a CPU.
    pub(crate) fn workers(&self, cpus: &[usize]) -> u8 {
        let auto = self.settings.queues.map_or(cpus.len(), usize::from);
        self.workers.unwrap_or_else(|| u8::try_from(auto.clamp(1, MAX_WORKERS as usize)).unwrap_or(u8::MAX))
    }

    /// # Errors
    /// This build has no DPDK, or a port has no device.
    pub(super) fn new(config: &Config, capture: &XdpConfig) -> Result<Option<Self>, Failure> {
        if config.capture.module != CaptureModule::Dpdk {
            return Ok(None);
        }
        dpdk::supported().map_err(|reason| Failure::Input(reason.to_owned()))?;
        let settings = config.capture.dpdk.clone();
        let device = |name: &str| {
            let known = settings.ports.iter().find(|(other, _)| other == name);
            known.cloned().ok_or_else(|| {
                Failure::Input(format!(
                    "capture.dpdk.ports names no device for {name:?}, which an inline set uses"
                ))
            })
        };
        let ports = capture.interfaces().map(device).collect::<Result<_, _>>()?;
        Ok(Some(Self { ports, workers: capture.workers, settings }))
    }
}
