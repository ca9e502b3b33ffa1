//! The conversation between warden and gate: whole messages over a pair of sockets, with descriptors beside them.
//!
//! Decoding is strict: a message that is too long, cut, followed by anything, or that has more descriptors than any may
//! have is an error, and whoever sent it is not listened to again.

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Longest message, in bytes: as many blind windows as their ring in the kernel holds.
const MAX_MESSAGE: usize = 96 << 10;

/// Most descriptors beside a message.
const MAX_FDS: usize = 16;

/// A message and the descriptors beside it.
pub(crate) type Received<T> = (T, Vec<OwnedFd>);

/// Why there is no message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MessageError {
    /// The other end is gone.
    #[error("nobody is at the other end")]
    Gone,
    /// The bytes are no message.
    #[error("what came is no message")]
    Malformed,
    /// The system's.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<Errno> for MessageError {
    fn from(error: Errno) -> Self {
        match error {
            Errno::CONNRESET | Errno::PIPE | Errno::NOTCONN => Self::Gone,
            other => Self::Io(other.into()),
        }
    }
}

/// One end of a pair.
#[derive(Debug)]
pub(crate) struct Link {
    socket: OwnedFd,
}

impl Link {
    /// Two ends; what is sent at one is received at the other.
    pub(crate) fn pair() -> io::Result<(Self, Self)> {
        let (one, other) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self { socket: one }, Self { socket: other }))
    }

    /// The end that this process was started with.
    pub(crate) const fn from_socket(socket: OwnedFd) -> Self {
        Self { socket }
    }

    /// The socket, to be handed to somebody else.
    pub(crate) fn into_socket(self) -> OwnedFd {
        self.socket
    }

    /// Sends a message with at most [`MAX_FDS`] descriptors.
    pub(crate) fn send<T: Serialize>(
        &self,
        message: &T,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), MessageError> {
        let bytes = encode(message)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(MessageError::Malformed);
        }
        loop {
            match sendmsg(&self.socket, &[IoSlice::new(&bytes)], &mut beside, SendFlags::NOSIGNAL) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits for the next message.
    pub(crate) fn receive<T: DeserializeOwned>(&self) -> Result<Received<T>, MessageError> {
        let mut bytes = vec![0; MAX_MESSAGE];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let got = loop {
            let mut room = [IoSliceMut::new(&mut bytes)];
            match recvmsg(&self.socket, &mut room, &mut beside, RecvFlags::CMSG_CLOEXEC) {
                Ok(got) => break got,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        };
        let mut descriptors = Vec::new();
        for message in beside.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                descriptors.extend(rights);
            }
        }
        if got.bytes == 0 {
            return Err(MessageError::Gone);
        }
        if got.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
            return Err(MessageError::Malformed);
        }
        let message = bytes.get(..got.bytes).and_then(decode).ok_or(MessageError::Malformed)?;
        Ok((message, descriptors))
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, MessageError> {
    let bytes = postcard::to_allocvec(message).map_err(|_| MessageError::Malformed)?;
    if bytes.is_empty() || bytes.len() > MAX_MESSAGE { Err(MessageError::Malformed) } else { Ok(bytes) }
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Some(message),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::warden::{Order, Past, Reply, Request};
    use portcullis_bpf::{BlindWindow, GateCounters};
    use proptest::prelude::*;
    use std::fs::File;
    use std::io::{Read as _, Write as _};
    use std::time::Duration;

    fn round_trip<T: Serialize + DeserializeOwned + std::fmt::Debug>(message: &T) {
        let bytes = encode(message).unwrap();
        let again: T = decode(&bytes).unwrap();
        assert_eq!(format!("{message:?}"), format!("{again:?}"));
        assert!(decode::<T>(&[&bytes[..], &[0]].concat()).is_none(), "{message:?} and something after it");
        assert!(decode::<T>(&bytes[..bytes.len() - 1]).is_none(), "{message:?} cut");
    }

    proptest! {
        #[test]
        fn messages_come_out_as_they_went_in(port: u8, queue: u32, word: u64, upgrade: bool, text in ".{0,200}") {
            round_trip(&Request::Publish { port, queue });
            round_trip(&Request::Withdraw { port, queue });
            round_trip(&Request::RestartPort { port });
            round_trip(&Request::Restart { upgrade });
            round_trip(&Request::Hello { version: queue });
            round_trip(&Reply::Welcome(Past { restarts: word, hangs: 1, age: Duration::from_nanos(word) }));
            round_trip(&Reply::Refused(text.clone()));
            round_trip(&Reply::Counters(GateCounters { socket: word, stale: word / 3, ..GateCounters::default() }));
            let window = BlindWindow { port, queue, since: word, until: word, frames: word / 2, passed: 1 };
            round_trip(&Reply::Windows(vec![window; 3]));
            round_trip(&Order::Restarted(Err(text)));
        }

        #[test]
        fn any_bytes_are_a_message_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode::<Request>(&bytes);
            let _ = decode::<Reply>(&bytes);
            let _ = decode::<Order>(&bytes);
        }
    }

    #[test]
    fn the_largest_answer_fits() {
        // The ring has 64 KiB, a window in it 48 bytes and a header of 8.
        let window = BlindWindow {
            port: u8::MAX,
            queue: u32::MAX,
            since: u64::MAX,
            until: u64::MAX,
            frames: u64::MAX,
            passed: u64::MAX,
        };
        let windows = Reply::Windows(vec![window; 65_536 / 56 + 1]);
        let (one, other) = Link::pair().unwrap();
        one.send(&windows, &[]).unwrap();
        let (got, _) = other.receive::<Reply>().unwrap();
        assert_eq!(format!("{got:?}"), format!("{windows:?}"));
    }

    #[test]
    fn descriptors_travel_with_a_message_and_the_end_is_told() {
        let (one, other) = Link::pair().unwrap();
        let (mut reader, writer) = std::io::pipe().unwrap();
        one.send(&Request::Settle, &[writer.as_fd()]).unwrap();
        drop(writer);
        let (request, mut descriptors) = other.receive::<Request>().unwrap();
        assert!(matches!(request, Request::Settle));
        File::from(descriptors.pop().unwrap()).write_all(b"here").unwrap();
        assert!(descriptors.is_empty());
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "here");
        drop(one);
        assert!(matches!(other.receive::<Request>(), Err(MessageError::Gone)));
        assert!(matches!(other.send(&Reply::Done, &[]), Err(MessageError::Gone)));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let check = |bytes: &[u8]| {
            let (one, other) = Link::pair().unwrap();
            rustix::net::send(&one, bytes, SendFlags::NOSIGNAL).unwrap();
            let got = other.receive::<Request>();
            assert!(matches!(got, Err(MessageError::Malformed)), "{} bytes: {got:?}", bytes.len());
        };
        check(&[0xff; 7]);
        check(&vec![0; MAX_MESSAGE + 1]);
    }
}
