//! The loop of a worker thread: poll the module, judge, keep house, obey commands.

use crate::drops::{DropNote, Explained, Question};
use crate::handover::{Cursor, SLICE};
use crate::rules::NewRules;
use crate::settings::LiveSettings;
use crate::worker::FlowWorker;
use crossbeam::channel::{Receiver, Sender, TryRecvError, TrySendError};
use portcullis_capture::{PacketModule, Poll, Unseen};
use portcullis_flow::{Blind, FlowSelector};
use portcullis_wire::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// Longest sleep of an idle worker: how late an ended flow may be noticed.
const IDLE: Duration = Duration::from_millis(100);

/// The same while flows leave, and whoever receives them is not as fast.
const LEAVING: Duration = Duration::from_millis(1);

/// Bytes of flows that are copied after a burst.
const STEP: usize = 8 << 10;

/// What a worker may be told between two bursts.
#[derive(Debug)]
pub enum Command {
    /// Judge by these rules from now on. The old ones go back to the sender, if it wants them
    /// ([`NewRules::returning`]).
    Rules(Box<NewRules>),
    /// Go by these settings from now on.
    Settings(Arc<LiveSettings>),
    /// End the flows that match; for what is asked of the control socket.
    EndFlows(FlowSelector),
    /// Tell the last drops, the latest first, as many as the list has room for without growing. Where nobody listens any
    /// more, nothing is lost.
    LastDrops(Vec<DropNote>, Sender<Vec<DropNote>>),
    /// Tell what is known about two ends.
    Explain(Question, Sender<Explained>),
    /// Give the flows away to another process, as slices ([`handover`](crate::handover)): copies from now on,
    /// while packets are judged and as long as the channel has room, and what has changed since once the module
    /// has nothing more. An empty slice says that all was copied, so that a [`Drain`](Self::Drain) is worth it
    /// now. Whoever receives has all once the channel is closed, and must not stop before.
    HandOver(Sender<Vec<u8>>),
    /// Take over the flows of a slice, all of which this worker owns. What cannot be taken is counted.
    TakeOver(Vec<u8>),
    /// Packets may have passed unjudged in this time: see [`FlowWorker::blind`]. For what the module
    /// cannot know.
    Blind(Blind),
    /// The flows of another process were all taken over: see [`FlowWorker::follow`]. Before the first packet.
    Follow(Timestamp),
    /// Stop once the module has nothing more at the moment.
    Drain,
}

/// Runs `worker` on `module` until the module ends or a [`Command::Drain`] (or the sender's going
/// away) was obeyed; then gives all flows away, if it was told to, and ends what is left. Wake the module's waker after sending a command.
///
/// # Errors
/// The module's, after all flows were ended.
pub fn drive<M: PacketModule + ?Sized>(
    module: &mut M,
    worker: &mut FlowWorker,
    commands: &Receiver<Command>,
) -> Result<(), M::Error> {
    let mut leaving = None;
    let outcome = judge_until_told(module, worker, commands, &mut leaving);
    if let Some(leaving) = leaving {
        leaving.complete(worker, module.now());
    }
    worker.finish(module.now(), &module.stats());
    outcome
}

