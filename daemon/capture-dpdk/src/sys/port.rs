//! A started port and its queues.

use super::mbuf::{Mbuf, Pool};
use super::{Eal, c_string, ffi, reason};
use crate::config::is_pci;
use crate::error::DpdkError;
use arrayvec::ArrayVec;
use portcullis_capture::BURST;
use std::ffi::{CStr, c_char};
use std::mem::MaybeUninit;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

/// Held by whoever opens, closes or asks: DPDK wants that done by one thread at a time.
static CONTROL: Mutex<()> = Mutex::new(());

/// Most extended statistics that are told of a port.
const MAX_EXTENDED: usize = 512;

/// Waits for its turn at the controls.
pub(super) fn control() -> MutexGuard<'static, ()> {
    CONTROL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The same, unless somebody else is at it.
fn try_control() -> Option<MutexGuard<'static, ()>> {
    match CONTROL.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// What is known of a port before it is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortFacts {
    /// The driver.
    pub driver: String,
    /// Most pairs of queues.
    pub max_queues: u32,
    /// Largest MTU that the driver takes.
    pub max_mtu: u32,
    /// The MTU that it has.
    pub mtu: u32,
    /// The memory that it is near, -1 if any.
    pub socket: i32,
    /// Does it spread flows over queues by a hash?
    pub can_hash: bool,
    /// Can it receive a packet into several buffers?
    pub can_scatter: bool,
    /// Can it send a packet out of several buffers?
    pub can_send_segments: bool,
    /// Does it check checksums?
    pub can_check: bool,
}

/// How a port shall be started.
#[derive(Clone, Copy, Debug)]
pub struct PortRequest {
    /// Pairs of queues.
    pub queues: u16,
    /// Entries of each receive ring, as a wish.
    pub rx_descriptors: u16,
    /// Entries of each transmit ring, as a wish.
    pub tx_descriptors: u16,
    /// The MTU; `None`: as it is.
    pub mtu: Option<u16>,
    /// Should the device check checksums where it can?
    pub checksum: bool,
    /// Must a packet be received into several buffers?
    pub scatter: bool,
    /// Should it receive what is not addressed to it?
    pub promiscuous: bool,
}

/// What a port lost, since it exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Packets for which its receive rings had no room.
    pub missed: u64,
    /// Packets that were received damaged.
    pub receive_errors: u64,
    /// Times that there was no buffer for a packet.
    pub no_buffer: u64,
    /// Packets that it could not send.
    pub send_errors: u64,
}

/// A driver's own statistics, by its names.
pub type Extended = Vec<(String, u64)>;

/// A port that was started: stopped and closed when the last reference goes.
#[derive(Debug)]
pub struct Port {
    id: u16,
    device: String,
    rx_descriptors: u16,
    tx_descriptors: u16,
    facts: PortFacts,
    /// The device holds buffers to its end. Let go of after that.
    _pool: Arc<Pool>,
}

impl Port {
    /// What is known of the port that DPDK calls `device`: a PCI address, or the name of a virtual device.
    ///
    /// # Errors
    /// There is no such port.
    pub fn facts(_eal: &Eal, device: &str) -> Result<PortFacts, DpdkError> {
        let _control = control();
        facts(find(device)?, device)
    }

