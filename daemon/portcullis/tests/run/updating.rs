//! Rules that `suricata-update` keeps, as operators already have it.

use crate::gate::{Gate, PROGRAM, Place, eventually, lab, ping};
use std::fs;
use std::path::Path;
use std::process::Command;

/// What the source offers: rules that would stop every ping, and what else the settings are about.
const OFFERED: &str = r#"drop icmp any any -> any any (msg:"wrong here"; content:"|11 12 13 14|"; sid:1; rev:1;)
alert icmp any any -> any any (msg:"made to drop"; content:"|15 16 17 18|"; icode:9; sid:2; rev:1;)
alert udp any any -> any any (msg:"changed"; content:"before"; sid:3; rev:1;)
alert udp any any -> any any (msg:"with \"quotes\", commas\; and a bit"; flowbits:isset,never.set; content:"x"; sid:4; rev:1;)
# alert udp any any -> any any (msg:"off at its source"; content:"y"; sid:5; rev:1;)
"#;

/// Runs the tool on what `folder` holds. It asks the gate to load what it wrote.
fn update(folder: &Path, socket: &Path) {
    let path = |name: &str| folder.join(name);
    let reload = format!("{PROGRAM} ctl --socket {} reload-rules", socket.display());
    let output = Command::new("suricata-update")
        .args(["update", "--no-test", "--suricata-version", "8.0.6", "--suricata-conf", "/nonexistent"])
        .arg("--url")
        .arg(format!("file://{}", path("offered.rules").display()))
        .arg("-c")
        .arg(path("update.yaml"))
        .arg("-D")
        .arg(path("data"))
        .arg("-o")
        .arg(path("rules"))
        .arg("--disable-conf")
        .arg(path("disable.conf"))
        .arg("--drop-conf")
        .arg(path("drop.conf"))
        .arg("--modify-conf")
        .arg(path("modify.conf"))
        .args(["--reload-command", &reload, "--force", "--fail"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_suricata_update_disables_drops_and_modifies_is_in_force() {
    let (lab, place) = (lab(), Place::new());
    place.write("update.yaml", "{}\n");
    place.write("offered.rules", OFFERED);
    place.write("disable.conf", "");
    place.write("drop.conf", "2\n");
    place.write("modify.conf", "3 \"before\" \"after\"\n");
    fs::create_dir(place.path("rules")).unwrap();
    place.write("rules/suricata.rules", "");
    let config = place.configure("", "");
    let text = place.read("gate.toml").replace("[\"test.rules\"]", "[\"rules/suricata.rules\"]");
    place.write("gate.toml", &text);
    let gate = Gate::start_as(&lab, &place, &config);
    assert!(ping(&lab, 1, 5), "no rules yet");

    let folder = place.path("");
    update(&folder, &place.socket());
    let written = place.read("rules/suricata.rules");
    assert!(written.contains("drop icmp any any -> any any (msg:\"made to drop\""), "{written}");
    assert!(written.contains("content:\"after\""), "{written}");
    gate.wait_for("4 rules are in use");
    eventually("the new rules are in force", || !ping(&lab, 1, 1));

    place.write("disable.conf", "1\n");
    update(&folder, &place.socket());
    gate.wait_for("3 rules are in use");
    assert!(ping(&lab, 1, 5), "the rule that was wrong here is off");
    gate.end(&lab);
}
