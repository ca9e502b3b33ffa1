//! What hooks keep beside flows: values of types of their own, and the removal hooks registered on
//! a flow. One column a type, by the flow's slot, all of its memory reserved at start; a flow that
//! uses none of it never touches it.

use crate::arena::Hot;
use crate::flow::{Flow, HOOKED, STORED};
use crate::hooks::HookId;
use crate::rates::{Rate, RateTracking, Rates};
use crate::settings::SetupError;
use crate::slot::SlotIndex;
use crate::words::{Words, WordsId};
use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Names a column of values of one type. From
/// [`Registry::storage`](crate::hooks::Registry::storage).
pub struct StorageId<T> {
    column: u8,
    value: PhantomData<fn() -> T>,
}

impl<T> StorageId<T> {
    pub(crate) const fn new(column: u8) -> Self {
        Self { column, value: PhantomData }
    }
}

impl<T> Clone for StorageId<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for StorageId<T> {}

impl<T> fmt::Debug for StorageId<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StorageId").field(&self.column).finish()
    }
}

/// One type's values, by slot.
pub(crate) trait Column: Any + Send {
    /// Bytes for each flow.
    fn flow_bytes(&self) -> u64;
    fn reserve(&mut self, capacity: usize) -> Result<(), SetupError>;
    /// Makes places for `count` more flows.
    fn open(&mut self, count: usize);
    /// Drops the value of a flow, if it has one.
    fn clear(&mut self, place: usize);
}

struct Values<T>(Vec<Option<T>>);

impl<T: Send + 'static> Column for Values<T> {
    fn flow_bytes(&self) -> u64 {
        size_of::<Option<T>>() as u64
    }

    fn reserve(&mut self, capacity: usize) -> Result<(), SetupError> {
        reserve(&mut self.0, capacity)
    }

    fn open(&mut self, count: usize) {
        self.0.resize_with(self.0.len() + count, || None);
    }

    fn clear(&mut self, place: usize) {
        if let Some(value) = self.0.get_mut(place) {
            *value = None;
        }
    }
}

pub(crate) fn reserve<T>(values: &mut Vec<T>, capacity: usize) -> Result<(), SetupError> {
    values.try_reserve_exact(capacity).map_err(|error| SetupError::Memory {
        bytes: (capacity as u64).saturating_mul(size_of::<T>() as u64),
        reason: error.to_string(),
    })
}

/// Makes an empty column.
pub(crate) type MakeColumn = Box<dyn Fn() -> Box<dyn Column> + Send + Sync>;

pub(crate) fn make_column<T: Send + 'static>() -> Box<dyn Column> {
    Box::new(Values::<T>(Vec::new()))
}

/// The removal hooks of a flow, in the order of registration. Their number is that of
/// [`HookId`]s that there can be, so it is never full.
#[derive(Clone, Copy, Default)]
struct HookList {
    /// Numbers of hooks; 0 ends the list.
    ids: [u8; HookId::MOST],
    /// How many of them, from the first, have run.
    ran: u8,
}

impl HookList {
    fn len(&self) -> usize {
        self.ids.iter().position(|id| *id == 0).unwrap_or(self.ids.len())
    }

    fn add(&mut self, id: HookId) -> bool {
        let len = self.len();
        let is_new = !self.ids[..len].contains(&id.number());
        if let (true, Some(free)) = (is_new, self.ids.get_mut(len)) {
            *free = id.number();
        }
        is_new
    }

    fn remove(&mut self, id: HookId) -> bool {
        let ran = usize::from(self.ran);
        let Some(place) = self.ids[ran..].iter().position(|number| *number == id.number()) else {
            return false;
        };
        self.ids[ran + place..].rotate_left(1);
        self.ids[HookId::MOST - 1] = 0;
        true
    }

    fn next(&mut self) -> Option<HookId> {
        let id = HookId::from_number(*self.ids.get(usize::from(self.ran))?)?;
        self.ran += 1;
        Some(id)
    }
}

/// The columns of one worker, made by
/// [`Callbacks::take_storage`](crate::hooks::Callbacks::take_storage) for the worker's table.
#[derive(Default)]
pub struct Storage {
    columns: Vec<Box<dyn Column>>,
    lists: Vec<HookList>,
    /// Removal hooks that there are; without any there are no lists.
    hooks: u8,
    /// Values whose drop panicked.
    panics: u64,
    rates: Option<Rates>,
}

