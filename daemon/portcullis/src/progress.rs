//! A progress bar for work that takes long, for people: it appears only on a terminal and after a
//! second.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

/// How long work must take to be worth a bar.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often a bar is drawn anew, in Hertz.
const REFRESH: u8 = 5;

/// Work on a known number of bytes, or an unknown one.
#[derive(Debug)]
pub struct Progress {
    started: Instant,
    total: u64,
    bar: Option<ProgressBar>,
    visible: bool,
}

impl Progress {
    /// Work on `total` bytes begins; 0 where nobody knows how many there are.
    #[must_use]
    pub fn new(total: u64) -> Self {
        Self { started: Instant::now(), total, bar: None, visible: std::io::stderr().is_terminal() }
    }

    /// So many bytes are done.
    pub fn set(&mut self, done: u64) {
        if !self.visible || self.started.elapsed() < PATIENCE {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| bar(self.total));
        bar.set_position(done);
    }

    /// The work is over; the bar goes.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(total: u64) -> ProgressBar {
    let target = ProgressDrawTarget::stderr_with_hz(REFRESH);
    let (length, template) = match total {
        0 => (None, "{spinner} {decimal_bytes} read, {decimal_bytes_per_sec}"),
        _ => (
            Some(total),
            "{wide_bar} {percent}% of {decimal_total_bytes}, {decimal_bytes_per_sec}, {eta} left",
        ),
    };
    let bar = ProgressBar::with_draw_target(length, target);
    // The templates are constants; one that indicatif could not read would show as its own default.
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_drawn_before_its_time() {
        let mut progress = Progress { visible: true, ..Progress::new(100) };
        progress.set(50);
        assert!(progress.bar.is_none());
        progress.started -= PATIENCE;
        progress.set(60);
        let bar = progress.bar.clone().unwrap();
        assert_eq!((bar.position(), bar.length()), (60, Some(100)));
        progress.finish();
        assert!(bar.is_finished());
    }

    #[test]
    fn nothing_is_drawn_where_nobody_looks() {
        let mut progress = Progress { visible: false, ..Progress::new(100) };
        progress.started -= PATIENCE;
        progress.set(60);
        assert!(progress.bar.is_none());
    }
}