    /// Starts a port, whose receive rings are filled from `pool`. Answers its lanes, one a pair of queues.
    ///
    /// # Errors
    /// There is no such port, or it refuses what is asked.
    pub fn start(
        device: &str,
        request: &PortRequest,
        pool: &Arc<Pool>,
    ) -> Result<(Arc<Self>, Vec<Lane>), DpdkError> {
        let _control = control();
        let id = find(device)?;
        let facts = facts(id, device)?;
        let mut config = ffi_config(device, request, &facts);
        let refused =
            |action, code| DpdkError::Port { device: device.to_owned(), action, reason: reason(code) };
        // SAFETY: the environment is up, for the pool stands on it; the port is nobody else's, or it refuses.
        let code = unsafe { ffi::pc_port_configure(id, &raw mut config) };
        if code != 0 {
            return Err(refused("configured", code));
        }
        // From here on dropping it closes it.
        let port = Self {
            id,
            device: device.to_owned(),
            rx_descriptors: config.rx_descriptors,
            tx_descriptors: config.tx_descriptors,
            facts,
            _pool: Arc::clone(pool),
        };
        // SAFETY: configured just now; the pool outlives the port, which holds it.
        let code = unsafe { ffi::pc_port_start(id, &raw const config, pool.raw()) };
        if code != 0 {
            drop(_control);
            return Err(refused("started", code));
        }
        let port = Arc::new(port);
        let lanes = (0..request.queues).map(|queue| Lane { port: Arc::clone(&port), queue });
        let lanes = lanes.collect();
        Ok((port, lanes))
    }

    pub(super) const fn id(&self) -> u16 {
        self.id
    }

    /// DPDK's name for it.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.device
    }

    /// What was known of it before it was started.
    #[must_use]
    pub const fn known(&self) -> &PortFacts {
        &self.facts
    }

    /// Entries that its receive and its transmit rings really have.
    #[must_use]
    pub const fn descriptors(&self) -> (u16, u16) {
        (self.rx_descriptors, self.tx_descriptors)
    }

    /// Megabits a second; 0 where the link is down, `u32::MAX` where its speed is not known.
    #[must_use]
    pub fn link(&self) -> u32 {
        let _control = control();
        // SAFETY: the port is open.
        unsafe { ffi::pc_port_link(self.id) }
    }

    /// What it lost; `None` where somebody else is asking something right now, or the driver does not tell.
    #[must_use]
    pub fn losses(&self) -> Option<Losses> {
        let _control = try_control()?;
        let mut counts = [0_u64; 4];
        // SAFETY: the port is open, and there is room for four numbers.
        let code = unsafe { ffi::pc_port_losses(self.id, counts.as_mut_ptr()) };
        let [missed, receive_errors, no_buffer, send_errors] = counts;
        (code == 0).then_some(Losses { missed, receive_errors, no_buffer, send_errors })
    }

    /// The driver's own statistics; empty where it has none.
    #[must_use]
    pub fn extended(&self) -> Extended {
        let _control = control();
        let mut stats = vec![ffi::ExtendedStat { name: [0; 64], value: 0 }; MAX_EXTENDED];
        let room = u32::try_from(stats.len()).unwrap_or(0);
        // SAFETY: the port is open, and there is room for so many.
        let count = unsafe { ffi::pc_port_xstats(self.id, stats.as_mut_ptr(), room) };
        stats.truncate(usize::try_from(count).unwrap_or(0));
        stats.iter().map(|stat| (text(&stat.name), stat.value)).collect()
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        let _control = control();
        // SAFETY: no lane is left, for each holds the port, so nobody uses its queues.
        unsafe { ffi::pc_port_stop(self.id) };
        // SAFETY: stopped, and never used again.
        unsafe { ffi::pc_port_close(self.id) };
    }
}

/// One pair of queues of a port.
#[derive(Debug)]
pub struct Lane {
    port: Arc<Port>,
    queue: u16,
}

impl Lane {
    /// The port.
    #[must_use]
    pub fn port(&self) -> &Arc<Port> {
        &self.port
    }

    /// The number of the queues.
    #[must_use]
    pub const fn queue(&self) -> u16 {
        self.queue
    }

