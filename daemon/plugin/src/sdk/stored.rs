//! Typed values in the bytes beside a flow.

use std::any::TypeId;
use std::ffi::c_void;
use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Names a value beside each flow. From [`Setup::storage`](super::Setup::storage).
pub struct StorageId<T> {
    pub(super) number: u32,
    value: PhantomData<fn() -> T>,
}

impl<T> StorageId<T> {
    pub(super) const fn new(number: u32) -> Self {
        Self { number, value: PhantomData }
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
        f.debug_tuple("StorageId").field(&self.number).finish()
    }
}

/// The bytes of a value: all zero where there is none.
#[repr(C)]
pub(super) struct Place<T> {
    /// 1 where there is a value, else 0.
    there: u64,
    value: MaybeUninit<T>,
}

impl<T: Send + 'static> Place<T> {
    /// The size, checked when the plugin is compiled.
    pub(super) const BYTES: u32 = {
        assert!(align_of::<Self>() == 8, "bytes beside a flow are aligned to 8");
        assert!(
            size_of::<Self>() <= crate::abi::STORAGE_MOST as usize,
            "box it: too many bytes beside a flow"
        );
        crate::abi::size_of_table::<Self>()
    };

    pub(super) fn kind() -> TypeId {
        TypeId::of::<T>()
    }

    /// The place in these bytes; `None` for NULL.
    ///
    /// # Safety
    /// The bytes are NULL or a storage that was asked for as one of this type: zero at first, changed as such
    /// a place only, and nobody else refers to them while this does.
    pub(super) unsafe fn at<'f>(bytes: *mut c_void) -> Option<&'f mut Self> {
        // SAFETY: as the caller promises: aligned to 8, large enough, and valid also when all are zero.
        unsafe { bytes.cast::<Self>().as_mut() }
    }

    pub(super) fn get(&self) -> Option<&T> {
        // SAFETY: a value is there.
        (self.there != 0).then(|| unsafe { self.value.assume_init_ref() })
    }

    pub(super) fn get_mut(&mut self) -> Option<&mut T> {
        // SAFETY: a value is there.
        (self.there != 0).then(|| unsafe { self.value.assume_init_mut() })
    }

    pub(super) fn take(&mut self) -> Option<T> {
        let there = std::mem::take(&mut self.there) != 0;
        // SAFETY: a value was there, and is no longer said to be.
        there.then(|| unsafe { self.value.assume_init_read() })
    }

    pub(super) fn replace(&mut self, value: T) -> Option<T> {
        let old = self.take();
        self.value.write(value);
        self.there = 1;
        old
    }

    /// Drops what is in the bytes. A value that panics at that is forgotten: its flow is gone already.
    pub(super) unsafe extern "C" fn free(bytes: *mut c_void) {
        // SAFETY: the host frees each storage with the function it was asked for with.
        if let Some(place) = unsafe { Self::at(bytes) } {
            let _ = catch_unwind(AssertUnwindSafe(|| drop(place.take())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_value_is_dropped_once() {
        let value = Arc::new(5);
        let mut bytes = [0_u64; 2];
        assert_eq!(Place::<Arc<i32>>::BYTES, 16);
        // SAFETY: zeroed, aligned, as large as it must be.
        let place = unsafe { Place::<Arc<i32>>::at(bytes.as_mut_ptr().cast()) }.unwrap();
        assert!(place.get().is_none() && place.take().is_none());
        assert!(place.replace(Arc::clone(&value)).is_none());
        assert_eq!(place.replace(Arc::clone(&value)).as_deref(), Some(&5));
        assert_eq!((place.get().map(|value| **value), Arc::strong_count(&value)), (Some(5), 2));
        // SAFETY: the bytes of a place of this type.
        unsafe { Place::<Arc<i32>>::free(bytes.as_mut_ptr().cast()) };
        // SAFETY: the same, again.
        unsafe { Place::<Arc<i32>>::free(bytes.as_mut_ptr().cast()) };
        assert_eq!(Arc::strong_count(&value), 1);
    }
}
