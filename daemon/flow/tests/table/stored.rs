//! Values that hooks keep beside flows.

use crate::packets::{at, table_with, track_and, udp};
use portcullis_capture::WorkerId;
use portcullis_flow::{FlowSettings, FlowTable, RegisterError, Registry, StorageId};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

struct Dropped(Arc<AtomicU64>, bool);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
        assert!(!self.1, "a value whose drop panics, as the test asked");
    }
}

fn with_columns<A: Send + 'static, B: Send + 'static>() -> (FlowTable, StorageId<A>, StorageId<B>) {
    let mut registry = Registry::default();
    let ids = (registry.storage::<A>().expect("room"), registry.storage::<B>().expect("room"));
    registry.freeze();
    assert!(matches!(registry.storage::<u8>(), Err(RegisterError::Started(name)) if name == "u8"));
    let storage = registry.instantiate(WorkerId(0)).take_storage();
    (table_with(&FlowSettings::default(), storage), ids.0, ids.1)
}

fn end_all(table: &mut FlowTable) {
    assert!(table.retire_all(at(9), usize::MAX));
    table.finish(usize::MAX, &mut |_| {});
}

#[test]
fn each_flow_has_its_own_values_of_each_type() {
    let (mut table, number, text) = with_columns::<u64, String>();
    for port in 0..300u16 {
        track_and(&mut table, &udp((1, port), (2, 2)), at(0), |flow| {
            assert_eq!((flow.stored(number), flow.stored(text)), (None, None), "a flow begins without");
            assert_eq!(flow.store(number, u64::from(port)), Ok(None));
            if port % 2 == 0 {
                assert_eq!(flow.store(text, port.to_string()), Ok(None));
            }
        });
    }
    for port in 0..300u16 {
        track_and(&mut table, &udp((1, port), (2, 2)), at(1), |flow| {
            *flow.stored_mut(number).expect("stored") += 1;
            assert_eq!(flow.store(number, 7), Ok(Some(u64::from(port) + 1)));
            assert_eq!(flow.stored(text).cloned(), (port % 2 == 0).then(|| port.to_string()));
            assert_eq!(flow.take_stored(text).is_some(), port % 2 == 0);
            assert_eq!(flow.stored(text), None);
        });
    }
    assert!(table.retire_all(at(2), usize::MAX));
    table.finish(usize::MAX, &mut |flow| assert_eq!(flow.stored(number), Some(&7), "kept to the end"));
    track_and(&mut table, &udp((1, 1), (2, 2)), at(3), |flow| assert_eq!(flow.stored(number), None));
    end_all(&mut table);
}

#[test]
fn values_are_dropped_once_and_after_the_finish_callbacks() {
    let drops = Arc::new(AtomicU64::new(0));
    let (mut table, id, _) = with_columns::<Dropped, ()>();
    for port in 0..50u16 {
        track_and(&mut table, &udp((1, port), (2, 2)), at(0), |flow| {
            assert!(flow.store(id, Dropped(Arc::clone(&drops), false)).is_ok());
        });
    }
    assert!(table.retire_all(at(1), usize::MAX));
    for ended in 0..50 {
        let seen = Arc::clone(&drops);
        table.finish(1, &mut |flow| {
            assert!(flow.stored(id).is_some());
            assert_eq!(seen.load(Ordering::Relaxed), ended);
        });
        assert_eq!(drops.load(Ordering::Relaxed), ended + 1);
    }
    track_and(&mut table, &udp((1, 1), (2, 2)), at(0), |flow| {
        assert!(flow.store(id, Dropped(Arc::clone(&drops), false)).is_ok());
    });
    drop(table);
    assert_eq!(drops.load(Ordering::Relaxed), 51, "also with the table");
}

#[test]
fn a_value_whose_drop_panics_is_counted_and_gone() {
    let drops = Arc::new(AtomicU64::new(0));
    let (mut table, id, number) = with_columns::<Dropped, u64>();
    track_and(&mut table, &udp((1, 1), (2, 2)), at(0), |flow| {
        assert!(flow.store(id, Dropped(Arc::clone(&drops), true)).is_ok());
        assert_eq!(flow.store(number, 1), Ok(None));
    });
    end_all(&mut table);
    assert_eq!((table.storage_panics(), drops.load(Ordering::Relaxed), table.active()), (1, 1, 0));
    track_and(&mut table, &udp((1, 1), (2, 2)), at(0), |flow| {
        assert!(flow.stored(id).is_none() && flow.stored(number).is_none());
    });
    end_all(&mut table);
    assert_eq!(table.storage_panics(), 1);
}

#[test]
fn an_id_of_another_registry_finds_nothing() {
    let (_, _, foreign) = with_columns::<u8, u64>();
    let (mut table, _, _) = with_columns::<u64, String>();
    track_and(&mut table, &udp((1, 1), (2, 2)), at(0), |flow| {
        assert_eq!(flow.store(foreign, 5), Err(5));
        assert_eq!(flow.stored(foreign), None);
        assert_eq!(flow.take_stored(foreign), None);
    });
    end_all(&mut table);
}

#[test]
fn columns_are_charged_to_memcap_and_bounded() {
    let (table, _, _) = with_columns::<[u64; 7], u32>();
    let plain = crate::packets::table(&FlowSettings::default());
    let per_flow = |table: &FlowTable| {
        let settings = FlowSettings::default();
        (settings.memcap - table.stats().memuse) / u64::from(table.capacity() - settings.prealloc)
    };
    assert_eq!(per_flow(&table) - per_flow(&plain), 64 + 8);
    assert!(table.capacity() < plain.capacity());
    let mut registry = Registry::default();
    for _ in 0..Registry::MOST_COLUMNS {
        assert!(registry.storage::<u8>().is_ok());
    }
    assert!(matches!(registry.storage::<u8>(), Err(RegisterError::TooMany { most: 32, .. })));
}