impl Storage {
    pub(crate) fn new(columns: &[MakeColumn], hooks: u8) -> Self {
        let columns = columns.iter().map(|make| make()).collect();
        Self { columns, lists: Vec::new(), hooks, panics: 0, rates: None }
    }

    /// Adds a column of values of one type, for whoever makes the table; `None` where there are as many as can
    /// be. Once the table is made it is too late.
    pub fn add_column<T: Send + 'static>(&mut self) -> Option<StorageId<T>> {
        let id = u8::try_from(self.columns.len()).ok().map(StorageId::new)?;
        self.columns.push(make_column::<T>());
        Some(id)
    }

    /// Bytes that it takes for each flow: charged to `flow.memcap`. What values own elsewhere is not.
    #[must_use]
    pub fn flow_bytes(&self) -> u64 {
        let lists = if self.hooks > 0 { size_of::<HookList>() as u64 } else { 0 };
        let rates = if self.rates.is_some() { size_of::<Rate>() as u64 } else { 0 };
        self.columns.iter().map(|column| column.flow_bytes()).sum::<u64>() + lists + rates
    }

    /// Keeps the rates of flows too, where that is asked for.
    pub(crate) fn track_rates(&mut self, settings: Option<RateTracking>) {
        self.rates = settings.map(Rates::new);
    }

    /// Are rates of flows kept?
    pub(crate) const fn tracks_rates(&self) -> bool {
        self.rates.is_some()
    }

    pub(crate) const fn rates_mut(&mut self) -> Option<&mut Rates> {
        self.rates.as_mut()
    }

    pub(crate) fn reserve(&mut self, capacity: u32) -> Result<(), SetupError> {
        let capacity = capacity as usize;
        if self.hooks > 0 {
            reserve(&mut self.lists, capacity)?;
        }
        if let Some(rates) = &mut self.rates {
            reserve(&mut rates.flows, capacity)?;
        }
        self.columns.iter_mut().try_for_each(|column| column.reserve(capacity))
    }

    pub(crate) fn open(&mut self, count: u32) {
        let count = count as usize;
        if self.hooks > 0 {
            self.lists.resize(self.lists.len() + count, HookList::default());
        }
        if let Some(rates) = &mut self.rates {
            rates.flows.resize(rates.flows.len() + count, Rate::default());
        }
        self.columns.iter_mut().for_each(|column| column.open(count));
    }

    /// Forgets everything about a flow that has ended.
    pub(crate) fn clear(&mut self, slot: SlotIndex, hot: &Hot) {
        if hot.flags & HOOKED != 0
            && let Some(list) = self.lists.get_mut(slot.place())
        {
            *list = HookList::default();
        }
        if let Some(rate) = self.rates.as_mut().and_then(|rates| rates.flows.get_mut(slot.place())) {
            *rate = Rate::default();
        }
        if hot.flags & STORED != 0 {
            for column in &mut self.columns {
                // The place is empty afterwards, also where the value's drop panics half way.
                let cleared = catch_unwind(AssertUnwindSafe(|| column.clear(slot.place())));
                self.panics += u64::from(cleared.is_err());
            }
        }
    }

    /// Values whose drop panicked, when their flow ended.
    #[must_use]
    pub const fn panics(&self) -> u64 {
        self.panics
    }

    fn column<T: Send + 'static>(&self, id: StorageId<T>) -> Option<&Values<T>> {
        let column: &dyn Any = self.columns.get(usize::from(id.column))?.as_ref();
        column.downcast_ref()
    }

    pub(crate) fn words(&self, id: WordsId) -> Option<&Words> {
        let column: &dyn Any = self.columns.get(usize::from(id.0))?.as_ref();
        column.downcast_ref()
    }

    pub(crate) fn words_mut(&mut self, id: WordsId) -> Option<&mut Words> {
        let column: &mut dyn Any = self.columns.get_mut(usize::from(id.0))?.as_mut();
        column.downcast_mut()
    }

    fn column_mut<T: Send + 'static>(&mut self, id: StorageId<T>) -> Option<&mut Values<T>> {
        let column: &mut dyn Any = self.columns.get_mut(usize::from(id.column))?.as_mut();
        column.downcast_mut()
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Storage").field("columns", &self.columns.len()).field("hooks", &self.hooks).finish()
    }
}

