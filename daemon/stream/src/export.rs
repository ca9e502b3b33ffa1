//! A session as bytes, for the process that goes on with its flow.
//!
//! All of its state goes with it, and of each direction's payload what is still needed: what rules may look back
//! at, what was not inspected yet, and what came out of order. Beyond [`CARRIED_MAX`] bytes a direction the rest is
//! left out, and is missing then like what was never seen; of what was inspected [`PAST_MAX`] bytes go along, so
//! that what is sent again is still compared with them. Left behind are the SYNs and SYN/ACKs that a handshake
//! could still turn to, and, where receivers differ in what they make of overlaps, which segment a byte came in.

use crate::arena::NONE;
use crate::pages::Pages;
use crate::peer::{self, Peer};
use crate::reassembly::Run;
use crate::session::{self, Session};
use portcullis_flow::TcpState;
use portcullis_flow::portable::Reader;
use portcullis_wire::TargetOs;
use thiserror::Error;

/// Most bytes of payload that go with one direction.
pub const CARRIED_MAX: u64 = 64 << 10;

/// Of them most that were inspected already.
pub const PAST_MAX: u64 = 16 << 10;

/// Runs of payload with gaps between them; one direction's pages hold no more that are worth it.
pub(crate) const RUNS_MAX: usize = 64;

/// Why a session cannot be taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ImportError {
    /// The bytes are no session's.
    #[error("no session")]
    Malformed,
    /// There is no memory for one more.
    #[error("no memory for a session")]
    NoMemory,
}

/// A session from bytes: nothing in it lies in anybody's memory.
#[derive(Debug)]
pub(crate) struct ToldSession<'b> {
    pub(crate) session: Session,
    pub(crate) runs: [Runs<'b>; 2],
}

/// The payload of one direction, in ascending order.
pub(crate) type Runs<'b> = Vec<Run<'b>>;

/// Appends a session.
pub(crate) fn tell(
    session: &Session,
    pages: &Pages,
    inline: bool,
    rule: &dyn Fn(u32) -> u64,
    out: &mut Vec<u8>,
) {
    let kept = session.marks & !session::LIVE;
    out.extend_from_slice(&[session.state as u8, session.before as u8]);
    out.extend_from_slice(&kept.to_le_bytes());
    for peer in &session.peers {
        let numbers = [
            peer.isn,
            peer.next_seq,
            peer.last_ack,
            peer.next_win,
            peer.window,
            peer.max_window,
            peer.fin,
            peer.last_ts,
            peer.last_ts_at,
        ];
        numbers.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
        out.extend_from_slice(&peer.marks.to_le_bytes());
        out.extend_from_slice(&[peer.tcp_flags, peer.scale, peer.os.map_or(u8::MAX, |os| os as u8)]);
    }
    session.peers.iter().for_each(|peer| peer.track.tell(pages, inline, rule, out));
}

/// Takes a session and its payload from bytes; `None` where they are not what was told.
pub(crate) fn read<'b>(rule: &dyn Fn(u32) -> u64, reader: &mut Reader<'b>) -> Option<ToldSession<'b>> {
    let state = |code: u8| TcpState::ALL.get(usize::from(code)).copied();
    let mut session =
        Session { state: state(reader.u8()?)?, before: state(reader.u8()?)?, ..Session::default() };
    session.marks = reader.u16().filter(|marks| marks & !session::CARRIED == 0)? | session::LIVE;
    session.queue = NONE;
    for peer in &mut session.peers {
        *peer = read_peer(reader)?;
    }
    let [client, server] = &mut session.peers;
    let runs = [client.track.read(rule, reader)?, server.track.read(rule, reader)?];
    Some(ToldSession { session, runs })
}

fn read_peer(reader: &mut Reader<'_>) -> Option<Peer> {
    let mut next = || reader.u32();
    let mut peer = Peer {
        isn: next()?,
        next_seq: next()?,
        last_ack: next()?,
        next_win: next()?,
        window: next()?,
        max_window: next()?,
        fin: next()?,
        last_ts: next()?,
        last_ts_at: next()?,
        ..Peer::default()
    };
    peer.marks = reader.u16().filter(|marks| marks & !peer::CARRIED == 0)?;
    peer.tcp_flags = reader.u8()?;
    peer.scale = reader.u8().filter(|scale| *scale <= 14)?;
    peer.os = match reader.u8()? {
        u8::MAX => None,
        code => Some(*TargetOs::ALL.get(usize::from(code))?),
    };
    Some(peer)
}
