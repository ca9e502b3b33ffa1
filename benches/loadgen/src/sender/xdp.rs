//! The sender by an AF_XDP socket: frames are made in memory that the kernel shares, and it copies them onto the wire.
#![expect(unsafe_code, reason = "xsk-rs leaves the ownership of frames to its caller")]

use crate::maker::Maker;
use crate::pace::{Clock, Due, Pace};
use crate::place::Opened;
use crate::sender::Sent;
use crate::stop::Stop;
use crate::thread;
use anyhow::{Context, Result, anyhow};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};
use xsk_rs::config::{BindFlags, FrameSize, LibxdpFlags, QueueSize, SocketConfig, UmemConfig};
use xsk_rs::{CompQueue, FillQueue, FrameDesc, RxQueue, Socket, TxQueue, Umem};

const RING: u32 = 2048;
const FRAMES: NonZeroU32 = NonZeroU32::new(2048).expect("not 0");
/// Frames that are handed over together as fast as they go.
const BATCH: usize = 32;
/// Below this it does not pay to sleep.
const SHORT: u64 = 200_000;
/// How long the last frames may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends until the pace is over or the wish to stop comes.
pub(crate) fn send(from: &Opened, maker: &Maker, pace: Pace, stop: &Stop) -> Result<Sent> {
    let mut lane = from.inside(|| Lane::open(&from.interface))?;
    let mut clock = Clock::new(pace);
    let mut sequences = vec![0_u32; usize::try_from(maker.flows)?];
    let mut sent = Sent::default();
    let before = thread::cpu_time();
    while !stop.is_wanted() {
        lane.reclaim();
        if lane.free.is_empty() {
            lane.kick()?;
            continue;
        }
        let now = thread::nanos();
        match clock.due(now) {
            Due::Over => break,
            Due::Wait(nanos) => {
                lane.hand_over()?;
                if nanos > SHORT {
                    std::thread::sleep(Duration::from_nanos(nanos - SHORT / 2));
                } else {
                    std::hint::spin_loop();
                }
                continue;
            }
            Due::Frame => {}
        }
        let number = u32::try_from(sent.frames).context("no more frames can be numbered")?;
        let class = maker.class(number);
        let sequence = &mut sequences[usize::try_from(number % maker.flows)?];
        lane.make(&class.bytes, |frame| maker.finish(frame, class.payload_sum, number, now, *sequence))?;
        *sequence = sequence.wrapping_add(u32::try_from(class.bytes.len())? - TCP_HEADERS);
        if sent.frames == 0 {
            sent.first = now;
        }
        sent.frames += 1;
        sent.bytes += u64::try_from(class.bytes.len())?;
        sent.last = now;
        if lane.made.len() >= BATCH {
            lane.hand_over()?;
        }
    }
    lane.finish()?;
    Ok(Sent { cpu: thread::cpu_time() - before, ..sent })
}

/// Bytes of a TCP segment's frame that are not payload.
const TCP_HEADERS: u32 = 54;

/// A socket that only sends.
#[derive(Debug)]
struct Lane {
    umem: Umem,
    transmit: TxQueue,
    completion: CompQueue,
    /// Held, for without them there is no socket.
    _receiving: (RxQueue, FillQueue),
    free: Vec<FrameDesc>,
    made: Vec<FrameDesc>,
}

impl Lane {
    /// Opens one on the interface's first queue, in this namespace.
    fn open(interface: &str) -> Result<Self> {
        let ring = QueueSize::new(RING)?;
        let config = UmemConfig::builder()
            .frame_size(FrameSize::new(4096)?)
            .fill_queue_size(ring)
            .comp_queue_size(ring)
            .build()?;
        let (umem, free) = Umem::new(config, FRAMES, false).context("cannot map memory for frames")?;
        let config = SocketConfig::builder()
            .rx_queue_size(ring)
            .tx_queue_size(ring)
            .libxdp_flags(LibxdpFlags::XSK_LIBXDP_FLAGS_INHIBIT_PROG_LOAD)
            .bind_flags(BindFlags::XDP_USE_NEED_WAKEUP)
            .build();
        let name = interface.parse().map_err(|error| anyhow!("{interface}: {error}"))?;
        // SAFETY: no program is loaded by libxdp, and this memory has but this socket.
        let opened = unsafe { Socket::new(config, &umem, &name, 0) };
        let (transmit, receive, rings) =
            opened.with_context(|| format!("cannot open an AF_XDP socket on {interface} (it needs root)"))?;
        let (fill, completion) = rings.context("the socket has no rings")?;
        Ok(Self {
            umem,
            transmit,
            completion,
            _receiving: (receive, fill),
            free,
            made: Vec::with_capacity(BATCH),
        })
    }

    /// Makes a frame of these bytes, of which there must be a free one.
    fn make(&mut self, bytes: &[u8], finish: impl FnOnce(&mut [u8])) -> Result<()> {
        let mut frame = self.free.pop().context("no frame is free")?;
        // SAFETY: the frame is of this memory, and ours: it was never handed over, or came back.
        let mut data = unsafe { self.umem.data_mut(&mut frame) };
        data.cursor().set_pos(0);
        std::io::Write::write_all(&mut data.cursor(), bytes)?;
        finish(data.contents_mut());
        self.made.push(frame);
        Ok(())
    }

    /// Gives the kernel what was made.
    fn hand_over(&mut self) -> Result<()> {
        if self.made.is_empty() {
            return Ok(());
        }
        // SAFETY: the frames are ours and leave our hands now. There is room for all: the ring holds every frame there is.
        let taken = unsafe { self.transmit.produce(&self.made) };
        self.made.drain(..taken);
        self.kick()
    }

    fn kick(&mut self) -> Result<()> {
        match self.transmit.wakeup() {
            // It has enough to do already.
            Err(error) if matches!(error.raw_os_error(), Some(EAGAIN | EBUSY | ENOBUFS)) => Ok(()),
            other => other.context("cannot send"),
        }
    }

    /// Takes back what was sent.
    fn reclaim(&mut self) {
        let mut back = [FrameDesc::default(); 64];
        loop {
            // SAFETY: these frames were handed over by us and nobody else has them.
            let count = unsafe { self.completion.consume(&mut back) };
            self.free.extend_from_slice(&back[..count]);
            if count < back.len() {
                return;
            }
        }
    }

    /// Waits until everything has been sent.
    fn finish(&mut self) -> Result<()> {
        self.hand_over()?;
        let until = Instant::now() + PATIENCE;
        while self.free.len() < usize::try_from(FRAMES.get())? {
            anyhow::ensure!(
                Instant::now() < until,
                "{} frames were never sent",
                FRAMES.get() as usize - self.free.len()
            );
            self.kick()?;
            self.reclaim();
        }
        Ok(())
    }
}

const EAGAIN: i32 = rustix::io::Errno::AGAIN.raw_os_error();
const EBUSY: i32 = rustix::io::Errno::BUSY.raw_os_error();
const ENOBUFS: i32 = rustix::io::Errno::NOBUFS.raw_os_error();
