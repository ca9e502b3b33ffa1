//! Sets of numbers as sorted intervals: addresses and ports alike.

/// A number with a smallest and a largest value and neighbours.
pub(crate) trait Bound: Copy + Ord {
    const MIN: Self;
    const MAX: Self;
    /// The next larger number; `None` after the largest.
    fn next(self) -> Option<Self>;
    /// The next smaller number; `None` before the smallest.
    fn previous(self) -> Option<Self>;
}

macro_rules! bound {
    ($($number:ty),*) => {$(
        impl Bound for $number {
            const MIN: Self = <$number>::MIN;
            const MAX: Self = <$number>::MAX;
            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }
            fn previous(self) -> Option<Self> {
                self.checked_sub(1)
            }
        }
    )*};
}
bound!(u16, u32, u128);

/// A set of numbers; its intervals are sorted, disjoint and not adjacent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct IntervalSet<T> {
    spans: Vec<(T, T)>,
}

impl<T: Bound> IntervalSet<T> {
    pub(crate) const fn empty() -> Self {
        Self { spans: Vec::new() }
    }

    pub(crate) fn full() -> Self {
        Self { spans: vec![(T::MIN, T::MAX)] }
    }

    /// All numbers from `first` to `last`, both included; empty where `first` is the larger.
    pub(crate) fn span(first: T, last: T) -> Self {
        if first <= last { Self { spans: vec![(first, last)] } } else { Self::empty() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.spans == [(T::MIN, T::MAX)]
    }

    /// The intervals, ascending.
    pub(crate) fn spans(&self) -> &[(T, T)] {
        &self.spans
    }

    #[inline]
    pub(crate) fn contains(&self, number: T) -> bool {
        let after = self.spans.partition_point(|&(first, _)| first <= number);
        after.checked_sub(1).and_then(|index| self.spans.get(index)).is_some_and(|&(_, last)| number <= last)
    }

    pub(crate) fn union(mut self, other: &Self) -> Self {
        self.spans.extend_from_slice(&other.spans);
        self.spans.sort_unstable();
        let mut merged: Vec<(T, T)> = Vec::with_capacity(self.spans.len());
        for (first, last) in self.spans {
            match merged.last_mut() {
                Some(open) if open.1.next().is_none_or(|next| first <= next) => open.1 = open.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        Self { spans: merged }
    }

    /// What is in this set and not in `other`.
    pub(crate) fn minus(&self, other: &Self) -> Self {
        let mut left = Vec::new();
        let mut cuts = other.spans.iter().copied().peekable();
        for &(first, last) in &self.spans {
            let mut start = Some(first);
            while let Some(&(cut_first, cut_last)) = cuts.peek() {
                let Some(from) = start else { break };
                if cut_last < from {
                    cuts.next();
                    continue;
                }
                if cut_first > last {
                    break;
                }
                if let Some(end) = cut_first.previous().filter(|&end| end >= from) {
                    left.push((from, end));
                }
                start = cut_last.next().filter(|&next| next <= last);
                if start.is_some() {
                    cuts.next();
                }
            }
            if let Some(from) = start {
                left.push((from, last));
            }
        }
        Self { spans: left }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(spans: &[(u16, u16)]) -> IntervalSet<u16> {
        spans
            .iter()
            .fold(IntervalSet::empty(), |set, &(first, last)| set.union(&IntervalSet::span(first, last)))
    }

    #[test]
    fn the_ends_of_the_range_are_numbers_like_others() {
        let full = IntervalSet::<u16>::full();
        assert_eq!(full.minus(&set(&[(0, 0), (65_535, 65_535)])).spans(), [(1, 65_534)]);
        assert!(full.minus(&full).is_empty());
        assert!(set(&[(0, 99), (100, 65_535)]).is_full());
        assert!(IntervalSet::span(5_u16, 4).is_empty());
    }

    proptest! {
        #[test]
        fn union_minus_and_contains_agree_with_plain_sets(
            a in prop::collection::vec((0_u16..40, 0_u16..6), 0..6),
            b in prop::collection::vec((0_u16..40, 0_u16..6), 0..6),
        ) {
            let spans = |list: &[(u16, u16)]| list.iter().map(|&(at, len)| (at, at + len)).collect::<Vec<_>>();
            let within = |list: &[(u16, u16)], number| {
                spans(list).iter().any(|&(first, last)| (first..=last).contains(&number))
            };
            let (left, right) = (set(&spans(&a)), set(&spans(&b)));
            let (both, rest) = (left.clone().union(&right), left.minus(&right));
            for number in 0..50 {
                prop_assert_eq!(left.contains(number), within(&a, number));
                prop_assert_eq!(both.contains(number), within(&a, number) || within(&b, number));
                prop_assert_eq!(rest.contains(number), within(&a, number) && !within(&b, number));
            }
            for pair in both.spans().windows(2) {
                prop_assert!(pair[0].1 + 1 < pair[1].0, "not normal: {:?}", both.spans());
            }
        }
    }
}
