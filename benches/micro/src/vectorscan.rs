//! As much of Vectorscan as a comparison needs, from the system's library (Debian's libvectorscan-dev).

use anyhow::{Result, ensure};
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_ulonglong, c_void};
use std::ptr::{null, null_mut};

/// `HS_FLAG_CASELESS | HS_FLAG_SINGLEMATCH`: each pattern once, as rules need it.
const FLAGS: c_uint = 1 | 8;

/// `HS_MODE_BLOCK`
const BLOCK: c_uint = 1;

type Handler = extern "C" fn(c_uint, c_ulonglong, c_ulonglong, c_uint, *mut c_void) -> c_int;

/// `hs_compile_error_t`
#[repr(C)]
struct CompileError {
    message: *const c_char,
    expression: c_int,
}

#[link(name = "hs")]
unsafe extern "C" {
    fn hs_compile_multi(
        expressions: *const *const c_char,
        flags: *const c_uint,
        ids: *const c_uint,
        elements: c_uint,
        mode: c_uint,
        platform: *const c_void,
        database: *mut *mut c_void,
        error: *mut *mut CompileError,
    ) -> c_int;
    fn hs_free_compile_error(error: *mut CompileError) -> c_int;
    fn hs_database_size(database: *const c_void, size: *mut usize) -> c_int;
    fn hs_alloc_scratch(database: *const c_void, scratch: *mut *mut c_void) -> c_int;
    fn hs_scan(
        database: *const c_void,
        data: *const c_char,
        length: c_uint,
        flags: c_uint,
        scratch: *mut c_void,
        handler: Handler,
        context: *mut c_void,
    ) -> c_int;
    fn hs_free_scratch(scratch: *mut c_void) -> c_int;
    fn hs_free_database(database: *mut c_void) -> c_int;
}

/// Patterns, compiled.
#[derive(Debug)]
pub struct Database {
    database: *mut c_void,
    scratch: *mut c_void,
}

impl Database {
    /// Compiles literals, to be found whatever their case.
    ///
    /// # Errors
    /// The library refuses them.
    pub fn new(patterns: &[Vec<u8>]) -> Result<Self> {
        // As expressions: the interface for literals takes none that begins with a zero.
        let expression = |pattern: &Vec<u8>| {
            let digits: String = pattern.iter().map(|byte| format!("\\x{byte:02x}")).collect();
            CString::new(digits)
        };
        let texts: Vec<CString> = patterns.iter().map(expression).collect::<Result<_, _>>()?;
        let expressions: Vec<*const c_char> = texts.iter().map(|text| text.as_ptr()).collect();
        let flags = vec![FLAGS; patterns.len()];
        let elements = c_uint::try_from(patterns.len())?;
        let ids: Vec<c_uint> = (0..elements).collect();
        let mut made = Self { database: null_mut(), scratch: null_mut() };
        let mut error: *mut CompileError = null_mut();
        // SAFETY: the arrays have `elements` entries each, the expressions end in zeros, and all of them live
        // until the call returns; a null platform stands for this machine.
        let status = unsafe {
            hs_compile_multi(
                expressions.as_ptr(),
                flags.as_ptr(),
                ids.as_ptr(),
                elements,
                BLOCK,
                null(),
                &raw mut made.database,
                &raw mut error,
            )
        };
        ensure!(status == 0, "vectorscan compiles nothing: {}", told(error));
        // SAFETY: the database was just compiled, and a null scratch asks for a new one.
        let status = unsafe { hs_alloc_scratch(made.database, &raw mut made.scratch) };
        ensure!(status == 0, "vectorscan gives no scratch: status {status}");
        Ok(made)
    }

    /// Bytes that the compiled patterns take.
    #[must_use]
    pub fn size(&self) -> usize {
        let mut size = 0;
        // SAFETY: the database lives as long as `self`.
        let status = unsafe { hs_database_size(self.database, &raw mut size) };
        if status == 0 { size } else { 0 }
    }

    /// How many patterns the payload holds.
    pub fn count(&mut self, payload: &[u8]) -> usize {
        let mut found = 0_usize;
        let length = c_uint::try_from(payload.len()).unwrap_or(c_uint::MAX);
        // SAFETY: database and scratch live as long as `self`, which nobody else uses meanwhile; the payload has
        // `length` bytes; the context is the counter that the handler expects.
        let status = unsafe {
            hs_scan(
                self.database,
                payload.as_ptr().cast(),
                length,
                0,
                self.scratch,
                count,
                (&raw mut found).cast(),
            )
        };
        if status == 0 { found } else { 0 }
    }
}

/// What the library says, and frees the error.
fn told(error: *mut CompileError) -> String {
    // SAFETY: null or an error that the library made and nobody freed.
    let Some(known) = (unsafe { error.as_ref() }) else { return "no reason is given".to_owned() };
    // SAFETY: the message of an error is a string with its zero.
    let message = unsafe { CStr::from_ptr(known.message) };
    let text = format!("{} (pattern {})", message.to_string_lossy(), known.expression);
    // SAFETY: the error is the library's, and not used any more.
    unsafe { hs_free_compile_error(error) };
    text
}

extern "C" fn count(_: c_uint, _: c_ulonglong, _: c_ulonglong, _: c_uint, context: *mut c_void) -> c_int {
    let found = context.cast::<usize>();
    // SAFETY: the context is the counter of `Database::count`, which nobody else touches during the scan.
    unsafe { *found += 1 };
    0
}

impl Drop for Database {
    fn drop(&mut self) {
        // SAFETY: made by `new` and freed nowhere else; null is taken, too.
        unsafe { hs_free_scratch(self.scratch) };
        // SAFETY: as above.
        unsafe { hs_free_database(self.database) };
    }
}
