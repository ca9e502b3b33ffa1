//! The loop of a worker thread: poll the module, judge, keep house, obey commands.

use crate::rules::NewRules;
use crate::settings::LiveSettings;
use crate::worker::FlowWorker;
use crossbeam::channel::{Receiver, TryRecvError};
use portcullis_capture::{PacketModule, Poll};
use portcullis_flow::FlowSelector;
use std::sync::Arc;
use std::time::Duration;

/// Longest sleep of an idle worker: how late an ended flow may be noticed.
const IDLE: Duration = Duration::from_millis(100);

/// What a worker may be told between two bursts.
#[derive(Debug)]
pub enum Command {
    /// Judge by these rules from now on. The old ones are freed by whoever holds the last
    /// reference, which is the sender's.
    Rules(Box<NewRules>),
    /// Go by these settings from now on.
    Settings(Arc<LiveSettings>),
    /// End the flows that match; for what is asked of the control socket.
    EndFlows(FlowSelector),
    /// Stop once the module has nothing more at the moment.
    Drain,
}

/// Runs `worker` on `module` until the module ends or a [`Command::Drain`] (or the sender's going
/// away) was obeyed; then ends all flows. Wake the module's waker after sending a command.
///
/// # Errors
/// The module's, after all flows were ended.
pub fn drive<M: PacketModule + ?Sized>(
    module: &mut M,
    worker: &mut FlowWorker,
    commands: &Receiver<Command>,
) -> Result<(), M::Error> {
    let outcome = judge_until_told(module, worker, commands);
    worker.finish(module.now(), &module.stats());
    outcome
}

fn judge_until_told<M: PacketModule + ?Sized>(
    module: &mut M,
    worker: &mut FlowWorker,
    commands: &Receiver<Command>,
) -> Result<(), M::Error> {
    let mut draining = false;
    loop {
        match commands.try_recv() {
            Ok(Command::Rules(rules)) => worker.swap_rules(*rules),
            Ok(Command::Settings(live)) => worker.change_settings(&live),
            Ok(Command::EndFlows(which)) => worker.end_flows(which),
            Ok(Command::Drain) | Err(TryRecvError::Disconnected) => draining = true,
            Err(TryRecvError::Empty) => {}
        }
        match module.poll(&mut |burst| worker.inspect(burst))? {
            Poll::Received(_) => worker.keep_house(module.now(), &module.stats()),
            Poll::End => return Ok(()),
            Poll::Empty if draining => return Ok(()),
            Poll::Empty => {
                worker.idle(module.now(), &module.stats());
                module.wait(module.now().after(IDLE))?;
            }
        }
    }
}
