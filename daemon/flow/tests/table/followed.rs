//! TCP sessions that somebody else follows.

use crate::packets::{Outcome, at, finish, table, tcp, track, track_and};
use portcullis_flow::flow::Bypass;
use portcullis_flow::{FlowSettings, FlowState, TcpState, TcpSummary};
use portcullis_wire::decoded::TcpFlags;

const CLIENT: (u8, u16) = (9, 5000);
const SERVER: (u8, u16) = (2, 80);

#[test]
fn the_state_is_what_was_said() {
    let mut table = table(&FlowSettings { follow_tcp: false, ..FlowSettings::default() });
    let syn = tcp(CLIENT, SERVER, TcpFlags::SYN, 100, 0);
    let said = |state| TcpSummary { session: true, state, ..TcpSummary::default() };
    let first = track_and(&mut table, &syn, at(1), |flow| {
        assert_eq!((flow.tcp(), flow.stream()), (Some(TcpSummary::default()), 0));
        flow.set_tcp(said(TcpState::SynSent), [100, 0]);
        flow.set_stream(7);
        assert_eq!((flow.state(), flow.tcp()), (FlowState::New, Some(said(TcpState::SynSent))));
    });
    // Retransmitted: the same flow. With another number: the same, while it is open.
    assert!(matches!(track(&mut table, &syn, at(2)), Outcome::Known(..)));
    let other = tcp(CLIENT, SERVER, TcpFlags::SYN, 999, 0);
    let known = track_and(&mut table, &other, at(2), |flow| {
        assert_eq!(flow.stream(), 7);
        flow.set_tcp(said(TcpState::Closed), [100, 300]);
        assert_eq!(flow.state(), FlowState::Closed);
        flow.set_bypass(Bypass::Local);
        flow.set_tcp(said(TcpState::Established), [100, 300]);
        assert_eq!(flow.state(), FlowState::Bypassed);
        flow.set_tcp(said(TcpState::Closed), [100, 300]);
    });
    assert!(matches!((first, known), (Outcome::New(one, _), Outcome::Known(other, _)) if one == other));
    assert!(matches!(track(&mut table, &syn, at(3)), Outcome::Known(..)));
    let second = track_and(&mut table, &other, at(3), |flow| assert_eq!(flow.stream(), 0));
    assert!(matches!(second, Outcome::New(..)));
    assert_eq!(table.stats().tcp_reuse, 1);
    assert_eq!(finish(&mut table).len(), 1);
}
