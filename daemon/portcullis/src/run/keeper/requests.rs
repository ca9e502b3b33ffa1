//! What gates ask their warden for, and when they may.

use super::Keeper;
use crate::control::ControlSocket;
use crate::run::child::{Child, Stage};
use crate::run::message::MessageError;
use crate::run::warden::{Past, Reply, Request, VERSION};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

impl Keeper {
    pub(super) fn on_request(&mut self, process: u32) {
        let Some(place) = self.place(process) else { return };
        let Some(child) = self.children.get_mut(place) else { return };
        child.heard = Instant::now();
        match child.receive() {
            Ok((request, descriptors)) => {
                if self.serve(place, request, descriptors).is_none()
                    && let Some(child) = self.children.get_mut(place)
                {
                    tracing::error!("the gate (process {process}) asked for {request:?} while it may not");
                    child.kill();
                }
            }
            Err(MessageError::Gone) => child.is_deaf = true,
            Err(error) => {
                tracing::error!("the gate (process {process}) is not listened to any more: {error}");
                child.kill();
            }
        }
    }

    /// Serves a request; `None` where it has no place at this stage.
    fn serve(&mut self, place: usize, request: Request, descriptors: Vec<OwnedFd>) -> Option<()> {
        let stage = self.children.get(place)?.stage;
        match request {
            Request::Hello { version } if stage == Stage::Starting => return self.welcome(place, version),
            Request::SetUp if stage == Stage::Starting => {
                let setup = Rc::clone(&self.children.get(place)?.setup);
                let facts = self.warden.set_up(&setup.plan);
                let reply = facts.map_or_else(Reply::Refused, Reply::Gate);
                self.children.get(place)?.answer(&reply, &self.warden.maps());
            }
            Request::OpenLog => {
                let child = self.children.get(place)?;
                let opened = child.setup.log.as_ref().map(|path| portcullis_eve::sink::open(path));
                match opened? {
                    Ok(file) => child.answer(&Reply::Done, &[file.as_fd()]),
                    Err(error) => child.answer(&Reply::Refused(error.to_string()), &[]),
                }
            }
            Request::OpenControl if stage == Stage::Judging => {
                let path = self.children.get(place)?.setup.control.clone()?;
                let opened = match self.control.take() {
                    Some(socket) => Ok(socket),
                    None => ControlSocket::open(&path),
                };
                let child = self.children.get(place)?;
                match opened {
                    Ok(socket) => {
                        child.answer(&Reply::Done, &[socket.listener()]);
                        self.control = Some(socket);
                    }
                    Err(error) => child.answer(&Reply::Refused(error.to_string()), &[]),
                }
            }
            Request::Prepared if stage == Stage::Starting => {
                self.children.get_mut(place)?.stage = Stage::Prepared;
                let flows = self.have_handed_over();
                self.children.get_mut(place)?.follows = flows.is_some();
                let beside: Vec<BorrowedFd<'_>> = flows.iter().map(AsFd::as_fd).collect();
                self.children.get(place)?.answer(&Reply::Done, &beside);
            }
            Request::Follow if stage == Stage::Prepared => {
                self.children.get_mut(place)?.waits = true;
                self.follow();
            }
            Request::Publish { port, queue } if stage == Stage::Judging => {
                let [socket] = <[OwnedFd; 1]>::try_from(descriptors).ok()?;
                let done = self.warden.publish(port, queue, &socket);
                self.done(place, done);
            }
            Request::Withdraw { port, queue } if stage.has_queues() => {
                let done = self.warden.withdraw(port, queue);
                self.done(place, done);
            }
            Request::RestartPort { port } if stage == Stage::Judging => {
                let done = self.warden.restart_port(port);
                self.done(place, done);
            }
            Request::Settle if stage == Stage::Judging => self.settle(place),
            Request::Alive => self.done(place, Ok(())),
            Request::Counters => {
                let counters = self.warden.counters().map_or_else(Reply::Refused, Reply::Counters);
                self.children.get(place)?.answer(&counters, &[]);
            }
            Request::Windows if stage.has_queues() => {
                let windows = self.warden.windows().map_or_else(Reply::Refused, Reply::Windows);
                self.children.get(place)?.answer(&windows, &[]);
            }
            Request::Links if stage.has_queues() => {
                self.children.get(place)?.answer(&Reply::Links(self.warden.links()), &[]);
            }
            Request::Restart { upgrade } if stage.has_queues() => {
                let begun = self.restart(upgrade);
                self.done(place, begun);
            }
            Request::HandedOver if matches!(stage, Stage::HandingOver | Stage::Judging) => {
                self.children.get_mut(place)?.stage = Stage::Over;
                self.handover_until = None;
                self.done(place, Ok(()));
                if self.children.iter().any(|child| child.stage.is_next()) {
                    self.follow();
                } else if !self.ending {
                    // The one that was to follow died meanwhile.
                    self.next_start = Some(Instant::now());
                }
            }
            Request::TakeDown if matches!(stage, Stage::Judging | Stage::Ending) => {
                self.children.get_mut(place)?.stage = Stage::Ending;
                self.ending = true;
                self.next_start = None;
                self.children.iter_mut().filter(|child| child.stage.is_next()).for_each(Child::kill);
                self.control = None;
                let down = self.warden.take_down();
                self.done(place, down);
            }
            _ => return None,
        }
        Some(())
    }

    pub(super) fn done(&self, place: usize, result: Result<(), String>) {
        if let Some(child) = self.children.get(place) {
            child.answer(&result.map_or_else(Reply::Refused, |()| Reply::Done), &[]);
        }
    }

    fn welcome(&mut self, place: usize, version: u32) -> Option<()> {
        let age = self.first_began.map_or(Duration::ZERO, |began| began.elapsed());
        let past = Past { restarts: self.restarts, hangs: self.hangs, age };
        let child = self.children.get_mut(place)?;
        let orders = child.orders_end.take()?;
        if version == VERSION {
            child.answer(&Reply::Welcome(past), &[orders.as_fd(), self.alive.as_fd()]);
        } else {
            let reason = "its warden is of another version: end it and start it anew".to_owned();
            child.answer(&Reply::Refused(reason), &[]);
        }
        Some(())
    }
}
