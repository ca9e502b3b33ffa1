//! Shared objects for tests: examples and small sources, compiled here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Was this program built with the address sanitizer? Plugins then are, too.
const SANITIZED: bool = cfg!(feature = "sanitized");

/// What every small source begins with.
pub(crate) const HEAD: &str = r#"
#include "portcullis_plugin.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define UNUSED __attribute__((unused))
static const PortcullisHost *host UNUSED;
int32_t portcullis_plugin_register(const PortcullisHost *given UNUSED, const PortcullisSetup *setup UNUSED,
                                   PortcullisPlugin *plugin UNUSED)
"#;

/// A plugin of this name whose entry does `body`.
pub(crate) fn source(name: &str, before: &str, body: &str) -> String {
    let split = HEAD.find("int32_t").unwrap();
    let (includes, entry) = HEAD.split_at(split);
    format!(
        "{includes}{before}\nPORTCULLIS_PLUGIN(\"{name}\", \"1.0\");\n{entry}{{ host = given;\n{body}\nreturn PORTCULLIS_OK; }}\n"
    )
}

pub(crate) fn crate_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Compiles a source in C to a shared object in `folder`.
pub(crate) fn compile(folder: &Path, name: &str, source: &str) -> PathBuf {
    let file = folder.join(format!("{name}.c"));
    fs::write(&file, source).unwrap();
    compile_file(folder, &file)
}

/// Compiles an example in C.
pub(crate) fn example(folder: &Path, name: &str) -> PathBuf {
    compile_file(folder, &crate_folder().join("examples").join(name).with_extension("c"))
}

fn compile_file(folder: &Path, source: &Path) -> PathBuf {
    let stem = folder.join(source.file_stem().unwrap());
    let (object, shared) = (stem.with_extension("o"), stem.with_extension("so"));
    let mut compiler = Command::new("cc");
    compiler.args(["-c", "-fPIC", "-g", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"]);
    compiler.arg(crate_folder().join("include")).arg("-o").arg(&object).arg(source);
    if SANITIZED {
        compiler.args(["-fsanitize=address", "-fno-omit-frame-pointer"]);
    }
    succeed(&mut compiler);
    // Linked without the sanitizer: its functions are those of the program that loads the plugin.
    succeed(Command::new("cc").args(["-shared", "-o"]).arg(&shared).arg(&object));
    shared
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The example in Rust, which cargo builds beside the tests.
pub(crate) fn rust_example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().unwrap().parent().unwrap().join("examples");
    folder.join(format!("lib{name}.so"))
}
