use proptest::prelude::*;

use super::*;

fn pattern(bytes: &[u8], place: Option<(u32, u32)>) -> FastPattern {
    FastPattern { bytes: bytes.to_ascii_lowercase(), place }
}

/// Collects what is found.
struct Found(Vec<u32>);

impl Search for Found {
    fn knows(&self, _: usize, pattern: u32) -> bool {
        self.0.contains(&pattern)
    }

    fn found(&mut self, _: usize, pattern: u32) {
        self.0.push(pattern);
    }
}

/// The patterns found, ascending.
fn find(patterns: &[FastPattern], payload: &[u8]) -> Vec<u32> {
    let matcher = Matcher::build(&patterns.iter().collect::<Vec<_>>());
    let mut found = Found(matcher.everywhere().to_vec());
    let mut comparisons = u32::MAX;
    search(&[&matcher], matcher.filter(), payload, &mut comparisons, &mut found).unwrap();
    found.0.sort_unstable();
    found.0.dedup();
    found.0
}

/// Does the pattern occur, by definition?
fn occurs(pattern: &FastPattern, payload: &[u8]) -> bool {
    let at = |(start, part): (usize, &[u8])| {
        let placed = pattern.place.is_none_or(|(first, last)| {
            pattern.bytes.len() > 4 || (first as usize..=last as usize).contains(&start)
        });
        placed && part.eq_ignore_ascii_case(&pattern.bytes)
    };
    payload.windows(pattern.bytes.len()).enumerate().any(at)
}

#[test]
fn patterns_are_found_wherever_they_stand() {
    for length in 2..12 {
        let needle: Vec<u8> = (0..length).map(|index| b'K' + index).collect();
        for start in 0..40 {
            for end in [0, 1, 5, 30] {
                let payload = [&vec![b'.'; start][..], &needle, &vec![b'.'; end]].concat();
                assert_eq!(
                    find(&[pattern(&needle, None)], &payload),
                    [0],
                    "{length} at {start}, {end} behind"
                );
            }
        }
    }
}

#[test]
fn too_many_comparisons_are_refused() {
    let same: Vec<_> =
        (0..100_u8).map(|last| pattern(&[b"abcde", &[last, b'!'][..]].concat(), None)).collect();
    let matcher = Matcher::build(&same.iter().collect::<Vec<_>>());
    let found = |payload: &[u8], mut comparisons| {
        search(&[&matcher], matcher.filter(), payload, &mut comparisons, &mut Found(Vec::new()))
    };
    assert_eq!(found(&b"abcde".repeat(50), 500), Ok(()), "patterns alike are told apart by other windows");
    assert_eq!(found(&b"abcde\x05!".repeat(50), 3), Err(Dense));
}

#[test]
fn two_matchers_are_searched_at_once() {
    let (one, two) = (pattern(b"needle", None), pattern(b"pins", None));
    let matchers = [Matcher::build(&[&one]), Matcher::build(&[&two])];
    struct Both(Vec<(usize, u32)>);
    impl Search for Both {
        fn knows(&self, matcher: usize, pattern: u32) -> bool {
            self.0.contains(&(matcher, pattern))
        }
        fn found(&mut self, matcher: usize, pattern: u32) {
            self.0.push((matcher, pattern));
        }
    }
    let [first, second] = &matchers;
    let mut both = Both(Vec::new());
    let filter = first.joint_filter(second);
    search(&[first, second], &filter, b"needles and PINS and pins", &mut 100, &mut both).unwrap();
    assert_eq!(both.0, [(0, 0), (1, 0)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    #[test]
    fn what_occurs_is_found(
        patterns in prop::collection::vec(
            (prop::collection::vec(prop::sample::select(b"abAB\0\xff".to_vec()), 1..9), prop::option::of((0_u32..5, 0_u32..3))),
            1..20,
        ),
        payload in prop::collection::vec(prop::sample::select(b"abAB\0\xff".to_vec()), 0..60),
    ) {
        let patterns: Vec<_> = patterns
            .into_iter()
            .map(|(bytes, place)| pattern(&bytes, place.map(|(first, more)| (first, first + more))))
            .collect();
        let found = find(&patterns, &payload);
        for (number, pattern) in (0_u32..).zip(&patterns) {
            if occurs(pattern, &payload) {
                prop_assert!(found.contains(&number), "{pattern:?} in {payload:?}");
            } else if pattern.bytes.len() > 4 {
                prop_assert!(!found.contains(&number), "{pattern:?} in {payload:?}");
            }
        }
    }
}
