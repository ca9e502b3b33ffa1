//! Each way in which loading fails says what is wrong, and with which file.

use crate::built::{HEAD, compile, example, source};
use crate::rig::{load, registry, run, settings};
use portcullis_flow::{HookId, Registry};
use portcullis_plugin::{LoadError, PluginFile};
use std::fs;
use std::path::Path;

/// Loading the file fails with this message, after the file's name.
fn refused(path: &Path, expected: &str) {
    refused_beside(Registry::default(), path, expected);
}

fn refused_beside(mut registry: Registry, path: &Path, expected: &str) {
    let message = load(&mut registry, path, &[]).unwrap_err().to_string();
    let rest = message.strip_prefix(&path.display().to_string());
    assert!(rest.is_some_and(|rest| rest.contains(expected)), "{message}");
}

#[test]
fn files_that_are_no_plugins() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    refused(&at("gone.so"), ": No such file or directory");
    refused(folder.path(), ": is a directory");
    fs::write(at("text.so"), "hello, world").unwrap();
    refused(&at("text.so"), " is not a shared object");
    fs::write(at("empty.so"), "").unwrap();
    refused(&at("empty.so"), " is not a shared object");
    fs::write(at("cut.so"), b"\x7fELF\x02\x01").unwrap();
    refused(&at("cut.so"), " cannot be loaded: ");

    let needy = source("needy", "extern int nobody_has_this(void);", "return nobody_has_this();");
    refused(&compile(folder.path(), "needy", &needy), "undefined symbol: nobody_has_this");
    let plain = "int nothing(void);\nint nothing(void) { return 0; }\n";
    refused(&compile(folder.path(), "plain", plain), "it exports no portcullis_plugin_descriptor");
    let headless = "#include \"portcullis_plugin.h\"\nPORTCULLIS_PLUGIN(\"headless\", \"1\");\n";
    refused(&compile(folder.path(), "headless", headless), "it exports no portcullis_plugin_register");
}

/// A descriptor of these fields.
fn described(fields: &str) -> String {
    format!(
        "{HEAD} {{ abort(); }}\nconst PortcullisDescriptor portcullis_plugin_descriptor = {{ {fields} }};\n"
    )
}

#[test]
fn plugins_that_do_not_fit_are_never_called() {
    let folder = tempfile::tempdir().unwrap();
    let sizes = "sizeof(PortcullisHost), sizeof(PortcullisPlugin), 0";
    let check = |name: &str, fields: &str, expected: &str| {
        refused(&compile(folder.path(), name, &described(fields)), expected);
    };
    check(
        "newer",
        &format!("2, {sizes}, \"a\", \"1\""),
        " was built for version 2 of the plugin ABI; this program has version 1",
    );
    check("none", &format!("0, {sizes}, \"a\", \"1\""), "version 0 of the plugin ABI");
    check(
        "larger",
        "1, sizeof(PortcullisHost) + 8, sizeof(PortcullisPlugin), 0, \"a\", \"1\"",
        "does not fit",
    );
    check("smaller", "1, sizeof(PortcullisHost), 8, 0, \"a\", \"1\"", "a header that does not fit");
    check("nameless", &format!("1, {sizes}, NULL, NULL"), " calls itself \"\", which is no name");
    check("spaced", &format!("1, {sizes}, \"a b\", \"1\""), " calls itself \"a b\", which is no name");
}

#[test]
fn plugins_that_refuse() {
    let folder = tempfile::tempdir().unwrap();
    let check = |name: &str, body: &str, expected: &str| {
        refused(&compile(folder.path(), name, &source(name, "", body)), expected);
    };
    check(
        "wordy",
        "strcpy(plugin->error, \"the moon is full\"); return 7;",
        ": plugin wordy refuses to start (7): the moon is full",
    );
    check("mute", "return PORTCULLIS_FAILED;", "plugin mute refuses to start (1): it does not say why");
    // Without the NUL at its end.
    check("long", "memset(plugin->error, 'x', sizeof(plugin->error)); return 1;", &"x".repeat(256));
    refused(&example(folder.path(), "byte_counter"), "refuses to start (1): the setting path is missing");
}

