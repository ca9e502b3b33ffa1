//! One worker's sessions.

use crate::arena::{Arena, SESSION_BYTES, StreamHandle};
use crate::events::StreamEvent;
use crate::export::{self, ImportError};
use crate::options::TcpOptions;
use crate::pages::{PAGE_COST, Pages, REGION_COST};
use crate::peer;
use crate::reassembly::{Extent, Matches};
use crate::segment::{Fate, Seen, Segment, Window};
use crate::session::{self, Session, SessionSummary};
use crate::settings::{SetupError, Share, StreamSettings};
use crate::state::{Beginning, Machine, Step, begins};
use crate::stats::StreamStats;
use portcullis_flow::portable::Reader;
use portcullis_flow::{Direction, TcpState};
use portcullis_wire::decoded::TcpFlags;

mod expected;
mod payload;

/// Longest payload of a segment.
const SEGMENT_MAX: usize = 65_535;

/// Where a segment's payload went.
#[derive(Clone, Copy, Debug)]
struct Arrived {
    start: u64,
    end: u64,
    /// Nothing was there before, so that what is kept there is what it says.
    fresh: bool,
}

/// A worker's TCP sessions, and the payload of those that is still needed.
#[derive(Debug)]
pub struct Streams {
    settings: StreamSettings,
    arena: Arena,
    pages: Pages,
    stats: StreamStats,
    /// `toserver-chunk-size` and `toclient-chunk-size` as they are this time.
    chunks: [u64; 2],
    /// How far back rules look in a stream; `None` where none looks at all.
    reach: Option<u64>,
    /// Where the payload of the last segment went.
    arrived: Option<Arrived>,
    /// The bytes of a window.
    window: Vec<u8>,
}

