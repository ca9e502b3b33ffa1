//! Whatever is written, there is an answer and no panic, and every message can be shown.

use super::*;
use proptest::prelude::*;

const GOOD: &str = "copy-mode = \"ips\"\n[flow]\nmemcap = \"1mb\" # größer\n[[inline-set]]\npairs = [[\"a\", \"b\"]]\n\
    [vars.address-groups]\nX = [\"10.0.0.0/8\"]\n[outputs.eve-log]\ntypes = [\"alert\"]\n";

fn answer(text: &str, overrides: &[String]) {
    let sources =
        Sources { path: Some("x.toml".into()), text: text.to_owned(), overrides: overrides.to_vec() };
    let shown = match parse(sources, Inline::ByCopyMode) {
        Ok(loaded) => loaded.sources.render(&loaded.warnings, true),
        Err(error) => error.to_string(),
    };
    assert!(shown.ends_with('\n'));
}

proptest! {
    #[test]
    fn any_file(text in "(\\PC|[\n\t\r\"\\[\\]=.#é])*") {
        answer(&text, &[]);
    }

    #[test]
    fn any_damage_to_a_good_file(at in 0..GOOD.len(), cut in 0_usize..6, put in "(\\PC|[\n\"\\[=é]){0,3}") {
        let chars: Vec<char> = GOOD.chars().collect();
        let at = at.min(chars.len());
        let end = (at + cut).min(chars.len());
        let text: String = chars[..at].iter().copied().chain(put.chars()).chain(chars[end..].iter().copied()).collect();
        answer(&text, &[]);
    }

    #[test]
    fn any_override(text in "((flow|stream|vars|outputs|é)[.=]){0,3}\\PC*") {
        answer(GOOD, &[text]);
    }
}
