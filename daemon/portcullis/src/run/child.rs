//! A gate's process, as its warden sees it.

use super::message::{Link, MessageError, Received};
use super::setup::Setup;
use super::warden::{Order, Reply, Request};
use crate::cli::RunArgs;
use crate::exit::Failure;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child as Process, Command, ExitStatus, Stdio};
use std::rc::Rc;
use std::time::Instant;

/// How far a gate has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It loads rules and takes memory.
    Starting,
    /// It has all but the queues.
    Prepared,
    /// The queues are its.
    Judging,
    /// It was told to leave them.
    HandingOver,
    /// It has left them, and writes what is left to write.
    Over,
    /// It has had everything taken down.
    Ending,
}

impl Stage {
    /// Are the queues its?
    pub(crate) const fn has_queues(self) -> bool {
        matches!(self, Self::Judging | Self::HandingOver | Self::Ending)
    }

    /// Is it on its way to the queues?
    pub(crate) const fn is_next(self) -> bool {
        matches!(self, Self::Starting | Self::Prepared)
    }
}

/// A gate's process.
#[derive(Debug)]
pub(crate) struct Child {
    process: Process,
    handle: OwnedFd,
    requests: Link,
    orders: Link,
    /// The gate's end of the orders, until it asks for it.
    pub(crate) orders_end: Option<Link>,
    /// What it was started for.
    pub(crate) setup: Rc<Setup>,
    pub(crate) stage: Stage,
    /// Has it flows from the gate before?
    pub(crate) follows: bool,
    /// When it last asked for anything.
    pub(crate) heard: Instant,
    /// Does it wait for the queues to be free?
    pub(crate) waits: bool,
    /// Has it hung up, or is it not listened to any more?
    pub(crate) is_deaf: bool,
}

impl Child {
    /// Starts `program` as a gate.
    ///
    /// # Errors
    /// The system starts no process.
    pub(crate) fn start(program: &Path, arguments: &RunArgs, setup: Rc<Setup>) -> Result<Self, Failure> {
        let fail = |error: io::Error| Failure::Runtime(format!("cannot start the gate: {error}"));
        let (requests, asking) = Link::pair().map_err(fail)?;
        let (orders, orders_end) = Link::pair().map_err(fail)?;
        let mut command = Command::new(program);
        command.arg0("portcullis").arg("gate").args(arguments.words());
        // In a group of its own: what a terminal sends is for the warden, which tells the gate.
        command.stdin(Stdio::from(asking.into_socket())).process_group(0);
        let mut process = command.spawn().map_err(fail)?;
        let pid = i32::try_from(process.id()).ok().and_then(Pid::from_raw).unwrap_or(Pid::INIT);
        let handle = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(handle) => handle,
            Err(error) => {
                let _ = process.kill();
                let _ = process.wait();
                return Err(fail(error.into()));
            }
        };
        Ok(Self {
            process,
            handle,
            requests,
            orders,
            orders_end: Some(orders_end),
            setup,
            stage: Stage::Starting,
            follows: false,
            heard: Instant::now(),
            waits: false,
            is_deaf: false,
        })
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Readable when the process has ended.
    pub(crate) fn handle(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }

    /// Readable when there is a request.
    pub(crate) fn requests(&self) -> BorrowedFd<'_> {
        self.requests.as_fd()
    }

    /// The next request.
    pub(crate) fn receive(&self) -> Result<Received<Request>, MessageError> {
        self.requests.receive()
    }

    /// Answers. A gate that does not take answers is as good as dead, which is told elsewhere.
    pub(crate) fn answer(&self, reply: &Reply, beside: &[BorrowedFd<'_>]) {
        if let Err(error) = self.requests.send(reply, beside) {
            tracing::debug!("gate {}: {error}", self.id());
        }
    }

    /// Gives an order.
    pub(crate) fn order(&self, order: &Order) {
        self.order_with(order, &[]);
    }

    /// The same with descriptors beside it.
    pub(crate) fn order_with(&self, order: &Order, beside: &[BorrowedFd<'_>]) {
        if let Err(error) = self.orders.send(order, beside) {
            tracing::debug!("gate {}: {error}", self.id());
        }
    }

    /// Kills it; its end is told as any other.
    pub(crate) fn kill(&mut self) {
        self.is_deaf = true;
        let _ = self.process.kill();
    }

    /// How it ended; `None` while it lives.
    pub(crate) fn status(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().ok().flatten()
    }

    /// Kills it and waits for its end.
    pub(crate) fn end(mut self) {
        self.kill();
        let _ = self.process.wait();
    }
}

/// Says how a process ended.
pub(crate) fn cause(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(libc::SIGSYS), _) => {
            "was killed for a system call that it must not make (security.seccomp)".to_owned()
        }
        (Some(signal), _) => {
            let core = if status.core_dumped() { ", core dumped" } else { "" };
            format!("was killed by signal {signal}{core}")
        }
        (None, Some(code)) => format!("ended with status {code}"),
        (None, None) => "ended".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes() {
        assert_eq!(cause(ExitStatus::from_raw(9)), "was killed by signal 9");
        assert_eq!(cause(ExitStatus::from_raw(11 | 0x80)), "was killed by signal 11, core dumped");
        assert!(cause(ExitStatus::from_raw(libc::SIGSYS)).ends_with("(security.seccomp)"));
        assert_eq!(cause(ExitStatus::from_raw(3 << 8)), "ended with status 3");
    }
}