    /// Takes at most `limit` packets that were received, and not more than a burst; how many.
    pub fn receive(&mut self, limit: usize, mut each: impl FnMut(Mbuf)) -> usize {
        let mut packets = [const { MaybeUninit::<Mbuf>::uninit() }; BURST];
        let limit = u16::try_from(limit.min(BURST)).unwrap_or(0);
        // SAFETY: the port is started and the queue served by this value alone; there is room for so many.
        let count = unsafe { ffi::pc_rx(self.port.id, self.queue, packets.as_mut_ptr().cast(), limit) };
        for packet in packets.iter().take(usize::from(count)) {
            // SAFETY: filled in by the call, and read once: it is the one owner of the buffer.
            each(unsafe { packet.assume_init_read() });
        }
        usize::from(count)
    }

    /// Gives the device as many packets, from the first on, as it takes; the others stay.
    pub fn send<const N: usize>(&mut self, packets: &mut ArrayVec<Mbuf, N>) {
        let count = u16::try_from(packets.len()).unwrap_or(u16::MAX);
        // SAFETY: the port is started and the queue served by this value alone; so many packets lie there.
        let sent = unsafe { ffi::pc_tx(self.port.id, self.queue, packets.as_ptr(), count) };
        // The device's now.
        packets.drain(..usize::from(sent).min(usize::from(count))).for_each(std::mem::forget);
    }
}

fn find(device: &str) -> Result<u16, DpdkError> {
    let name = c_string(device)?;
    let mut id = 0_u16;
    // SAFETY: a string that ends, and room for the answer.
    let code = unsafe { ffi::pc_port_by_name(name.as_ptr(), &raw mut id) };
    if code == 0 { Ok(id) } else { Err(DpdkError::NoPort { device: device.to_owned() }) }
}

fn facts(id: u16, device: &str) -> Result<PortFacts, DpdkError> {
    let mut info = MaybeUninit::<ffi::PortInfo>::zeroed();
    // SAFETY: room for the answer.
    let code = unsafe { ffi::pc_port_info(id, info.as_mut_ptr()) };
    if code != 0 {
        let (device, reason) = (device.to_owned(), reason(code));
        return Err(DpdkError::Port { device, action: "asked what it is", reason });
    }
    // SAFETY: filled in, as there was no error; zeroes would do, too.
    let info = unsafe { info.assume_init() };
    let can = |flag| info.flags & flag != 0;
    Ok(PortFacts {
        driver: text(&info.driver),
        max_queues: info.max_queues,
        max_mtu: info.max_mtu,
        mtu: info.mtu,
        socket: info.socket,
        can_hash: can(ffi::CAN_RSS) && info.key_size <= 64,
        can_scatter: can(ffi::CAN_SCATTER),
        can_send_segments: can(ffi::CAN_SEND_SEGMENTS),
        can_check: can(ffi::CAN_CHECKSUM),
    })
}

fn ffi_config(device: &str, request: &PortRequest, facts: &PortFacts) -> ffi::PortConfig {
    let wanted = [
        (ffi::CAN_RSS, facts.can_hash && request.queues > 1),
        (ffi::CAN_SCATTER, facts.can_scatter && request.scatter),
        (ffi::CAN_SEND_SEGMENTS, facts.can_send_segments),
        (ffi::CAN_CHECKSUM, facts.can_check && request.checksum),
    ];
    // What is not a device of its own has the MTU of what it stands on.
    let owns = is_pci(device);
    let own_mtu = if owns { u16::try_from(facts.mtu).ok() } else { None };
    ffi::PortConfig {
        queues: request.queues,
        rx_descriptors: request.rx_descriptors,
        tx_descriptors: request.tx_descriptors,
        mtu: request.mtu.or(own_mtu).unwrap_or(0),
        wanted: wanted.iter().filter(|(_, wanted)| *wanted).map(|(flag, _)| flag).sum(),
        promiscuous: u16::from(request.promiscuous),
        room_for_tags: u16::from(owns),
    }
}

/// The string in a field that may be full.
pub(super) fn text(field: &[c_char]) -> String {
    let bytes: Vec<u8> = field.iter().map(|byte| byte.to_ne_bytes()[0]).chain([0]).collect();
    CStr::from_bytes_until_nul(&bytes).map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
}
