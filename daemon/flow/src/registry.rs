//! Where hooks and their storage are registered before the workers start.

use crate::callbacks::{Callbacks, Hook, HookClock};
use crate::hooks::{CallbackFactory, HookId, RemovalFactory};
use crate::storage::{MakeColumn, Storage, StorageId, make_column};
use crate::words::{FreeWords, Words, WordsId};
use portcullis_capture::WorkerId;
use std::sync::Arc;
use thiserror::Error;

/// Why a registration was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RegisterError {
    /// The workers have started: flows may be under way whose beginning it would have missed.
    #[error("flow callbacks {0:?} cannot be registered: the workers have started")]
    Started(String),
    /// The name is in use.
    #[error("flow callbacks {0:?} are registered already")]
    Duplicate(String),
    /// There are as many of its kind as there can be.
    #[error("{name:?} cannot be registered: there are {most} of its kind already, no more can be")]
    TooMany {
        /// What was to be registered.
        name: String,
        /// How many there can be.
        most: usize,
    },
}

/// All hooks, in order of registration, and the storage they ask for.
#[derive(Default)]
pub struct Registry {
    lifecycle: Vec<(String, CallbackFactory)>,
    removal: Vec<(String, RemovalFactory)>,
    columns: Vec<MakeColumn>,
    clock: Option<HookClock>,
    frozen: bool,
}

impl Registry {
    /// Most lifecycle callbacks.
    pub const MOST_CALLBACKS: usize = 16;
    /// Most storage columns.
    pub const MOST_COLUMNS: usize = 32;

    /// Adds lifecycle callbacks under a name, which tells them apart in logs and counters.
    ///
    /// # Errors
    /// After [`freeze`](Self::freeze), where the name is in use, and where there are
    /// [`MOST_CALLBACKS`](Self::MOST_CALLBACKS).
    pub fn register(&mut self, name: &str, factory: CallbackFactory) -> Result<(), RegisterError> {
        self.check(name, self.lifecycle.len(), Self::MOST_CALLBACKS)?;
        if self.lifecycle.iter().any(|(taken, _)| taken == name) {
            return Err(RegisterError::Duplicate(name.to_owned()));
        }
        self.lifecycle.push((name.to_owned(), factory));
        Ok(())
    }

    /// Adds a removal hook under a name. It runs for the flows on which its id is
    /// [registered](crate::Flow::register_removal_hook).
    ///
    /// # Errors
    /// After [`freeze`](Self::freeze), where the name is in use by a removal hook, and where there are
    /// [`HookId::MOST`].
    pub fn removal_hook(&mut self, name: &str, factory: RemovalFactory) -> Result<HookId, RegisterError> {
        let most = HookId::MOST;
        self.check(name, self.removal.len(), most)?;
        if self.removal.iter().any(|(taken, _)| taken == name) {
            return Err(RegisterError::Duplicate(name.to_owned()));
        }
        self.removal.push((name.to_owned(), factory));
        let number = u8::try_from(self.removal.len()).ok().and_then(HookId::from_number);
        number.ok_or_else(|| RegisterError::TooMany { name: name.to_owned(), most })
    }

    /// Asks for room for one `T` beside each flow. Every flow begins without one. The room is
    /// charged to `flow.memcap`, so fewer flows fit; a large `T` is better boxed if few flows have
    /// one.
    ///
    /// # Errors
    /// After [`freeze`](Self::freeze), and where there are [`MOST_COLUMNS`](Self::MOST_COLUMNS).
    pub fn storage<T: Send + 'static>(&mut self) -> Result<StorageId<T>, RegisterError> {
        let column = self.column(std::any::type_name::<T>(), Box::new(make_column::<T>))?;
        Ok(StorageId::new(column))
    }

    /// Asks for room for `count` 64-bit words (at least one) beside each flow, under a name for messages:
    /// for hooks whose types this program does not know. Every flow begins with zeros; when a flow ends
    /// whose words are not all 0, `free` is called with them. Charged to `flow.memcap`.
    ///
    /// # Errors
    /// As for [`storage`](Self::storage).
    pub fn words(&mut self, name: &str, count: usize, free: FreeWords) -> Result<WordsId, RegisterError> {
        let make = move || Box::new(Words::new(count, Arc::clone(&free))) as Box<_>;
        self.column(name, Box::new(make)).map(WordsId)
    }

    fn column(&mut self, name: &str, make: MakeColumn) -> Result<u8, RegisterError> {
        let most = Self::MOST_COLUMNS;
        self.check(name, self.columns.len(), most)?;
        let column = u8::try_from(self.columns.len());
        let column = column.map_err(|_| RegisterError::TooMany { name: name.to_owned(), most })?;
        self.columns.push(make);
        Ok(column)
    }

    /// Names of the hooks, in the order of their [costs](Callbacks::costs).
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let lifecycle = self.lifecycle.iter().map(|(name, _)| name.as_str());
        lifecycle.chain(self.removal.iter().map(|(name, _)| name.as_str()))
    }

    /// Has one call in [`SAMPLE`](crate::callbacks::SAMPLE) of each hook timed by this clock. Without
    /// it calls are counted only: the flow engine itself reads no clock, and what a clock says
    /// goes into the hooks' costs and nowhere else.
    pub fn measure_with(&mut self, clock: HookClock) {
        self.clock = Some(clock);
    }

    /// Refuses all further registration: the workers start.
    pub fn freeze(&mut self) {
        self.frozen = true;
    }

    /// The hooks of one worker.
    #[must_use]
    pub fn instantiate(&self, worker: WorkerId) -> Callbacks {
        let lifecycle = self.lifecycle.iter().map(|(name, make)| Hook::new(name, make(worker)));
        let removal = self.removal.iter().map(|(name, make)| Hook::new(name, make(worker)));
        let hooks = u8::try_from(self.removal.len()).unwrap_or(u8::MAX);
        Callbacks {
            lifecycle: lifecycle.collect(),
            removal: removal.collect(),
            removal_names: self.removal.iter().map(|(name, _)| name.clone()).collect(),
            storage: Storage::new(&self.columns, hooks),
            clock: self.clock,
        }
    }

    fn check(&self, name: &str, there: usize, most: usize) -> Result<(), RegisterError> {
        match self.frozen {
            true => Err(RegisterError::Started(name.to_owned())),
            false if there >= most => Err(RegisterError::TooMany { name: name.to_owned(), most }),
            false => Ok(()),
        }
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.lifecycle.iter().map(|(name, _)| name.as_str()).collect();
        let removal: Vec<&str> = self.removal.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Registry")
            .field("names", &names)
            .field("removal_hooks", &removal)
            .field("columns", &self.columns.len())
            .field("frozen", &self.frozen)
            .finish()
    }
}
