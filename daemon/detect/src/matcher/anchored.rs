//! Short patterns that can stand at few places: those places are looked at, instead of the whole payload.

use hashbrown::HashMap;

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
        let patterns = found.into_iter().map(|(key, numbers)| (key, numbers.into())).collect();
        Self { places: places.into(), patterns }
    }

    pub(super) fn memory(&self) -> usize {
        self.places.len() * size_of::<Place>() + self.patterns.capacity() * 40
    }

    /// Has `found` take the patterns whose folded bytes stand at one of their places.
    pub(super) fn search(&self, payload: &[u8], mut found: impl FnMut(u32)) {
        for &(offset, length) in &self.places {
            let start = offset as usize;
            let Some(bytes) = payload.get(start..start + usize::from(length)) else { continue };
            if let Some(numbers) = self.patterns.get(&((offset, length), folded(bytes))) {
                numbers.iter().for_each(|number| found(*number));
            }
        }
    }
}

fn folded(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |folded, byte| folded << 8 | u32::from(byte | 0x20))
}
