//! Any bytes as a rule file: it is loaded or refused with places within it, and never panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_detect::{LoadOptions, RuleSet, Source};

fuzz_target!(|text: &[u8]| {
    let loaded = RuleSet::load(&[Source { name: "fuzz", text }], &LoadOptions::default());
    let lines = text.split(|byte| *byte == b'\n').count();
    for error in &loaded.errors {
        assert!((1..=lines).contains(&error.line), "{error}");
        assert!(error.column >= 1 && error.column <= error.text.len() + 1, "{error}");
        assert!(error.column - 1 + error.length <= error.text.len(), "{error}");
    }
});
