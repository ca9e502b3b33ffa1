//! Median and range: what is left of repeated measurements.

use std::fmt;

/// The median of some numbers, and how far they lie apart.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// The least of them.
    pub least: f64,
    /// Half of them are below.
    pub median: f64,
    /// The most.
    pub most: f64,
}

impl Spread {
    /// Of no numbers at all, everything is zero.
    #[must_use]
    pub fn of(numbers: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = numbers.collect();
        sorted.sort_by(f64::total_cmp);
        let at = |place: usize| sorted.get(place).copied().unwrap_or(0.0);
        let last = sorted.len().saturating_sub(1);
        Self { least: at(0), median: f64::midpoint(at(last / 2), at(last.div_ceil(2))), most: at(last) }
    }

    /// In another unit.
    #[must_use]
    pub fn scaled(self, by: f64) -> Self {
        Self { least: self.least * by, median: self.median * by, most: self.most * by }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { least, median, most } = self;
        let places = f.precision().unwrap_or(3);
        write!(f, "{median:.places$} ({least:.places$} to {most:.places$})")
    }
}
