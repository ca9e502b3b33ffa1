//! Rules by which a device drops packets of a flow itself (DPDK's rte_flow).

use super::ffi;
use super::port::{Port, control, text};
use crate::error::DpdkError;
use std::ffi::{c_char, c_int, c_void};
use std::ptr::NonNull;
use std::sync::{Arc, Weak};

/// Room for a driver's words.
const WORDS: usize = 128;

/// One direction of a TCP or UDP flow, as its packets look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct FlowMatch {
    /// Who sends; of IPv4 the first four bytes.
    pub source: [u8; 16],
    /// Who receives; of IPv4 the first four bytes.
    pub destination: [u8; 16],
    /// The sender's port.
    pub source_port: u16,
    /// The receiver's port.
    pub destination_port: u16,
    /// VLAN ids, outermost first: as many as `vlan_count` says.
    pub vlans: [u16; 2],
    /// How many tags the packets have.
    pub vlan_count: u8,
    /// 4 or 6.
    pub version: u8,
    /// 6 (TCP) or 17 (UDP).
    pub protocol: u8,
    /// Nothing.
    pub reserved: u8,
}

/// What rules can do beside dropping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowAbilities {
    /// Does the device count what a rule drops?
    pub counts: bool,
    /// Can a rule leave alone TCP segments with SYN, FIN or RST? Else they are dropped with the rest.
    pub keeps_ends: bool,
}

impl FlowAbilities {
    const fn wanted(self) -> u32 {
        let counts = if self.counts { ffi::FLOW_COUNTS } else { 0 };
        counts | if self.keeps_ends { ffi::FLOW_KEEPS_ENDS } else { 0 }
    }
}

/// A rule in force: it ends when this is dropped, or with the port.
#[derive(Debug)]
pub struct FlowRule {
    raw: NonNull<c_void>,
    // Who only has a rule does not keep the port open.
    port: Weak<Port>,
}

// SAFETY: DPDK's handle of a rule is bound to no thread; calls with it are made one at a time (`control`).
unsafe impl Send for FlowRule {}

impl Port {
    /// Would the device drop packets like these, with these abilities?
    ///
    /// # Errors
    /// It would not; the driver's reason.
    pub fn would_drop(&self, flow: &FlowMatch, abilities: FlowAbilities) -> Result<(), DpdkError> {
        let mut words = [0; WORDS];
        let _control = control();
        // SAFETY: the port is open, the match lives, and there is room for so many characters.
        let code = unsafe {
            ffi::pc_flow_validate(self.id(), flow, abilities.wanted(), words.as_mut_ptr(), room(&words))
        };
        self.answer(code, &words)
    }

    /// Has the device drop packets like these, from now on.
    ///
    /// # Errors
    /// It does not; the driver's reason.
    pub fn drop_flow(
        self: &Arc<Self>,
        flow: &FlowMatch,
        abilities: FlowAbilities,
    ) -> Result<FlowRule, DpdkError> {
        let (mut words, mut raw) = ([0; WORDS], std::ptr::null_mut());
        let _control = control();
        // SAFETY: the port is open, the match lives, and there is room for the answer and so many characters.
        let code = unsafe {
            ffi::pc_flow_create(
                self.id(),
                flow,
                abilities.wanted(),
                &raw mut raw,
                words.as_mut_ptr(),
                room(&words),
            )
        };
        self.answer(code, &words)?;
        let raw = NonNull::new(raw).ok_or_else(|| self.refused("nothing".to_owned()))?;
        Ok(FlowRule { raw, port: Arc::downgrade(self) })
    }

    fn answer(&self, code: c_int, words: &[c_char]) -> Result<(), DpdkError> {
        if code == 0 { Ok(()) } else { Err(self.refused(text(words))) }
    }

    fn refused(&self, reason: String) -> DpdkError {
        DpdkError::Port { device: self.device().to_owned(), action: "told to drop a flow", reason }
    }
}

impl FlowRule {
    /// Packets and bytes that it has dropped; `None` where the device does not count, or is closed.
    #[must_use]
    pub fn dropped(&self) -> Option<[u64; 2]> {
        let port = self.port.upgrade()?;
        let mut counts = [0; 2];
        let _control = control();
        // SAFETY: the port is open and the rule in force; there is room for two numbers.
        let code = unsafe { ffi::pc_flow_query(port.id(), self.raw.as_ptr(), counts.as_mut_ptr()) };
        (code == 0).then_some(counts)
    }
}

impl Drop for FlowRule {
    fn drop(&mut self) {
        // A port that was closed has no rules any more.
        let Some(port) = self.port.upgrade() else { return };
        let control = control();
        // SAFETY: the port is open and the rule in force; it is never used again.
        unsafe { ffi::pc_flow_destroy(port.id(), self.raw.as_ptr()) };
        // Should it be the last reference, the port takes its turn at the controls itself.
        drop(control);
        drop(port);
    }
}

fn room(words: &[c_char]) -> u32 {
    u32::try_from(words.len()).unwrap_or(0)
}
