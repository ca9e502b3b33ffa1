//! Catches what libbpf would print, so that it becomes part of the error instead.

use libbpf_rs::{PrintLevel, set_print};
use std::cell::RefCell;
use std::sync::Once;

/// Most lines kept of one attempt; a verifier log is at its most telling at the end.
const MAX_LINES: usize = 200;

thread_local! {
    // libbpf calls back on the thread that called it, so concurrent loads do not mix.
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// From now on libbpf's messages are kept, not printed. The process's one callback is set once.
pub(crate) fn capture() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        set_print(Some((PrintLevel::Info, keep)));
    });
    LINES.with_borrow_mut(Vec::clear);
}

/// What libbpf said on this thread since [`capture`].
pub(crate) fn taken() -> Vec<String> {
    LINES.with_borrow_mut(std::mem::take)
}

fn keep(_level: PrintLevel, message: String) {
    LINES.with_borrow_mut(|lines| {
        lines.extend(message.lines().map(|line| line.trim_end().to_owned()).filter(|line| !line.is_empty()));
        let excess = lines.len().saturating_sub(MAX_LINES);
        lines.drain(..excess);
    });
}
