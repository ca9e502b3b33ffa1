//! The C header is what the ABI's types say.

#![expect(clippy::unwrap_used, reason = "a test's helper may fail the test")]

use cbindgen::{Builder, Config};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Set to write the header anew instead of comparing it.
const WRITE: &str = "PORTCULLIS_WRITE_HEADER";

fn at(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn generated() -> String {
    let config = Config::from_file(at("cbindgen.toml")).unwrap();
    let sources = ["mod.rs", "host.rs", "words.rs"].map(|name| at("src/abi").join(name));
    let builder = sources.into_iter().fold(Builder::new().with_config(config), Builder::with_src);
    let mut text = Vec::new();
    builder.generate().unwrap().write(&mut text);
    // Types have their prefix from cbindgen, which spells that of constants in the same way.
    String::from_utf8(text).unwrap().replace("PortcullisPORTCULLIS_", "PORTCULLIS_")
}

#[test]
fn the_header_is_what_the_types_say() {
    let (path, expected) = (at("include/portcullis_plugin.h"), generated());
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, &expected).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "{} is out of date: run this test with {WRITE}=1", path.display());
}

/// Every layout that C sees is the one Rust has, in C and in C++.
#[test]
fn both_languages_agree_on_sizes() {
    use portcullis_plugin::abi;
    let sizes = [
        ("PortcullisHost", size_of::<abi::Host>()),
        ("PortcullisPlugin", size_of::<abi::Plugin>()),
        ("PortcullisDescriptor", size_of::<abi::Descriptor>()),
        ("PortcullisRemovalHook", size_of::<abi::RemovalHook>()),
        ("PortcullisStorage", size_of::<abi::Storage>()),
        ("PortcullisEndpoint", size_of::<abi::Endpoint>()),
        ("PortcullisCounts", size_of::<abi::Counts>()),
        ("PortcullisSpan", size_of::<abi::Span>()),
    ];
    let asserts = |word: &str| -> String {
        let line = |(name, size): &(&str, usize)| format!("{word}(sizeof({name}) == {size}, \"{name}\");\n");
        sizes.iter().map(line).collect()
    };
    let folder = tempfile::tempdir().unwrap();
    for (name, word, compiler) in [("a.c", "_Static_assert", "cc"), ("a.cpp", "static_assert", "c++")] {
        let source =
            format!("#include \"portcullis_plugin.h\"\nPORTCULLIS_PLUGIN(\"a\", \"1\");\n{}", asserts(word));
        fs::write(folder.path().join(name), source).unwrap();
        let mut command = Command::new(compiler);
        command.args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I"]);
        let output = command.arg(at("include")).arg(folder.path().join(name)).output();
        // A C++ compiler is not among what building needs.
        let Ok(output) = output else { continue };
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
