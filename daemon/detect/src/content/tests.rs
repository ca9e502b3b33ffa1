use proptest::prelude::*;

use super::*;

fn matches(specs: &[Spec], payload: &[u8], work: u32) -> Result<bool, Unsure> {
    let lower = payload.to_ascii_lowercase();
    let items: Vec<_> = specs.iter().cloned().map(Item::Content).collect();
    let contents = Contents::compile(items);
    let short =
        contents.matches(Haystack { bytes: payload, lower: None }, &mut Work { left: 100_000, memory: None });
    let found = contents
        .matches(Haystack { bytes: payload, lower: Some(&lower) }, &mut Work { left: work, memory: None });
    assert!(found.is_err() || short.is_err() || found == short, "with and without a copy in lower case");
    found
}

const ZERO: Option<Amount> = Some(Amount::Fixed(0));

fn fixed(amount: Option<Amount>) -> Option<i64> {
    amount.map(|amount| amount.value(&[0; VARIABLES_MAX]))
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
            (previous as i64 + fixed(spec.distance).unwrap_or(0), fixed(spec.within))
        } else {
            (fixed(spec.offset).unwrap_or(0), fixed(spec.depth))
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
    let placed = (prop::option::of(0_i64..8), prop::option::of(1_i64..8)).prop_map(|(offset, depth)| Spec {
        offset: offset.map(Amount::Fixed),
        depth: depth.map(Amount::Fixed),
        ..Spec::default()
    });
    let relative =
        (prop::option::of(-4_i64..5), prop::option::of(1_i64..6)).prop_map(|(distance, within)| Spec {
            distance: distance.or_else(|| within.is_none().then_some(0)).map(Amount::Fixed),
            within: within.map(Amount::Fixed),
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
    let step =
        Spec { bytes: b"a".to_vec(), distance: ZERO, within: Some(Amount::Fixed(40)), ..Spec::default() };
    let mut specs = vec![step; 12];
    specs.push(Spec {
        bytes: b"b".to_vec(),
        distance: ZERO,
        within: Some(Amount::Fixed(1)),
        ..Spec::default()
    });
    assert_eq!(matches(&specs, &[b'a'; 400], 100_000), Err(Unsure::Work));
}
