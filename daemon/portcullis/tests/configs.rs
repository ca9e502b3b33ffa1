//! Every file in `configs/` can be used as it is, and the reference file tells the truth.

#![expect(clippy::unwrap_used, reason = "a test's helper may fail the test")]

use portcullis::config::{Inline, Sources, parse};
use std::path::{Path, PathBuf};

fn configs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs")
}

fn read(path: &Path) -> Sources {
    let text = std::fs::read_to_string(path).unwrap();
    Sources { path: Some(path.to_owned()), text, overrides: Vec::new() }
}

#[test]
fn every_file_is_accepted_without_a_warning() {
    let mut seen = 0;
    for entry in std::fs::read_dir(configs()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let loaded = parse(read(&path), Inline::ByCopyMode).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(loaded.warnings, [], "{}", path.display());
            for file in &loaded.config.rules.files {
                assert!(file.is_file(), "{} names {}", path.display(), file.display());
            }
            seen += 1;
        }
    }
    assert!(seen >= 2);
}

/// Takes the `#` from the settings of the reference file: lines that start with `#` and a name.
fn uncomment(text: &str) -> (String, usize) {
    let mut settings = 0;
    let line = |line: &str| match line.strip_prefix('#') {
        Some(setting) if setting.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            settings += 1;
            format!("{setting}\n")
        }
        _ => format!("{line}\n"),
    };
    let text = text.lines().map(line).collect();
    (text, settings)
}

#[test]
fn the_reference_states_the_defaults() {
    let sources = read(&configs().join("portcullis.toml"));
    let as_is = parse(sources.clone(), Inline::ByCopyMode).unwrap().config;
    let defaults = parse(Sources::default(), Inline::ByCopyMode).unwrap().config;
    assert_eq!(as_is, defaults);

    let (text, settings) = uncomment(&sources.text);
    let stated =
        parse(Sources { text, ..sources }, Inline::ByCopyMode).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(stated.warnings, []);
    assert_eq!(stated.config, defaults);
    assert!(settings > 90, "{settings} settings are stated");
}
