//! Times as EVE prints them: in the local time zone, with its offset.

use crate::writer::pair;
use jiff::tz::{Offset, TimeZone};
use portcullis_wire::Timestamp;

/// Offsets are looked up once per quarter of an hour: no zone changes its offset within one.
const LOOKUP_SECS: u64 = 15 * 60;

/// `2026-11-21T09:57:47.426097+0000`
pub(crate) const STAMP_LENGTH: usize = 31;

/// A printed time, in ASCII.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp(pub(crate) [u8; STAMP_LENGTH]);

/// How many of the last seconds are kept printed: a record has up to three, and what is logged together
/// mostly happened together.
const KEPT: usize = 16;

/// Where the fraction of a second stands.
const MICROS: usize = 20;

/// A time as records show it, in the system's time zone. For single ones: it looks the zone up.
#[must_use]
pub fn printed(time: Timestamp) -> String {
    let Stamp(digits) = Clock::new(TimeZone::system()).stamp(time);
    digits.map(char::from).iter().collect()
}

/// Prints times in one time zone.
#[derive(Debug)]
pub(crate) struct Clock {
    zone: TimeZone,
    /// The quarter of an hour since the epoch that was looked up last, and its offset.
    cached: (u64, Offset),
    /// Seconds since the epoch, and how they are printed.
    seconds: [(u64, Stamp); KEPT],
}

impl Clock {
    pub(crate) fn new(zone: TimeZone) -> Self {
        let offset = zone.to_offset(jiff::Timestamp::UNIX_EPOCH);
        let nothing = (u64::MAX, Stamp([0; STAMP_LENGTH]));
        Self { zone, cached: (0, offset), seconds: [nothing; KEPT] }
    }

    pub(crate) fn stamp(&mut self, time: Timestamp) -> Stamp {
        let second = time.as_secs();
        let place = usize::try_from(second % KEPT as u64).unwrap_or(0);
        if self.seconds[place].0 != second {
            self.seconds[place] = (second, self.whole_second(time));
        }
        let mut stamp = self.seconds[place].1;
        let micros = time.subsec_micros();
        let pairs = [micros / 10_000, micros / 100 % 100, micros % 100].map(pair);
        if let Some(place) = stamp.0.get_mut(MICROS..MICROS + 6) {
            place.copy_from_slice(pairs.as_flattened());
        }
        stamp
    }

    /// A time without its fraction.
    fn whole_second(&mut self, time: Timestamp) -> Stamp {
        // Nanoseconds in 64 bits end in the year 2554, which is in range of a signed number of
        // seconds, of the calendar, and of four digits.
        let secs = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let moment = jiff::Timestamp::from_second(secs).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let offset = self.offset(time, moment);
        let local = offset.to_datetime(moment);

        let mut stamp = *b"0000-00-00T00:00:00.000000+0000";
        digits(&mut stamp, 0..4, u32::from(local.year().unsigned_abs()));
        digits(&mut stamp, 5..7, u32::from(local.month().unsigned_abs()));
        digits(&mut stamp, 8..10, u32::from(local.day().unsigned_abs()));
        digits(&mut stamp, 11..13, u32::from(local.hour().unsigned_abs()));
        digits(&mut stamp, 14..16, u32::from(local.minute().unsigned_abs()));
        digits(&mut stamp, 17..19, u32::from(local.second().unsigned_abs()));
        let minutes = offset.seconds().unsigned_abs() / 60;
        if offset.seconds() < 0 {
            stamp[26] = b'-';
        }
        digits(&mut stamp, 27..29, minutes / 60);
        digits(&mut stamp, 29..31, minutes % 60);
        Stamp(stamp)
    }

    fn offset(&mut self, time: Timestamp, moment: jiff::Timestamp) -> Offset {
        let quarter = time.as_secs() / LOOKUP_SECS;
        if self.cached.0 != quarter {
            self.cached = (quarter, self.zone.to_offset(moment));
        }
        self.cached.1
    }
}

/// Writes the last digits of `value` that fit into `place`.
fn digits(stamp: &mut [u8; STAMP_LENGTH], place: std::ops::Range<usize>, mut value: u32) {
    for digit in stamp.get_mut(place).unwrap_or_default().iter_mut().rev() {
        *digit = b"0123456789"[(value % 10) as usize];
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(clock: &mut Clock, micros: u64, expected: &str) {
        let Stamp(stamp) = clock.stamp(Timestamp::from_micros(micros));
        assert_eq!(std::str::from_utf8(&stamp), Ok(expected));
    }

    #[test]
    fn utc() {
        let mut clock = Clock::new(TimeZone::UTC);
        check(&mut clock, 0, "1970-01-01T00:00:00.000000+0000");
        check(&mut clock, 1_795_255_067_426_097, "2026-11-21T09:57:47.426097+0000");
        // In the same place of those kept, and one second twice.
        check(&mut clock, 1_795_255_067_426_097 + 16_000_000, "2026-11-21T09:58:03.426097+0000");
        check(&mut clock, 1_795_255_067_000_001, "2026-11-21T09:57:47.000001+0000");
        check(&mut clock, 1_795_255_067_999_999, "2026-11-21T09:57:47.999999+0000");
        check(&mut clock, u64::MAX / 1000, "2554-07-21T23:34:33.709551+0000");
    }

    #[test]
    fn the_offset_follows_the_zone_and_the_season() {
        let mut clock = Clock::new(TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap());
        check(&mut clock, 1_795_255_067_426_097, "2026-11-21T10:57:47.426097+0100");
        // 2026-10-25: at 01:00 UTC summer time ends.
        check(&mut clock, 1_792_889_999_999_999, "2026-10-25T02:59:59.999999+0200");
        check(&mut clock, 1_792_890_000_000_000, "2026-10-25T02:00:00.000000+0100");
        check(&mut clock, 1_792_889_999_000_000, "2026-10-25T02:59:59.000000+0200");
    }

    #[test]
    fn west_of_greenwich_and_broken_hours() {
        let mut clock = Clock::new(TimeZone::posix("NST3:30").unwrap());
        check(&mut clock, 1_795_255_067_000_000, "2026-11-21T06:27:47.000000-0330");
        let mut clock = Clock::new(TimeZone::posix("IST-5:30").unwrap());
        check(&mut clock, 1_795_255_067_000_000, "2026-11-21T15:27:47.000000+0530");
    }
}