/// Values kept beside a flow. They stay until they are taken or the flow has ended: the finish
/// callbacks still see them. An id of another [`Registry`](crate::hooks::Registry) finds nothing.
impl Flow<'_> {
    /// The value kept for this flow, if there is one.
    #[must_use]
    pub fn stored<T: Send + 'static>(&self, id: StorageId<T>) -> Option<&T> {
        if self.hot.flags & STORED == 0 {
            return None;
        }
        self.storage.column(id)?.0.get(self.slot.place())?.as_ref()
    }

    /// The same, to be changed.
    #[must_use]
    pub fn stored_mut<T: Send + 'static>(&mut self, id: StorageId<T>) -> Option<&mut T> {
        if self.hot.flags & STORED == 0 {
            return None;
        }
        self.storage.column_mut(id)?.0.get_mut(self.slot.place())?.as_mut()
    }

    /// Keeps a value for this flow.
    ///
    /// # Errors
    /// Gives the value back where the id is of another registry.
    pub fn store<T: Send + 'static>(&mut self, id: StorageId<T>, value: T) -> Result<Option<T>, T> {
        let column = self.storage.column_mut(id);
        let Some(place) = column.and_then(|column| column.0.get_mut(self.slot.place())) else {
            return Err(value);
        };
        self.hot.flags |= STORED;
        Ok(place.replace(value))
    }

    /// Takes the value kept for this flow away.
    pub fn take_stored<T: Send + 'static>(&mut self, id: StorageId<T>) -> Option<T> {
        self.storage.column_mut(id)?.0.get_mut(self.slot.place())?.take()
    }
}

/// Removal hooks.
impl Flow<'_> {
    /// Has the hook run once this flow has left the table, before its record. `true` if that is
    /// new, `false` if it was registered on the flow before (or is of another registry). In a running
    /// removal hook: a hook that was not registered runs after those that were.
    pub fn register_removal_hook(&mut self, id: HookId) -> bool {
        if id.number() > self.storage.hooks {
            return false;
        }
        self.hot.flags |= HOOKED;
        self.storage.lists.get_mut(self.slot.place()).is_some_and(|list| list.add(id))
    }

    /// Has the hook not run after all. `true` if it was registered and has not run.
    pub fn unregister_removal_hook(&mut self, id: HookId) -> bool {
        self.hooks_mut().is_some_and(|list| list.remove(id))
    }

    /// The removal hooks registered on this flow, in the order of registration; while they run, those
    /// that have run too.
    pub fn removal_hooks(&self) -> impl Iterator<Item = HookId> {
        let hooked = self.hot.flags & HOOKED != 0;
        let list = self.storage.lists.get(self.slot.place()).filter(|_| hooked);
        list.into_iter().flat_map(|list| list.ids).map_while(HookId::from_number)
    }

    /// The next removal hook to run; each comes once.
    pub(crate) fn next_removal_hook(&mut self) -> Option<HookId> {
        self.hooks_mut()?.next()
    }

    fn hooks_mut(&mut self) -> Option<&mut HookList> {
        if self.hot.flags & HOOKED == 0 {
            return None;
        }
        self.storage.lists.get_mut(self.slot.place())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_list_of_hooks_is_as_small_as_it_says() {
        assert_eq!(size_of::<HookList>(), 16);
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Add(HookId),
        Remove(HookId),
        Next,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let id = || (1..=15u8).prop_map(|number| HookId::from_number(number).expect("not 0"));
        let step = prop_oneof![3 => id().prop_map(Step::Add), 2 => id().prop_map(Step::Remove), 1 => Just(Step::Next)];
        proptest::collection::vec(step, 0..80)
    }

    proptest! {
        /// Against an ordered set of waiting hooks and a set of those that ran.
        #[test]
        fn a_list_of_hooks_is_an_ordered_set_that_runs_each_once(steps in steps()) {
            let (mut list, mut waiting, mut ran) = (HookList::default(), Vec::new(), Vec::new());
            for step in steps {
                match step {
                    Step::Add(id) => {
                        let is_new = !waiting.contains(&id) && !ran.contains(&id);
                        prop_assert_eq!(list.add(id), is_new);
                        if is_new {
                            waiting.push(id);
                        }
                    }
                    Step::Remove(id) => {
                        let place = waiting.iter().position(|known| *known == id);
                        prop_assert_eq!(list.remove(id), place.is_some());
                        place.map(|place| waiting.remove(place));
                    }
                    Step::Next => {
                        let expected = (!waiting.is_empty()).then(|| waiting.remove(0));
                        prop_assert_eq!(list.next(), expected);
                        ran.extend(expected);
                    }
                }
                let all: Vec<u8> = ran.iter().chain(&waiting).map(|id| id.number()).collect();
                prop_assert_eq!(&list.ids[..list.len()], all.as_slice());
            }
        }
    }
}
