//! What is remembered about one side of a session, as a sender.

use crate::reassembly::Track;
use crate::seq;
use portcullis_wire::TargetOs;

/// It sent a reset that its peer must believe.
pub(crate) const RESET: u16 = 1 << 0;
/// Its last segment was a keep-alive.
pub(crate) const KEEP_ALIVE: u16 = 1 << 1;
/// Its FIN was seen; `fin` says where.
pub(crate) const FIN: u16 = 1 << 2;
/// Its FIN was acknowledged.
pub(crate) const FIN_ACKED: u16 = 1 << 3;
/// Its first timestamp was zero (RFC 7323 forbids nothing; some stacks do so).
pub(crate) const ZERO_TIMESTAMP: u16 = 1 << 4;
/// It offered to scale windows.
pub(crate) const SCALES: u16 = 1 << 5;
/// It sends timestamps.
pub(crate) const STAMPS: u16 = 1 << 6;
/// Inspection of it has come to its depth.
pub(crate) const DEPTH: u16 = 1 << 7;
/// Something of it was never seen.
pub(crate) const GAP: u16 = 1 << 8;
/// It may have sent what nobody saw: its numbers are learnt again, once.
pub(crate) const UNSURE: u16 = 1 << 9;

/// The marks that go with a session to another process.
pub(crate) const CARRIED: u16 = (UNSURE << 1) - 1;

/// One side of a session. Plain data: it can be copied to another process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Peer {
    /// Initial sequence number.
    pub(crate) isn: u32,
    /// After all that was seen of it, SYN and FIN included.
    pub(crate) next_seq: u32,
    /// How far the other side has acknowledged it.
    pub(crate) last_ack: u32,
    /// The right edge of the window that the other side has granted it.
    pub(crate) next_win: u32,
    /// The window that the other side granted last, scaled.
    pub(crate) window: u32,
    /// The largest of those.
    pub(crate) max_window: u32,
    /// Where its FIN is; with [`FIN`].
    pub(crate) fin: u32,
    /// Its latest timestamp, and when that was seen, in whole seconds.
    pub(crate) last_ts: u32,
    pub(crate) last_ts_at: u32,
    /// The constants of this module.
    pub(crate) marks: u16,
    /// All TCP flags that were seen of it.
    pub(crate) tcp_flags: u8,
    /// By how much the windows that it grants are scaled.
    pub(crate) scale: u8,
    /// What it runs, where that was said: see [`Peer::runs`].
    pub(crate) os: Option<TargetOs>,
    /// Its payload.
    pub(crate) track: Track,
}

impl Peer {
    /// What it runs, as far as that decides what it makes of what it receives.
    pub(crate) fn runs(&self) -> TargetOs {
        self.os.unwrap_or(TargetOs::Bsd)
    }

    pub(crate) const fn has(&self, mark: u16) -> bool {
        self.marks & mark != 0
    }

    pub(crate) const fn set(&mut self, mark: u16, value: bool) {
        if value {
            self.marks |= mark;
        } else {
            self.marks &= !mark;
        }
    }

    /// Begins the numbering: all that is known is the initial sequence number.
    pub(crate) fn begin(&mut self, isn: u32) {
        self.isn = isn;
        self.next_seq = isn.wrapping_add(1);
        self.last_ack = self.next_seq;
        self.next_win = self.next_seq;
        self.track.begin(self.next_seq);
    }

    /// The other side grants it `window` bytes after what it has acknowledged.
    #[inline]
    pub(crate) fn grant(&mut self, window: u32) {
        self.window = window;
        self.max_window = self.max_window.max(window);
        self.next_win = seq::later(self.next_win, self.last_ack.wrapping_add(window));
    }

    /// The other side acknowledges it up to `ack`.
    #[inline]
    pub(crate) fn acknowledge(&mut self, ack: u32) {
        self.last_ack = seq::later(self.last_ack, ack);
        if self.has(FIN) && seq::lt(self.fin, self.last_ack) {
            self.set(FIN_ACKED, true);
        }
    }

    /// It has sent all before `end`.
    #[inline]
    pub(crate) fn advance(&mut self, end: u32) {
        self.next_seq = seq::later(self.next_seq, end);
    }
}
