//! A follower as the reader sees it: two rings, and an account of what it has.

use super::bell::Bell;
use super::parcel::{Cargo, Fate, Lane, Parcel};
use rtrb::Consumer;
use std::sync::Arc;

/// The rings to and from one follower, and what it has.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) home: Consumer<Box<Parcel>>,
    pub(super) bell: Arc<Bell>,
    /// Parcels sent to be judged and not back yet.
    pub(super) away: usize,
    steer: Lane,
    /// Those of them that carry forged frames, by the worker whose reserve they belong to.
    forged_by_reserve: Vec<usize>,
    gone: bool,
}

/// What was lost with a follower.
pub(super) struct Lost {
    pub(super) parcels: usize,
    pub(super) forged_by_reserve: Vec<usize>,
}

impl Peer {
    pub(super) fn new(steer: Lane, home: Consumer<Box<Parcel>>, bell: Arc<Bell>, workers: usize) -> Self {
        Self { home, bell, away: 0, steer, forged_by_reserve: vec![0; workers], gone: false }
    }

    /// Takes the next parcel that came home.
    pub(super) fn take(&mut self) -> Option<Box<Parcel>> {
        let parcel = self.home.pop().ok()?;
        if parcel.fate != Fate::Unjudged {
            self.away -= 1;
            if let Some(count) = self.of_reserve(&parcel) {
                *count -= 1;
            }
        }
        Some(parcel)
    }

    /// Sends a parcel to be judged.
    pub(super) fn pass_on(&mut self, parcel: Box<Parcel>) {
        self.away += 1;
        if let Some(count) = self.of_reserve(&parcel) {
            *count += 1;
        }
        self.steer.stage(parcel);
    }

    /// Returns an empty parcel to the follower's reserve.
    pub(super) fn give_back(&mut self, mut parcel: Box<Parcel>) {
        parcel.fate = Fate::Spent;
        if !self.gone {
            self.steer.stage(parcel);
        }
    }

    /// Fills the ring, and wakes the follower once if anything went in.
    pub(super) fn send(&mut self) {
        if self.steer.send() {
            self.bell.ring();
        }
    }

    /// Has something come home, or will nothing ever?
    pub(super) fn has_news(&self) -> bool {
        !self.home.is_empty() || (!self.gone && self.home.is_abandoned())
    }

    pub(super) const fn is_gone(&self) -> bool {
        self.gone
    }

    /// Closes the account of a follower that is gone; `None` if that was done before.
    pub(super) fn give_up(&mut self) -> Option<Lost> {
        if std::mem::replace(&mut self.gone, true) {
            return None;
        }
        self.steer.clear();
        let forged_by_reserve = std::mem::take(&mut self.forged_by_reserve);
        Some(Lost { parcels: std::mem::take(&mut self.away), forged_by_reserve })
    }

    fn of_reserve(&mut self, parcel: &Parcel) -> Option<&mut usize> {
        match parcel.cargo {
            Cargo::Forged { reserve, .. } => self.forged_by_reserve.get_mut(reserve),
            Cargo::Read { .. } => None,
        }
    }
}
