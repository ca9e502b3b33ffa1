//! The gate in front of tests that need privileges.

/// Whether this process runs as root.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Ends a test that needs root and does not have it.
///
/// # Panics
///
/// When the process is not root: a test that is skipped proves nothing, so it fails, and says how
/// to run it.
pub fn require_root() {
    assert!(
        is_root(),
        "this test makes network namespaces and needs root: run `scripts/test`, or set \
         CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER='sudo -E' for cargo test"
    );
}
