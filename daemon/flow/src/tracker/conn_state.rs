//! Zeek's `conn_state`: how a connection went, in one word.

use super::tcp::EndpointState;
use std::fmt;

/// How a flow went, by the names of Zeek's conn.log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnState {
    /// Attempted, no reply.
    S0,
    /// Established, not ended.
    S1,
    /// Established, closed by the originator, no answer to that.
    S2,
    /// Established, closed by the responder, no answer to that.
    S3,
    /// Established and ended as it should.
    SF,
    /// Attempted and rejected.
    Rej,
    /// Established, the originator reset it.
    RstO,
    /// The responder reset it.
    RstR,
    /// The originator sent a SYN and then reset it; nothing was seen of the responder.
    RstOS0,
    /// The responder reset it; no SYN was seen of the originator.
    RstRH,
    /// The originator sent a SYN and then a FIN; no SYN-ACK was seen.
    SH,
    /// The responder sent a SYN-ACK and then a FIN; no SYN was seen.
    Shr,
    /// Anything else: traffic without its beginning, other protocols.
    Oth,
}

impl ConnState {
    /// The name in conn.log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::S0 => "S0",
            Self::S1 => "S1",
            Self::S2 => "S2",
            Self::S3 => "S3",
            Self::SF => "SF",
            Self::Rej => "REJ",
            Self::RstO => "RSTO",
            Self::RstR => "RSTR",
            Self::RstOS0 => "RSTOS0",
            Self::RstRH => "RSTRH",
            Self::SH => "SH",
            Self::Shr => "SHR",
            Self::Oth => "OTH",
        }
    }

    /// Of a TCP connection: from both ends' states, whether neither sent data, and the history.
    #[must_use]
    pub fn of_tcp(
        originator: EndpointState,
        responder: EndpointState,
        without_data: bool,
        history: &str,
    ) -> Self {
        use EndpointState::{Closed, Established, Inactive, Reset, SynAckSent, SynSent};
        match (originator, responder) {
            (SynSent | SynAckSent, Reset) => Self::Rej,
            (Reset, Reset) if without_data => Self::Rej,
            (o, Reset) if o.is_inactive() => Self::RstRH,
            (_, Reset) => Self::RstR,
            (Reset, r) if !r.is_inactive() => Self::RstO,
            (Reset, _) if is_attempt_and_reset(history) => Self::RstOS0,
            (Reset, _) => Self::Oth,
            (Closed, Closed) => Self::SF,
            (Closed, r) if r.is_inactive() => Self::SH,
            (Closed, _) => Self::S2,
            (o, Closed) if o.is_inactive() => Self::Shr,
            (_, Closed) => Self::S3,
            (SynSent, Inactive) => Self::S0,
            (Established, Established) => Self::S1,
            _ => Self::Oth,
        }
    }

    /// Of UDP: by who sent anything.
    #[must_use]
    pub const fn of_udp(originator: bool, responder: bool) -> Self {
        match (originator, responder) {
            (true, true) => Self::SF,
            (true, false) => Self::S0,
            (false, true) => Self::Shr,
            (false, false) => Self::Oth,
        }
    }
}

impl fmt::Display for ConnState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A SYN of the originator (after a flip, perhaps), its reset, and between them nothing else that counts
/// of its own: `^?S[^HAFGIQ]*R`.
fn is_attempt_and_reset(history: &str) -> bool {
    let history = history.strip_prefix('^').unwrap_or(history);
    let Some(rest) = history.strip_prefix('S') else { return false };
    rest.split_once('R').is_some_and(|(between, _)| !between.contains(['H', 'A', 'F', 'G', 'I', 'Q']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use EndpointState::{Closed, Established, Inactive, Partial, Reset, SynAckSent, SynSent};

    fn check(originator: EndpointState, responder: EndpointState, history: &str, expect: &str) {
        let state = ConnState::of_tcp(originator, responder, true, history);
        assert_eq!(state.name(), expect, "{originator:?} {responder:?} {history}");
    }

    #[test]
    fn every_pair_of_states() {
        check(SynSent, Inactive, "S", "S0");
        check(Established, Established, "ShA", "S1");
        check(Closed, Established, "ShAF", "S2");
        check(Established, Closed, "ShAf", "S3");
        check(Closed, Closed, "ShAFfa", "SF");
        check(SynSent, Reset, "Sr", "REJ");
        check(SynAckSent, Reset, "Hr", "REJ");
        check(Reset, Reset, "SrR", "REJ");
        check(Reset, Established, "ShAR", "RSTO");
        check(Established, Reset, "ShAr", "RSTR");
        check(Reset, Inactive, "SR", "RSTOS0");
        check(Reset, Inactive, "^SDR", "RSTOS0");
        check(Reset, Inactive, "SAR", "OTH");
        check(Reset, Partial, "R", "OTH");
        check(Inactive, Reset, "^hr", "RSTRH");
        check(Partial, Reset, "Dr", "RSTRH");
        check(Closed, Inactive, "SF", "SH");
        check(Closed, Partial, "SFa", "SH");
        check(Inactive, Closed, "^hf", "SHR");
        check(Partial, Partial, "Dd", "OTH");
        check(Inactive, Established, "^h", "OTH");
    }

    #[test]
    fn a_mutual_reset_after_data_is_no_rejection() {
        assert_eq!(ConnState::of_tcp(Reset, Reset, false, "ShADrR"), ConnState::RstR);
    }

    #[test]
    fn udp_by_who_spoke() {
        for (originator, responder, expect) in
            [(true, true, "SF"), (true, false, "S0"), (false, true, "SHR"), (false, false, "OTH")]
        {
            assert_eq!(ConnState::of_udp(originator, responder).name(), expect);
        }
    }
}