fn judge_until_told<M: PacketModule + ?Sized>(
    module: &mut M,
    worker: &mut FlowWorker,
    commands: &Receiver<Command>,
    leaving: &mut Option<Leaving>,
) -> Result<(), M::Error> {
    let mut draining = false;
    loop {
        match commands.try_recv() {
            Ok(Command::Rules(rules)) => worker.exchange_rules(rules),
            Ok(Command::Settings(live)) => worker.change_settings(&live),
            Ok(Command::EndFlows(which)) => worker.end_flows(which),
            Ok(Command::Blind(time)) => worker.blind(time),
            Ok(Command::Follow(until)) => worker.follow(until),
            Ok(Command::LastDrops(mut room, answer)) => {
                worker.last_drops(&mut room);
                drop(answer.try_send(room));
            }
            Ok(Command::Explain(question, answer)) => drop(answer.try_send(worker.explain(&question))),
            Ok(Command::HandOver(slices)) => *leaving = Some(Leaving::new(slices)),
            // What is refused is counted by the worker; a slice for somebody else has nothing to be counted.
            Ok(Command::TakeOver(slice)) => drop(worker.import(&slice, module.now())),
            Ok(Command::Drain) | Err(TryRecvError::Disconnected) => draining = true,
            Err(TryRecvError::Empty) => {}
        }
        if let Some(Unseen { since, until }) = module.unseen() {
            worker.blind(Blind { since, until });
        }
        match module.poll(&mut |burst| worker.inspect(burst))? {
            Poll::Received(_) => {
                worker.keep_house(module.now(), &module.stats());
                if let Some(leaving) = leaving {
                    leaving.copy(worker, module.now());
                }
            }
            Poll::End => return Ok(()),
            Poll::Empty if draining => return Ok(()),
            Poll::Empty => {
                worker.idle(module.now(), &module.stats());
                let is_busy = leaving.as_mut().is_some_and(|leaving| leaving.copy(worker, module.now()));
                // A command that came meanwhile may have been told of by the same wake.
                if !is_busy && commands.is_empty() {
                    let most = if leaving.is_some() { LEAVING } else { IDLE };
                    module.wait(module.now().after(most))?;
                }
            }
        }
    }
}

/// Flows on their way to another process.
#[derive(Debug)]
struct Leaving {
    slices: Sender<Vec<u8>>,
    cursor: Cursor,
    copies: Copies,
    /// The slice that is being filled, or that there was no room for.
    slice: Vec<u8>,
    is_full: bool,
}

/// How far copying is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Copies {
    Going,
    Complete,
    /// And whoever receives knows.
    Told,
}

impl Leaving {
    const fn new(slices: Sender<Vec<u8>>) -> Self {
        Self { slices, cursor: Cursor::copying(), copies: Copies::Going, slice: Vec::new(), is_full: false }
    }

    /// Copies some flows, about a burst's housekeeping, unless whoever receives is not as fast. Is there more to be
    /// done at once?
    fn copy(&mut self, worker: &mut FlowWorker, now: Timestamp) -> bool {
        if !self.is_full && (self.copies == Copies::Going || worker.has_departed()) {
            if self.slice.capacity() == 0 {
                self.slice.reserve_exact(SLICE);
            }
            let limit = self.slice.len() + STEP;
            let more = worker.export(&mut self.cursor, &mut self.slice, limit, now);
            if (self.copies, more) == (Copies::Going, false) {
                self.copies = Copies::Complete;
            }
            self.is_full = !self.slice.is_empty() && (!more || self.slice.len() >= SLICE - STEP);
        }
        if self.is_full {
            match self.slices.try_send(std::mem::take(&mut self.slice)) {
                Ok(()) => self.is_full = false,
                // Nobody receives any more. Nothing is lost by it: all flows are still here.
                Err(TrySendError::Disconnected(_)) => (self.is_full, self.copies) = (false, Copies::Told),
                Err(TrySendError::Full(slice)) => {
                    self.slice = slice;
                    return false;
                }
            }
        }
        if self.copies == Copies::Complete && self.slices.try_send(Vec::new()).is_ok() {
            self.copies = Copies::Told;
        }
        self.copies == Copies::Going
    }

    /// Gives all flows away. Where nobody receives, all stay; where nobody does any more, those that are left.
    fn complete(mut self, worker: &mut FlowWorker, now: Timestamp) {
        if self.slices.send(Vec::new()).is_err() {
            return;
        }
        let mut cursor = Cursor::leaving();
        let mut slice = std::mem::take(&mut self.slice);
        loop {
            if !slice.is_empty() && self.slices.send(std::mem::take(&mut slice)).is_err() {
                return;
            }
            let more = worker.export(&mut cursor, &mut slice, SLICE, now);
            if !more && slice.is_empty() {
                return;
            }
        }
    }
}
