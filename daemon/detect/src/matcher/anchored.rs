//! Short patterns that can stand at few places: those places are looked at, instead of the whole payload.

use hashbrown::HashMap;

use super::Filter;
use crate::pattern::FastPattern;

/// Most places that are looked at; patterns at further ones are taken as found.
const PLACES_MAX: usize = 48;

/// A place: offset and number of bytes.
type Place = (u32, u8);

/// Short patterns by place.
#[derive(Debug, Default)]
pub(super) struct Anchored {
    places: Box<[Place]>,
    /// Patterns by place and folded bytes.
    patterns: HashMap<(Place, u32), Box<[u32]>>,
    /// What stands at which of the places, for nearly all payloads nothing.
    filter: Filter,
}

impl Anchored {
    /// Sorts patterns by place; those of too many places go to `everywhere`.
    pub(super) fn build(patterns: &[(u32, &FastPattern)], everywhere: &mut Vec<u32>) -> Self {
        let mut places: Vec<Place> = Vec::new();
        let mut found: HashMap<(Place, u32), Vec<u32>> = HashMap::new();
        for (number, pattern) in patterns {
            let length = u8::try_from(pattern.bytes.len()).unwrap_or(u8::MAX);
            let (first, last) = pattern.place.unwrap_or_default();
            let new = (first..=last).filter(|offset| !places.contains(&(*offset, length))).count();
            if places.len() + new > PLACES_MAX {
                everywhere.push(*number);
                continue;
            }
            for offset in first..=last {
                let place = (offset, length);
                if !places.contains(&place) {
                    places.push(place);
                }
                found.entry((place, folded(&pattern.bytes))).or_default().push(*number);
            }
        }
        places.sort_unstable();
        let key = |((place, folded), _): (&(Place, u32), &Vec<u32>)| {
            let number = places.iter().position(|other| other == place);
            number.map(|number| mixed(number, *folded))
        };
        let filter = Filter::build(&found.iter().filter_map(key).collect::<Vec<_>>());
        let patterns = found.into_iter().map(|(key, numbers)| (key, numbers.into())).collect();
        Self { places: places.into(), patterns, filter }
    }

    pub(super) fn memory(&self) -> usize {
        self.places.len() * size_of::<Place>() + self.patterns.capacity() * 40
    }

    /// Has `found` take the patterns whose folded bytes stand at one of their places.
    pub(super) fn search(&self, payload: &[u8], mut found: impl FnMut(u32)) {
        for (number, &(offset, length)) in self.places.iter().enumerate() {
            let start = offset as usize;
            let Some(bytes) = payload.get(start..start + usize::from(length)) else { continue };
            let folded = folded(bytes);
            if self.filter.may_hold(mixed(number, folded)) & 1 == 0 {
                continue;
            }
            if let Some(numbers) = self.patterns.get(&((offset, length), folded)) {
                numbers.iter().for_each(|number| found(*number));
            }
        }
    }
}

/// Bytes and the number of their place in one.
fn mixed(place: usize, folded: u32) -> u32 {
    u32::try_from(place).unwrap_or(0).wrapping_mul(0x0100_0193) ^ folded
}

fn folded(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |folded, byte| folded << 8 | u32::from(byte | 0x20))
}
