//! Plugins in a whole replay, and what the program says of those that it cannot load.

#![expect(clippy::unwrap_used, reason = "a test's helper may fail the test")]

use portcullis_wire::builder::PacketBuilder;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs the program in `folder`: standard output, standard error, exit status.
fn portcullis(folder: &Path, line: &str) -> (String, String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    let output = command.current_dir(folder).args(line.split_whitespace()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code())
}

/// Compiles an example plugin in C.
fn compile(folder: &Path, name: &str) {
    let plugin = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugin");
    let source = plugin.join("examples").join(name).with_extension("c");
    let mut command = Command::new("cc");
    command.args(["-shared", "-fPIC", "-I"]).arg(plugin.join("include"));
    let status = command.arg("-o").arg(folder.join(name).with_extension("so")).arg(source).status();
    assert!(status.unwrap().success(), "{name}");
}

/// The example in Rust, which cargo builds beside the tests.
fn rust_example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().join("examples/libplugin_drop_marked.so")
}

/// A capture of 30 flows of three packets, 40 seconds apart; the fifth says the word each time.
fn capture() -> Vec<u8> {
    let word = |value: u32| value.to_le_bytes();
    let mut file = [word(0xa1b2_c3d4), [2, 0, 4, 0], word(0), word(0), word(65_535), word(1)].concat();
    for step in 0..3_u32 {
        for client in 1..=30_u8 {
            let payload: &[u8] = if client == 5 { b"an evil word" } else { b"four" };
            let builder = PacketBuilder::ethernet([2; 6], [4; 6]).ipv4([10, 0, 0, client], [10, 0, 1, 1]);
            let frame = builder.udp(client.into(), 53).payload(payload).to_vec();
            let length = word(u32::try_from(frame.len()).unwrap());
            file.extend([word(1_700_000_000 + 20 * step), word(client.into()), length, length].concat());
            file.extend(frame);
        }
    }
    file
}

const CONFIG: &str = r#"
[plugins]
files = ["byte_counter.so", "long_flows.so", "drop_marked.so"]
[plugins.config.byte-counter]
path = "bytes.txt"
[plugins.config.long-flows]
path = "long.txt"
seconds = 40
[plugins.config.drop-marked]
path = "marked.txt"
mark = "evil"
"#;

/// A folder with the examples, the capture and the configuration.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    compile(folder.path(), "byte_counter");
    compile(folder.path(), "long_flows");
    fs::copy(rust_example(), folder.path().join("drop_marked.so")).unwrap();
    fs::write(folder.path().join("in.pcap"), capture()).unwrap();
    fs::write(folder.path().join("gate.toml"), CONFIG).unwrap();
    folder
}

fn lines(path: &Path) -> Vec<String> {
    let mut lines: Vec<String> = fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn a_replay_with_plugins_of_both_languages() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    for workers in [1, 4] {
        let line = format!("replay in.pcap -c gate.toml -l out --simulate-ips --workers {workers}");
        let (out, complaint, status) = portcullis(folder.path(), &line);
        assert_eq!(status, Some(0), "{complaint}");
        assert!(complaint.contains("plugin byte-counter 1.0: byte_counter.so"), "{complaint}");
        assert!(complaint.contains("byte-counter: a worker had "), "{complaint}");
        let bytes = lines(&at("bytes.txt"));
        assert_eq!((bytes.len(), bytes[0].as_str()), (30, "1 53 12 0"));
        assert_eq!(lines(&at("long.txt")).len(), 30);
        assert_eq!(lines(&at("marked.txt")), ["5 53 3"]);
        let row = |words: &str| {
            out.lines().any(|line| line.split_whitespace().collect::<Vec<_>>().join(" ").starts_with(words))
        };
        assert!(row("dropped 3") && row("hook 150 calls of byte-counter, "), "{out}");
        assert!(
            row("hook 30 calls of long-flows/report") && row("hook 1 calls of drop-marked/report"),
            "{out}"
        );
    }
    let drops =
        lines(&at("out/eve.json")).into_iter().filter(|line| line.contains("\"reason\":\"callback\""));
    assert!(drops.count() >= 1);
}

#[test]
fn a_check_looks_at_plugins_without_starting_them() {
    let folder = folder();
    let (out, complaint, status) = portcullis(folder.path(), "check -c gate.toml");
    assert_eq!(status, Some(0), "{complaint}");
    assert_eq!(out, "gate.toml is good; 0 rules from 0 files; 3 plugins, not started; 0 warnings\n");
    assert!(!folder.path().join("bytes.txt").exists());
}

#[test]
fn what_cannot_be_loaded_is_shown_where_it_is_named() {
    let folder = folder();
    fs::write(folder.path().join("text.so"), "hello").unwrap();
    let check = |config: &str, command: &str, line: &str, expected: &str| {
        fs::write(folder.path().join("bad.toml"), config).unwrap();
        let (_, complaint, status) = portcullis(folder.path(), &format!("{command} -c bad.toml"));
        assert_eq!(status, Some(1), "{complaint}");
        assert!(
            complaint.contains(expected) && complaint.contains(&format!("bad.toml:{line}")),
            "{complaint}"
        );
    };
    let files = |files: &str| format!("[plugins]\nfiles = [\n{files}\n]\n");
    let both = ["check", "replay in.pcap"];
    for command in both {
        check(
            &files("\"byte_counter.so\",\n\"gone.so\""),
            command,
            "4:1",
            "gone.so: No such file or directory",
        );
        check(&files("\"text.so\""), command, "3:1", "text.so is not a shared object");
        let twice = "\"byte_counter.so\",\n\"byte_counter.so\"";
        check(&files(twice), command, "4:1", "a plugin byte-counter is loaded already");
        let other = format!("{}[plugins.config.other]\n", files("\"byte_counter.so\""));
        check(&other, command, "5:17", "settings for a plugin other, which none of plugins.files is");
    }
    let replay = both[1];
    check(&files("\"byte_counter.so\""), replay, "3:1", "refuses to start (1): the setting path is missing");
    let typo =
        format!("{}[plugins.config.byte-counter]\npath = \"b\"\npth = \"c\"\n", files("\"byte_counter.so\""));
    check(&typo, replay, "7:1", "plugin byte-counter has no setting `pth`");
    assert!(!folder.path().join("eve.json").exists());
}