#[test]
fn plugins_that_ask_for_too_much() {
    let folder = tempfile::tempdir().unwrap();
    let compile =
        |name: &str, before: &str, body: &str| compile(folder.path(), name, &source(name, before, body));
    let storage =
        |bytes: &str| format!("static const PortcullisStorage storages[] = {{{{ {bytes}, 0, NULL }}}};");
    let ask = "plugin->storages = storages; plugin->storage_count = 1;";
    let greedy = compile("greedy", &storage("PORTCULLIS_STORAGE_MOST + 1"), ask);
    refused(&greedy, "storage 0 asks for 1025 bytes beside each flow; 1 to 1024 can be had");
    refused(&compile("modest", &storage("0"), ask), "storage 0 asks for 0 bytes");
    refused(&compile("absent", "", "plugin->storage_count = 1;"), "it has storages, but no array of them");
    refused(&compile("hookless", "", "plugin->removal_hook_count = 3;"), "removal hooks, but no array");

    let hook = |name: &str, function: &str| {
        format!(
            "static int32_t f(void *w UNUSED, PortcullisFlow *flow UNUSED, uint32_t hook UNUSED) {{ return 0; }}\n\
             static const PortcullisRemovalHook hooks[] = {{{{ {name}, {function} }}, {{ \"b\", f }}}};"
        )
    };
    let both = "plugin->removal_hooks = hooks; plugin->removal_hook_count = 2;";
    refused(&compile("unnamed", &hook("NULL", "f"), both), "removal hook 0 has no good name");
    refused(&compile("empty", &hook("\"a\"", "NULL"), both), "removal hook a has no function");
    refused(&compile("twice", &hook("\"b\"", "f"), both), "\"twice/b\" are registered already");

    let mut crowded = Registry::default();
    for number in 1..HookId::MOST {
        crowded.removal_hook(&number.to_string(), Box::new(|_| unreachable!())).unwrap();
    }
    let fine = compile("fine", &hook("\"a\"", "f"), both);
    refused_beside(crowded, &fine, "\"fine/b\" cannot be registered: there are 15 of its kind already");
    let mut full = Registry::default();
    let columns: Result<Vec<_>, _> = (0..Registry::MOST_COLUMNS).map(|_| full.storage::<u8>()).collect();
    assert!(columns.is_ok());
    let stored = compile("stored", &storage("8"), ask);
    refused_beside(full, &stored, "there are 32 of its kind already");
}

#[test]
fn two_of_a_name_and_one_too_late() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = compile(folder.path(), "one", &source("one", "", ""));
    refused_beside(
        registry(&plugin, &[]),
        &plugin,
        "plugin one: flow callbacks \"one\" are registered already",
    );
    let mut started = Registry::default();
    started.freeze();
    refused_beside(started, &plugin, "the workers have started");
    // It has no functions at all, and disturbs nobody.
    assert_eq!(run(registry(&plugin, &[]), Vec::new(), 2).hooks.len(), 1);
}

#[test]
fn settings_are_passed_on_and_unknown_ones_known() {
    let folder = tempfile::tempdir().unwrap();
    let body = "const char *depth = host->setting(setup, \"depth\");
        if (depth == NULL || strcmp(depth, \"7 m\") != 0 || host->setting(setup, \"none\") != NULL
            || host->setting(setup, NULL) != NULL || host->size != sizeof(PortcullisHost))
            { return PORTCULLIS_FAILED; }";
    let path = compile(folder.path(), "diver", &source("diver", "", body));
    let open = || PluginFile::open(&path).unwrap();
    assert_eq!((open().name(), open().version()), ("diver", "1.0"));
    let loaded = open().start(&settings(&[("depth", "7 m"), ("dpeth", "8")])).unwrap();
    assert_eq!(loaded.unknown_settings(), ["dpeth"]);
    let refused = open().start(&settings(&[("depth", "8 m")])).unwrap_err();
    assert!(matches!(refused, LoadError::Refused { status: 1, .. }), "{refused}");
}
