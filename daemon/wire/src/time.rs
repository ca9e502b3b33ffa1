//! The one notion of time. Whoever needs it gets it as an argument; nothing below the packet
//! modules reads a clock.

use std::time::Duration;

/// Nanoseconds since the Unix epoch; good until the year 2554.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The epoch itself: "no time yet".
    pub const ZERO: Self = Self(0);
    /// A time that never comes, for waits without end.
    pub const NEVER: Self = Self(u64::MAX);

    /// The time `nanos` nanoseconds after the epoch.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The time `micros` microseconds after the epoch, or [`NEVER`](Self::NEVER) where that overflows.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros.saturating_mul(1_000))
    }

    /// The time `secs` seconds after the epoch, or [`NEVER`](Self::NEVER) where that overflows.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds since the epoch.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// Microseconds within the second, 0 to 999,999.
    #[must_use]
    pub const fn subsec_micros(self) -> u32 {
        // Below one million by the remainder, so the cast loses nothing.
        (self.0 % 1_000_000_000 / 1_000) as u32
    }

    /// This time and `delay` more, at most [`NEVER`](Self::NEVER).
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        let nanos = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }

    /// How long after `earlier` this is; zero where it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}
