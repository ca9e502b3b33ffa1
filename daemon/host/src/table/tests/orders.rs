//! Every order in which the looks and changes of a few threads may come.

use super::*;
use loom::sync::Mutex;

/// A word under a lock of loom's: all threads agree on the order of what happens to it, as they do for the
/// atomic one, and loom tries all of these orders.
struct Watched(Mutex<u128>);

impl Cell for Watched {
    fn empty() -> Self {
        Self(Mutex::new(EMPTY))
    }

    fn load(&self) -> u128 {
        *self.0.lock().unwrap()
    }

    fn replace(&self, old: u128, new: u128) -> bool {
        let mut word = self.0.lock().unwrap();
        let same = *word == old;
        if same {
            *word = new;
        }
        same
    }
}

type Small = Table<Watched, 2>;

const NOW: u64 = 1_000;
const THREE: Limit = Limit { kind: LimitKind::Threshold, count: 3, seconds: 1 };

fn hashed(tag: u64) -> Hashed {
    Hashed { place: 0, tag }
}

fn model(check: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(check);
}

fn count(table: &Small, tag: u64, now: u64) -> Option<Ruling> {
    table.change(hashed(tag), now, |slot| THREE.step(slot, now))
}

/// The entries that count for `tag`.
fn entries(table: &Small, tag_: u64, now: u64) -> Vec<Slot> {
    let words = table.window(0).map(Cell::load);
    words.filter(|word| tag(*word) == tag_).map(Slot::unpack).filter(|slot| slot.counts_at(now)).collect()
}

#[test]
fn a_new_key_that_two_bring_is_counted_for_both() {
    model(|| {
        let table = loom::sync::Arc::new(Small::new(1));
        let other = loom::sync::Arc::clone(&table);
        let thread = loom::thread::spawn(move || count(&other, 5, NOW));
        let mine = count(&table, 5, NOW);
        assert_eq!([mine, thread.join().unwrap()], [Some(Ruling::Nothing); 2]);
        assert_eq!(entries(&table, 5, NOW).iter().map(|slot| slot.count).collect::<Vec<_>>(), [2]);
    });
}

/// One sees an entry that ends between the two, the other its place free: they choose different places.
#[test]
fn copies_in_two_places_become_one() {
    model(|| {
        let table = loom::sync::Arc::new(Small::new(1));
        let ends = Slot { end: NOW, count: 1, acting: false };
        assert!(table.change(hashed(9), 1, |_| (ends, ())).is_some());
        let other = loom::sync::Arc::clone(&table);
        let thread = loom::thread::spawn(move || count(&other, 5, NOW));
        let mine = count(&table, 5, NOW + 1);
        let theirs = thread.join().unwrap();
        assert_eq!([mine, theirs], [Some(Ruling::Nothing); 2]);
        assert_eq!(entries(&table, 5, NOW + 1).iter().map(|slot| slot.count).collect::<Vec<_>>(), [2]);
        assert_eq!(count(&table, 5, NOW + 1), Some(Ruling::Apply));
    });
}

/// An entry that is over is begun anew by its own key, while another key takes its place.
#[test]
fn whoever_comes_second_to_a_place_loses_nothing() {
    model(|| {
        let table = loom::sync::Arc::new(Small::new(1));
        assert_eq!(count(&table, 5, NOW), Some(Ruling::Nothing));
        let later = NOW + 1_000_001;
        let other = loom::sync::Arc::clone(&table);
        let thread = loom::thread::spawn(move || count(&other, 6, later));
        assert_eq!(count(&table, 5, later), Some(Ruling::Nothing));
        assert_eq!(thread.join().unwrap(), Some(Ruling::Nothing));
        for tag in [5, 6] {
            assert_eq!(entries(&table, tag, later).iter().map(|slot| slot.count).collect::<Vec<_>>(), [1]);
        }
    });
}

#[test]
fn a_bit_that_two_toggle_is_as_before() {
    model(|| {
        let table = loom::sync::Arc::new(Small::new(1));
        let flip = |table: &Small| {
            table.change(hashed(5), NOW, |slot| match slot {
                Some(slot) if slot.count > 0 => (Slot { end: 0, count: 0, acting: false }, ()),
                _ => (bit(NOW, 1), ()),
            })
        };
        let other = loom::sync::Arc::clone(&table);
        let thread = loom::thread::spawn(move || flip(&other));
        assert!(flip(&table).is_some());
        assert!(thread.join().unwrap().is_some());
        assert_eq!(table.find(hashed(5), NOW), None);
    });
}
