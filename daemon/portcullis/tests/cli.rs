//! The program as users meet it: exit statuses and messages of wrong command lines, settings, rules
//! and files.

#![expect(clippy::unwrap_used, reason = "a test's helper may fail the test")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Runs the program in `folder`.
fn portcullis(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portcullis")).current_dir(folder).args(arguments).output().unwrap()
}

/// Runs the program and expects an exit status and a text on standard error.
fn check(folder: &Path, line: &str, status: i32, expected: &str) -> String {
    let arguments: Vec<&str> = line.split_whitespace().collect();
    let output = portcullis(folder, &arguments);
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.contains(expected), "{line}: expected {expected:?} in:\n{complaint}");
    assert_eq!(output.status.code(), Some(status), "{line}:\n{complaint}");
    String::from_utf8(output.stdout).unwrap()
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

const RULE: &str = "alert icmp any any -> any any (msg:\"ping\"; sid:1;)\n";

#[test]
fn wrong_command_lines() {
    let folder = folder(&[]);
    let check = |line: &str, expected: &str| check(folder.path(), line, 2, expected);
    check("", "Usage: portcullis <COMMAND>");
    check("replay", "<PCAP>");
    check("replay a.pcap --workers 0", "--workers");
    check("replay a.pcap -k some", "possible values: none, all");
    check("replay a.pcap --simulate-isp", "--simulate-ips");
    check("check", "--config <FILE>");
    check("run", "--config <FILE>");
}

#[test]
fn help_and_version() {
    let folder = folder(&[]);
    let out = check(folder.path(), "--version", 0, "");
    assert_eq!(out, format!("portcullis {}\n", env!("CARGO_PKG_VERSION")));
    let out = check(folder.path(), "--help", 0, "");
    assert!(out.contains("Exit status:") && out.contains("replay"), "{out}");
}

#[test]
fn settings_that_cannot_be_used() {
    let folder = folder(&[
        ("typo.toml", "[flow]\nmemcpa = \"1mb\"\n"),
        ("syntax.toml", "[flow\n"),
        ("zero.toml", "[capture]\nworkers = 0\n"),
        ("good.toml", "[flow]\nmanagers = 3\n"),
        ("name.toml", "inline-set = [{ name = \"a b\", pairs = [[\"a\", \"b\"]] }]\n"),
    ]);
    let check = |line: &str, status: i32, expected: &str| check(folder.path(), line, status, expected);
    check("check -c missing.toml", 1, "cannot read the configuration missing.toml: No such file");
    check("check -c .", 1, "cannot read the configuration .: Is a directory");
    check("check -c typo.toml", 1, "did you mean `flow.memcap`?");
    check("check -c typo.toml", 1, "--> typo.toml:2:1");
    check("check -c syntax.toml", 1, "--> syntax.toml:1");
    check("check -c zero.toml", 1, "without workers nothing would be judged");
    check("check -c name.toml", 1, "inline-set name \"a b\": letters, digits, - and _ only");
    check("check -c good.toml --set flow.memcap=1xb", 1, "--> --set:1:13");
    check("check -c good.toml --set flow", 1, "an override is KEY=VALUE");
    check("replay missing.pcap -c typo.toml", 1, "did you mean `flow.memcap`?");
    let out = check("check -c good.toml", 0, "warning: `flow.managers` has no effect here");
    assert_eq!(out, "good.toml is good; 0 rules from 0 files; 1 warning\n");
}

#[test]
fn rules_that_cannot_be_used() {
    let folder = folder(&[
        ("good.rules", RULE),
        ("bad.rules", "\n\nalert icmp any any -> any any (msg:\"a\"; sid:2; nonsense:3;)\n"),
        ("gate.toml", "rules.files = [\"good.rules\", \"x*.rules\"]\n"),
        ("gone.toml", "rules.files = [\"gone.rules\"]\n"),
    ]);
    let check = |line: &str, status: i32, expected: &str| check(folder.path(), line, status, expected);
    check("check -S gone.rules", 1, "cannot read the rule file gone.rules: No such file");
    check("check -c gone.toml", 1, "gone.rules: No such file");
    check("check -S .", 1, "it is a folder");
    check("check -S bad.rules", 1, "bad.rules:3:");
    check("check -S bad.rules", 1, "1 rule cannot be loaded, 0 can");
    let out = check("check -S good.rules", 0, "");
    assert_eq!(out, "no configuration file; 1 rule from 1 file; 0 warnings\n");
    let out = check("check -c gate.toml", 0, "warning: no rule file matches x*.rules");
    assert_eq!(out, "gate.toml is good; 1 rule from 1 file; 1 warning\n");
}

#[test]
fn captures_that_cannot_be_read() {
    let folder = folder(&[("empty.pcap", ""), ("text.pcap", "hello, world\n"), ("good.rules", RULE)]);
    let check = |line: &str, status: i32, expected: &str| check(folder.path(), line, status, expected);
    check("replay none.pcap", 1, "cannot open none.pcap: No such file");
    check("replay empty.pcap", 1, "empty.pcap is empty");
    check("replay text.pcap -S good.rules", 1, "text.pcap is neither pcap nor pcapng");
    check("replay text.pcap -S none.rules", 1, "cannot read the rule file none.rules");
    check("replay text.pcap --set flow.memcap=1xb", 1, "--> --set:1:13");
    assert!(!folder.path().join("eve.json").exists());
}

#[test]
fn an_empty_capture_is_replayed() {
    let folder = folder(&[("good.rules", RULE)]);
    let header = [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
    fs::write(folder.path().join("in.pcap"), header).unwrap();
    let out = check(folder.path(), "replay in.pcap -S good.rules -l out --workers 2", 0, "");
    assert!(out.contains(" packets  ") && out.contains("in out/eve.json"), "{out}");
    let text = fs::read_to_string(folder.path().join("out/eve.json")).unwrap();
    assert_eq!(text.lines().count(), 1, "the counters: {text}");
    check(folder.path(), "replay in.pcap -l good.rules", 3, "good.rules");
}

#[test]
fn nobody_to_control() {
    let folder = folder(&[("file", "")]);
    check(folder.path(), "ctl version --socket none.sock", 4, "no daemon answers on none.sock");
    check(folder.path(), "ctl version --socket file", 4, "no daemon answers on file");
}

#[test]
fn the_shipped_files_pass() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let out = check(&root, "check -c configs/lab.toml", 0, "");
    assert_eq!(out, "configs/lab.toml is good; 2 rules from 1 file; 0 warnings\n");
    let out = check(&root, "check -c configs/portcullis.toml", 0, "");
    assert_eq!(out, "configs/portcullis.toml is good; 0 rules from 0 files; 0 warnings\n");
}