impl Streams {
    /// Reserves a worker's share of the memory.
    ///
    /// # Errors
    /// The share holds not even one session or segment, or the system refuses the memory.
    pub fn new(settings: &StreamSettings, share: Share) -> Result<Self, SetupError> {
        let workers = u64::from(share.workers.max(1));
        let part = |setting, memcap: u64, least: u64| {
            let part = memcap / workers;
            let too_small = SetupError::MemcapTooSmall { setting, memcap, workers: share.workers, least };
            (part >= least).then_some(part).ok_or(too_small)
        };
        let least_payload = (SEGMENT_MAX as u64 / 1024 + 2) * PAGE_COST + 3 * REGION_COST;
        let sessions = part("stream.memcap", settings.memcap, SESSION_BYTES)?;
        let payload = part("stream.reassembly.memcap", settings.reassembly.memcap, least_payload)?;
        let reassembly = &settings.reassembly;
        let chunks = [reassembly.toserver_chunk_size, reassembly.toclient_chunk_size];
        let mut seed = share.seed;
        let chunks = chunks.map(|size| {
            seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29) ^ 0x5851_f42d_4c95_7f2d;
            vary(u64::from(size), reassembly.randomize_chunk_range, seed)
        });
        let most = chunks[0].max(chunks[1]);
        let window = Vec::with_capacity(SEGMENT_MAX + 2 * usize::try_from(most).unwrap_or(0));
        Ok(Self {
            arena: Arena::reserve(sessions, settings.prealloc_sessions)?,
            pages: Pages::reserve(payload, reassembly.segment_prealloc)?,
            settings: settings.clone(),
            stats: StreamStats::default(),
            chunks,
            reach: Some(most),
            arrived: None,
            window,
        })
    }

    /// Says how far back rules look in a stream, in bytes; `None` where no rule looks at one, and so
    /// nothing of it needs to be kept. At most the chunk size of the direction counts.
    pub const fn set_reach(&mut self, reach: Option<u64>) {
        self.reach = reach;
    }

    /// Takes in a segment of the session, or the first one of a flow that has none.
    ///
    /// What it costs depends on its length only.
    pub fn packet(&mut self, session: Option<StreamHandle>, segment: &Segment<'_>) -> Seen {
        self.arrived = None;
        if let Some(seen) = session.and_then(|handle| self.expected(handle, segment)) {
            return seen;
        }
        self.by_the_book(session, segment)
    }

    /// Takes in any segment, by the state machine.
    #[inline(never)]
    fn by_the_book(&mut self, session: Option<StreamHandle>, segment: &Segment<'_>) -> Seen {
        let mut seen = match session.filter(|handle| self.arena.get(*handle).is_some()) {
            Some(handle) => self.follow(handle, segment),
            None => self.begin(segment),
        };
        if let Some(handle) = seen.session {
            self.settle(handle, segment.direction, &mut seen);
        }
        self.stats.count(seen.events);
        seen
    }

    /// What is to be inspected now that the last segment was taken in; `payload` is that of the segment,
    /// [rewritten](Self::rewrite) where there was a conflict. Inline that is the segment with what is around
    /// it. Else it is what was acknowledged of the segment's direction, once that is enough.
    pub fn window<'s>(
        &'s mut self,
        session: StreamHandle,
        direction: Direction,
        payload: &'s [u8],
    ) -> Option<Window<'s>> {
        if self.settings.inline {
            self.window_inline(session, direction, payload)
        } else {
            self.window_acknowledged(session, direction)
        }
    }

    /// What of a flow that ends was not inspected yet: to be asked for until there is no more.
    pub fn rest(&mut self, session: StreamHandle, direction: Direction) -> Option<Window<'_>> {
        if !self.has_rest(session, direction) {
            return None;
        }
        let limit = self.arena.get(session)?.sender(direction).track.highest();
        let extent = self.pending(session, direction, limit)?;
        self.stats.pseudo += 1;
        self.copy(session, direction, extent)
    }

    /// Is there more to [`rest`](Self::rest)?
    #[must_use]
    pub fn has_rest(&self, session: StreamHandle, direction: Direction) -> bool {
        let wanted = !self.settings.inline && self.reach.is_some();
        let Some(session) = self.arena.get(session).filter(|_| wanted) else { return false };
        // A SYN that nobody answered has been inspected by itself, with its data.
        let state = if session.has(session::BY_RESET) { session.before } else { session.state };
        let by_itself = state == TcpState::SynSent && !session.has(session::FAST_OPEN);
        let track = &session.sender(direction).track;
        track.inspected() < track.highest() && !by_itself
    }

    /// Makes a segment's payload what was sent first in its place. The sum of its bytes changes.
    pub fn rewrite(&self, session: StreamHandle, direction: Direction, seq: u32, payload: &mut [u8]) {
        if let Some(session) = self.arena.get(session) {
            session.sender(direction).track.rewrite(&self.pages, seq, payload);
        }
    }

    /// Remembers that a rule matched in a window that ended at this offset of the stream.
    pub fn note_match(&mut self, session: StreamHandle, direction: Direction, rule: u32, end: u64) {
        if let Some(session) = self.arena.get_mut(session) {
            session.sides(direction).0.track.note_match(rule, end);
        }
    }

    /// What rules matched of late in a direction.
    #[must_use]
    pub fn matches(&self, session: StreamHandle, direction: Direction) -> Matches {
        self.arena
            .get(session)
            .map_or_else(Matches::default, |session| session.sender(direction).track.matches())
    }

    /// Writes what is kept of a direction to `into`, at most about `limit` bytes, with `[N bytes missing]`
    /// for what was not seen: for the records of matches. Allocates where `into` has no room.
    pub fn transcribe(&self, session: StreamHandle, direction: Direction, limit: usize, into: &mut Vec<u8>) {
        if let Some(session) = self.arena.get(session) {
            session.sender(direction).track.transcribe(&self.pages, limit, into);
        }
    }

    /// Says that packets of the session may have passed unseen: each side's numbers are learnt again from its
    /// next segments, once, and what was missed is a gap.
    pub fn resync(&mut self, session: StreamHandle) {
        if let Some(session) = self.arena.get_mut(session) {
            session.peers.iter_mut().for_each(|peer| peer.set(peer::UNSURE, true));
        }
    }

    /// What the session is now.
    #[must_use]
    pub fn summary(&self, session: StreamHandle) -> Option<SessionSummary> {
        self.arena.get(session).map(Session::summary)
    }

    /// Ends a session and gives its memory back.
    pub fn release(&mut self, session: StreamHandle) {
        let Some(mut ended) = self.arena.release(session) else { return };
        for peer in &mut ended.peers {
            peer.track.restart(&mut self.pages, 0);
        }
        self.stats.active_sessions = self.stats.active_sessions.saturating_sub(1);
    }

    /// A segment whose checksum is wrong: its receiver will not take it, so it changes nothing.
    pub const fn note_invalid_checksum(&mut self) {
        self.stats.invalid_checksum += 1;
    }

    /// What was counted.
    #[must_use]
    pub fn stats(&self) -> StreamStats {
        StreamStats { memuse: self.arena.memuse(), reassembly_memuse: self.pages.memuse(), ..self.stats }
    }

    /// Appends the session as [`import`](Self::import) reads it; `false` where there is none. It goes on here
    /// as if nothing had happened. `rule` gives each rule that matched a name that lasts: with other rules its
    /// number would be another's. A few hundred bytes, and up to [`CARRIED_MAX`](crate::CARRIED_MAX) of payload
    /// for each direction.
    pub fn export(&self, session: StreamHandle, rule: &dyn Fn(u32) -> u64, out: &mut Vec<u8>) -> bool {
        let Some(session) = self.arena.get(session) else { return false };
        export::tell(session, &self.pages, self.settings.inline, rule, out);
        true
    }

    /// Takes over a session that was [exported](Self::export).
    ///
    /// # Errors
    /// The bytes are no session's, or there is no memory for it.
    pub fn import(
        &mut self,
        rule: &dyn Fn(u32) -> u64,
        reader: &mut Reader<'_>,
    ) -> Result<StreamHandle, ImportError> {
        let told = export::read(rule, reader).ok_or(ImportError::Malformed)?;
        let handle = self.arena.take(&mut self.stats).ok_or(ImportError::NoMemory)?;
        self.stats.active_sessions += 1;
        let inline = self.settings.inline;
        let Self { arena, pages, stats, .. } = self;
        let session = arena.get_mut(handle).ok_or(ImportError::NoMemory)?;
        *session = told.session;
        for (peer, runs) in session.peers.iter_mut().zip(&told.runs) {
            if !peer.track.fill(pages, stats, inline, runs) {
                peer.set(peer::GAP, true);
                stats.segment_memcap_drop += 1;
            }
        }
        Ok(handle)
    }

    fn begin(&mut self, segment: &Segment<'_>) -> Seen {
        let mut seen = Seen::default();
        let settings = &self.settings;
        match begins(segment) {
            Beginning::Syn => {}
            Beginning::Midstream => {
                seen.fate = Fate::Midstream;
                if segment.pick_up {
                    seen.fate = Fate::Valid;
                    seen.forgiven = true;
                } else if !settings.midstream && !settings.async_oneside {
                    if segment.tcp.flags.has(TcpFlags::FIN) {
                        seen.events.insert(StreamEvent::FinNoSession);
                    }
                    return seen;
                }
            }
            Beginning::Nothing => {
                if segment.tcp.flags.has(TcpFlags::RST) {
                    seen.events.insert(StreamEvent::ResetNoSession);
                } else if segment.tcp.flags.has(TcpFlags::FIN) {
                    seen.events.insert(StreamEvent::FinNoSession);
                }
                return seen;
            }
        }
        let Some(handle) = (!segment.faults.session).then(|| self.arena.take(&mut self.stats)).flatten()
        else {
            self.stats.ssn_memcap_drop += 1;
            seen.fate = Fate::SessionMemcap;
            return seen;
        };
        self.stats.sessions += 1;
        self.stats.active_sessions += 1;
        seen.session = Some(handle);
        let step = self.with_machine(handle, segment, &mut seen, |machine| machine.begin());
        self.take(handle, segment, step.unwrap_or_default(), &mut seen);
        seen
    }

    fn follow(&mut self, handle: StreamHandle, segment: &Segment<'_>) -> Seen {
        let mut seen = Seen { session: Some(handle), ..Seen::default() };
        match self.with_machine(handle, segment, &mut seen, |machine| machine.step()) {
            Some(Ok(step)) => self.take(handle, segment, step, &mut seen),
            _ => seen.fate = Fate::Invalid,
        }
        seen
    }

    fn with_machine<T>(
        &mut self,
        handle: StreamHandle,
        segment: &Segment<'_>,
        seen: &mut Seen,
        act: impl FnOnce(&mut Machine<'_, '_>) -> T,
    ) -> Option<T> {
        let Self { settings, arena, stats, .. } = self;
        let (session, alternatives) = arena.parts(handle)?;
        let options = TcpOptions::parse(segment.options);
        let events = seen.events;
        let mut machine = Machine { settings, session, alternatives, stats, segment, options, events };
        if machine.session.state <= TcpState::SynRecv {
            let os = machine.settings.host_os.of(segment.ip_version, &segment.destination);
            machine.session.sides(segment.direction).1.os = os.copied();
        }
        let done = act(&mut machine);
        seen.events = machine.events;
        Some(done)
    }

    /// Takes in what a valid segment brings.
    fn take(&mut self, handle: StreamHandle, segment: &Segment<'_>, step: Step, seen: &mut Seen) {
        let Self { arena, pages, .. } = self;
        let Some(session) = arena.get_mut(handle) else { return };
        if step.restart {
            // What was not taken is the client's: it came with its SYN.
            let client = session.sides(Direction::ToServer).0;
            client.track.restart(pages, client.isn.wrapping_add(1));
        }
        for (peer, _) in session.peers.iter_mut().zip(step.anew).filter(|(_, anew)| *anew) {
            let begin = peer.isn.wrapping_add(1);
            peer.track.restart(pages, begin);
            peer.set(peer::GAP, true);
        }
        if step.payload && !segment.payload.is_empty() && !segment.lost {
            self.take_payload(handle, segment, seen);
        }
    }

    /// Gives back what is not needed any more, and goes on where something is missing for good. What came just
    /// now, `sent` this way, is still to be inspected, even if it was acknowledged before.
    fn settle(&mut self, handle: StreamHandle, sent: Direction, seen: &mut Seen) {
        let inline = self.settings.inline;
        let tight = self.pages.is_tight();
        for (side, direction) in [Direction::ToServer, Direction::ToClient].into_iter().enumerate() {
            let reach = self.reach_of(direction).unwrap_or(0);
            let chunk = self.chunks.get(side).copied().unwrap_or(0);
            let Self { arena, pages, stats, .. } = self;
            let Some(session) = arena.get_mut(handle) else { return };
            // Of a side that is not seen nothing is missing.
            let one_sided = session.has(session::ASYNC);
            let peer = session.sides(direction).0;
            if !inline {
                let inspected = peer.track.inspected();
                peer.track.release(pages, inspected, reach);
                continue;
            }
            let acknowledged = if peer.has(peer::FIN_ACKED) { peer.fin } else { peer.last_ack };
            let Some(acknowledged) = peer.track.offset(acknowledged) else { continue };
            if acknowledged > peer.track.contiguous() && !peer.has(peer::DEPTH) && self.reach.is_some() {
                if !one_sided {
                    peer.set(peer::GAP, true);
                    stats.reassembly_gap += 1;
                    seen.events.insert(StreamEvent::SequenceGap);
                }
                peer.track.pass_over(pages, acknowledged);
            }
            let arrived =
                self.arrived.filter(|_| direction == sent).map_or(u64::MAX, |arrived| arrived.start);
            let floor = acknowledged.min(peer.track.contiguous()).min(arrived);
            // While there is room, what was acknowledged is kept for a while: it may be sent again, and then
            // must be the same.
            let keep = if tight { reach } else { reach.max(chunk) };
            peer.track.release(pages, floor, keep);
        }
    }

    fn reach_of(&self, direction: Direction) -> Option<u64> {
        let chunk = match direction {
            Direction::ToServer => self.chunks[0],
            Direction::ToClient => self.chunks[1],
        };
        self.reach.map(|reach| reach.min(chunk))
    }

    fn copy(&mut self, session: StreamHandle, direction: Direction, extent: Extent) -> Option<Window<'_>> {
        let Self { arena, pages, window, .. } = self;
        let track = &arena.get(session)?.sender(direction).track;
        window.clear();
        let Extent { from, new, to } = extent;
        let left_out = track.copy(pages, from, to, new, window);
        let new_from = usize::try_from(new - from - left_out).unwrap_or(0);
        Some(Window { bytes: window, new_from, offset: from })
    }
}

/// `size`, varied by up to `percent` either way.
fn vary(size: u64, percent: u8, seed: u64) -> u64 {
    let range = size * u64::from(percent.min(100)) / 100;
    let least = (size - range).max(1);
    least + (seed >> 16) % (2 * range + 1)
}
