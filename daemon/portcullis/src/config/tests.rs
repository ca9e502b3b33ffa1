//! The configuration as a whole: defaults, overrides, and every message in full.

use super::*;

#[test]
fn show() {
    let sources = Sources {
        path: Some("/x/t.toml".into()),
        text: std::fs::read_to_string("/tmp/t1.toml").unwrap(),
        overrides: vec!["flow.memcap=1".into(), "a..b=2".into(), "x".into(), "stream.midstrem=yes".into()],
    };
    let e = parse(sources, Inline::ByCopyMode).unwrap_err();
    println!("{e}");
}
