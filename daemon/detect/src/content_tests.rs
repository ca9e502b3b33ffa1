use proptest::prelude::*;

use super::*;

fn matches(specs: &[Spec], payload: &[u8], work: u32) -> Result<bool, Exhausted> {
    let lower = payload.to_ascii_lowercase();
    Contents::compile(specs).matches(Haystack { bytes: payload, lower: &lower }, &mut Work(work))
}

/// The same by the definition: try every place of every content in turn.
fn model(specs: &[Spec], payload: &[u8], previous: usize) -> bool {
    let Some((spec, rest)) = specs.split_first() else { return true };
    let places = places(spec, payload, previous);
    if spec.negated {
        return places.is_empty() && model(rest, payload, previous);
    }
    places.into_iter().any(|at| model(rest, payload, at + spec.bytes.len()))
}

fn places(spec: &Spec, payload: &[u8], previous: usize) -> Vec<usize> {
    let fits = |&at: &usize| {
        let end = at + spec.bytes.len();
        let found = &payload[at..end];
        let same = if spec.nocase { found.eq_ignore_ascii_case(&spec.bytes) } else { found == spec.bytes };
        let (low, limit) = if spec.is_relative() {
            (previous as i64 + i64::from(spec.distance.unwrap_or(0)), spec.within.map(i64::from))
        } else {
            (i64::from(spec.offset.unwrap_or(0)), spec.depth.map(i64::from))
        };
        same && at as i64 >= low
            && limit.is_none_or(|limit| end as i64 <= low + limit)
            && (!spec.endswith || end == payload.len())
    };
    (0..=payload.len().saturating_sub(spec.bytes.len()))
        .filter(|at| at + spec.bytes.len() <= payload.len())
        .filter(fits)
        .collect()
}

fn letters(least: usize, most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(b"abAB".to_vec()), least..=most)
}

fn specs() -> impl Strategy<Value = Vec<Spec>> {
    let placed = (prop::option::of(0_u16..8), prop::option::of(1_u16..8)).prop_map(|(offset, depth)| Spec {
        offset,
        depth,
        ..Spec::default()
    });
    let relative =
        (prop::option::of(-4_i32..5), prop::option::of(1_i32..6)).prop_map(|(distance, within)| Spec {
            distance: distance.or_else(|| within.is_none().then_some(0)),
            within,
            ..Spec::default()
        });
    let one = (prop_oneof![placed, relative], letters(1, 3), any::<[bool; 3]>(), 0..6).prop_map(
        |(spec, bytes, [negated, nocase, _], ends)| Spec {
            bytes,
            negated,
            nocase,
            endswith: ends == 0,
            ..spec
        },
    );
    prop::collection::vec(one, 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn chains_match_what_the_definition_matches(specs in specs(), payload in letters(0, 16)) {
        prop_assert_eq!(matches(&specs, &payload, u32::MAX), Ok(model(&specs, &payload, 0)));
    }

    #[test]
    fn a_bound_on_work_never_changes_an_answer(specs in specs(), payload in letters(0, 16), work in 0_u32..20) {
        if let Ok(answer) = matches(&specs, &payload, work) {
            prop_assert_eq!(answer, model(&specs, &payload, 0));
        }
    }
}

#[test]
fn a_chain_that_cannot_match_is_cut_short_by_the_bound() {
    let step = Spec { bytes: b"a".to_vec(), distance: Some(0), within: Some(40), ..Spec::default() };
    let mut specs = vec![step; 12];
    specs.push(Spec { bytes: b"b".to_vec(), distance: Some(0), within: Some(1), ..Spec::default() });
    assert_eq!(matches(&specs, &[b'a'; 400], 100_000), Err(Exhausted));
}
