//! The other end: one command, one answer. Used by `portcullis ctl` and by tests.

use super::protocol::{Framed, Hello, OUR_VERSION, Outcome, Reply, Request, frame, line};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Longest answer, in bytes; the counters of many workers are the longest.
const MAX_REPLY: usize = 4 << 20;

/// Why a command got no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there, or we may not.
    #[error("no daemon answers on {path}: {source}")]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The conversation broke off.
    #[error("the daemon did not answer: {0}")]
    Io(#[from] std::io::Error),
    /// What came back is not the protocol.
    #[error("the daemon's answer cannot be understood: {0}")]
    Protocol(String),
}

/// A conversation with a daemon.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    pending: Vec<u8>,
}

impl Client {
    /// Connects and agrees on the protocol's version.
    ///
    /// # Errors
    /// Where nobody answers, or in another language.
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        let stream = UnixStream::connect(path)
            .map_err(|source| ClientError::Connect { path: path.to_owned(), source })?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let mut client = Self { stream, pending: Vec::new() };
        let reply = client.exchange(&line(&Hello { version: OUR_VERSION.to_owned() }))?;
        match reply.outcome {
            Outcome::Ok => Ok(client),
            Outcome::Refused => Err(ClientError::Protocol(reply.message.to_string())),
        }
    }

    /// Sends a command and waits for the answer, which may be a refusal.
    ///
    /// # Errors
    /// Where no answer comes.
    pub fn command(&mut self, command: &str) -> Result<Reply, ClientError> {
        self.request(command, Value::Null)
    }

    /// As [`command`](Self::command), with arguments: an object, or nothing.
    ///
    /// # Errors
    /// Where no answer comes.
    pub fn request(&mut self, command: &str, arguments: Value) -> Result<Reply, ClientError> {
        self.exchange(&line(&Request { command: command.to_owned(), arguments }))
    }

    /// Waits longer for answers from now on.
    ///
    /// # Errors
    /// The system's.
    pub fn wait_up_to(&mut self, time: Duration) -> Result<(), ClientError> {
        Ok(self.stream.set_read_timeout(Some(time))?)
    }

    fn exchange(&mut self, message: &[u8]) -> Result<Reply, ClientError> {
        self.stream.write_all(message)?;
        let mut chunk = [0; 4096];
        loop {
            match frame(&self.pending) {
                Framed::Message(value, taken) => {
                    self.pending.drain(..taken);
                    let reply = serde_json::from_value(value);
                    return reply.map_err(|error| ClientError::Protocol(error.to_string()));
                }
                Framed::Garbage(reason) => return Err(ClientError::Protocol(reason)),
                Framed::Partial if self.pending.len() > MAX_REPLY => {
                    return Err(ClientError::Protocol(format!("it is longer than {MAX_REPLY} bytes")));
                }
                Framed::Partial => {}
            }
            match self.stream.read(&mut chunk)? {
                0 => return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()),
                got => self.pending.extend_from_slice(chunk.get(..got).unwrap_or(&[])),
            }
        }
    }
}
