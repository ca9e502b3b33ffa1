//! Protection against old segments by their timestamps (RFC 7323 §5).

use super::{Invalid, Machine};
use crate::events::StreamEvent;
use crate::peer;
use crate::seq;
use crate::session;
use portcullis_flow::TcpState;
use portcullis_wire::TargetOs;

/// After so many seconds of silence a timestamp may be anything (RFC 7323 §5.5).
const IDLE_SECONDS: u32 = 24 * 24 * 60 * 60;

/// By how much the timestamps of the SYNs of one attempt may differ: minutes, for any clock.
const SYN_TICKS: i32 = 1 << 20;

impl Machine<'_, '_> {
    /// Where the server's first segment echoes a timestamp (RFC 7323 §3.2): is it that of a SYN?
    pub(super) fn is_answer_to_syn(&mut self) -> bool {
        let Some((_, echo)) = self.options.timestamps.filter(|_| !self.to_server()) else { return true };
        let client = self.receiver();
        let sent = client.last_ts;
        !client.has(peer::STAMPS) || (0..=SYN_TICKS).contains(&seq::distance(echo, sent))
    }

    /// Is the segment's timestamp older than its sender's last?
    pub(super) fn check_timestamp(&mut self) -> Result<(), Invalid> {
        let Some((value, _)) = self.options.timestamps.filter(|_| self.session.has(session::TIMESTAMPS))
        else {
            return Ok(());
        };
        let now = self.segment.seconds();
        let receiver = self.receiver().runs();
        let liberal = self.settings.liberal_timestamps && self.session.state >= TcpState::Established;
        let sender = self.sender();
        if sender.has(peer::ZERO_TIMESTAMP) {
            // Some stacks begin with zero and only then with their clock: the first real one is taken.
            sender.set(peer::ZERO_TIMESTAMP, value == 0);
            sender.last_ts = value;
        }
        if value == 0 && liberal {
            return Ok(());
        }
        // Linux takes one that is older by one tick, too.
        let slack = i32::from(matches!(receiver, TargetOs::Linux | TargetOs::Windows2k3));
        let is_old = seq::distance(sender.last_ts, value) + slack < 0;
        let was_idle = now.saturating_sub(sender.last_ts_at) > IDLE_SECONDS;
        if is_old && !was_idle { self.invalid(StreamEvent::InvalidTimestamp) } else { Ok(()) }
    }

    /// Remembers the segment's timestamp, where it does not come out of order (RFC 7323 §4.3).
    pub(super) fn take_timestamp(&mut self) {
        let Some((value, _)) = self.options.timestamps.filter(|_| self.session.has(session::TIMESTAMPS))
        else {
            return;
        };
        let now = self.segment.seconds();
        let seq = self.segment.tcp.seq;
        let sender = self.sender();
        let newer =
            seq::distance(sender.last_ts, value) >= 0 || now.saturating_sub(sender.last_ts_at) > IDLE_SECONDS;
        if seq::le(seq, sender.next_seq) && newer {
            (sender.last_ts, sender.last_ts_at) = (value, now);
        }
    }
}
