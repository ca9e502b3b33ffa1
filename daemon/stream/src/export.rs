//! A session as plain data, for whoever takes its flow over.

use crate::peer::Peer;
use crate::session::Session;

/// A session, independent of the memory it was in. What was received out of order and not put together yet
/// is not part of it: whoever takes over sees it as missing.
#[derive(Clone, Debug)]
pub struct SessionExport {
    pub(crate) session: Session,
    /// Client, server.
    pub(crate) peers: [PeerExport; 2],
}

/// The stream of one side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerExport {
    /// How many bytes of it were put together.
    pub offset: u64,
    /// The last of them, as far as they were kept.
    pub tail: Vec<u8>,
}

impl SessionExport {
    /// The streams of client and server.
    #[must_use]
    pub const fn peers(&self) -> &[PeerExport; 2] {
        &self.peers
    }

    /// The session without what lies in the memory it comes from.
    pub(crate) fn detached(mut session: Session) -> Session {
        for Peer { track, .. } in &mut session.peers {
            *track = Default::default();
        }
        session.queue = crate::arena::NONE;
        session.queued = 0;
        session
    }
}
