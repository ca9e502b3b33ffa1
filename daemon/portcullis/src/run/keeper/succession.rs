//! One gate after another: a new one loads everything, the old one hands its flows over and leaves the queues, the new
//! one takes them.

use super::{Keeper, THIS_PROGRAM};
use crate::run::child::{Child, Stage};
use crate::run::setup::Setup;
use crate::run::warden::{Order, Reply};
use std::io::{PipeReader, pipe};
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How long a gate may take to leave its queues before it is made to.
const HANDOVER: Duration = Duration::from_secs(30);

impl Keeper {
    /// Begins a restart.
    pub(super) fn restart(&mut self, upgrade: bool) -> Result<(), String> {
        if self.ending {
            return Err("the gate is ending".to_owned());
        }
        if self.children.len() > 1 {
            return Err("a restart is under way already".to_owned());
        }
        let setup = Setup::load(&self.arguments).map_err(|failure| failure.to_string())?;
        if !self.children.iter().all(|child| setup.fits(&child.setup)) {
            return Err(
                "inline set, ports or control socket have changed: that takes an end and a start".to_owned()
            );
        }
        let program = if upgrade { self.program.clone() } else { THIS_PROGRAM.into() };
        self.start(&program, Rc::new(setup)).map_err(|failure| failure.to_string())
    }

    /// Has the gate that judges, if there is one, leave; gives the pipe that its flows come by.
    pub(super) fn have_handed_over(&mut self) -> Option<PipeReader> {
        let child = self.children.iter_mut().find(|child| child.stage == Stage::Judging)?;
        child.stage = Stage::HandingOver;
        self.handover_until = Some(Instant::now() + HANDOVER);
        let (reader, writer) = match pipe() {
            Ok((reader, writer)) => (Some(reader), Some(writer)),
            Err(error) => {
                tracing::error!("flows cannot be handed over: {error}");
                (None, None)
            }
        };
        let beside: Vec<BorrowedFd<'_>> = writer.iter().map(AsFd::as_fd).collect();
        child.order_with(&Order::HandOver, &beside);
        reader
    }

    /// Has the next gate take the queues, if it waits for them and nobody else has them.
    pub(super) fn follow(&mut self) {
        if self.children.iter().any(|child| child.stage.has_queues()) {
            return;
        }
        let Some(child) =
            self.children.iter_mut().find(|child| child.stage == Stage::Prepared && child.waits)
        else {
            return;
        };
        child.stage = Stage::Judging;
        let plan = &child.setup.plan;
        if plan.devices.is_none()
            && let Err(reason) = self.warden.set_policies(plan)
        {
            tracing::error!("{reason}");
        }
        child.answer(&Reply::Done, &[]);
    }

    pub(super) fn settle(&mut self, place: usize) {
        let now = Instant::now();
        if let Some(child) = self.children.get(place) {
            let plan = &child.setup.plan;
            self.warden.settle(plan);
            self.watchdog.begin(now, plan.replace_after);
            if !child.follows {
                self.first_began = Some(now);
            }
        }
        self.has_judged = true;
        self.done(place, Ok(()));
        self.tell_waiting(Ok(()));
        if self.ending
            && let Some(child) = self.children.get(place)
        {
            child.order(&Order::End);
        }
    }

    /// Tells whoever waits for a restart how it went.
    pub(super) fn tell_waiting(&self, outcome: Result<(), String>) {
        let waits = |child: &&Child| matches!(child.stage, Stage::Judging | Stage::HandingOver | Stage::Over);
        let order = Order::Restarted(outcome);
        // A gate that did not ask takes no notice.
        self.children.iter().filter(waits).for_each(|child| child.order(&order));
    }
}
