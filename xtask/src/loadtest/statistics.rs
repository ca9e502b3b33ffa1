//! What is left of repeated measurements, and in which order they are made.

use serde::{Deserialize, Serialize};

/// The median of some numbers, and how far they lie apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    /// The least of them.
    pub(crate) least: f64,
    /// Half of them are below.
    pub(crate) median: f64,
    /// The most.
    pub(crate) most: f64,
    /// How many there are.
    pub(crate) count: usize,
}

impl Spread {
    /// Nothing is left of no numbers at all, or where one is not a number.
    pub(crate) fn of(numbers: &[f64]) -> Option<Self> {
        if numbers.iter().any(|number| number.is_nan()) {
            return None;
        }
        let mut sorted = numbers.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        let last = sorted.len() - 1;
        let median = f64::midpoint(*sorted.get(last / 2)?, *sorted.get(last.div_ceil(2))?);
        Some(Self { least, median, most, count: sorted.len() })
    }
}

/// The order of a round's runs: each round begins with another of them, so that none is always the first after a
/// pause or always follows the same one, and whatever the machine does meanwhile hits all alike.
pub(crate) fn order<T: Copy>(all: &[T], round: usize) -> Vec<T> {
    let mut order = all.to_vec();
    if !order.is_empty() {
        let first = round % order.len();
        order.rotate_left(first);
    }
    // Every second round goes backwards, so that neighbours change sides, too.
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(numbers: &[f64], least: f64, median: f64, most: f64) {
        let expected = Some(Spread { least, median, most, count: numbers.len() });
        assert_eq!(Spread::of(numbers), expected, "{numbers:?}");
    }

    #[test]
    fn medians_and_ranges() {
        check(&[3.0], 3.0, 3.0, 3.0);
        check(&[3.0, 1.0], 1.0, 2.0, 3.0);
        check(&[9.0, -1.0, 4.0], -1.0, 4.0, 9.0);
        check(&[1.0, 100.0, 2.0, 3.0], 1.0, 2.5, 100.0);
        assert_eq!(Spread::of(&[]), None);
        assert_eq!(Spread::of(&[1.0, f64::NAN]), None);
    }

    #[test]
    fn rounds_begin_with_each_in_turn() {
        assert_eq!(order(&[1, 2, 3], 0), [1, 2, 3]);
        assert_eq!(order(&[1, 2, 3], 1), [1, 3, 2]);
        assert_eq!(order(&[1, 2, 3], 2), [3, 1, 2]);
        assert_eq!(order(&[1, 2, 3], 3), [3, 2, 1]);
        assert!(order::<u8>(&[], 7).is_empty());
    }

    proptest! {
        #[test]
        fn half_of_the_numbers_are_on_either_side(numbers in prop::collection::vec(-1e9..1e9, 1..40)) {
            let spread = Spread::of(&numbers).unwrap();
            let below = numbers.iter().filter(|number| **number < spread.median).count();
            let above = numbers.iter().filter(|number| **number > spread.median).count();
            prop_assert!(below <= numbers.len() / 2 && above <= numbers.len() / 2);
            prop_assert!(spread.least <= spread.median && spread.median <= spread.most);
        }

        #[test]
        fn every_round_has_all_of_them_once(count in 0_usize..12, round in 0_usize..40) {
            let all: Vec<usize> = (0..count).collect();
            let mut order = order(&all, round);
            order.sort_unstable();
            prop_assert_eq!(order, all);
        }
    }
}
