//! Every kind of message, as users see it.

use super::shown;

fn check(text: &str, expected: &str) {
    assert_eq!(shown(text, &[]), expected, "\n{}", shown(text, &[]));
}

fn check_override(text: &str, expected: &str) {
    assert_eq!(shown("[flow]\nmemcap = \"1mb\"\n", &[text]), expected);
}

#[test]
fn unknown_settings() {
    check(
        "[flow]\nprealloc = 1\nmemcpa = \"128mb\"\n",
        "\
error: unknown setting `flow.memcpa`
 --> gate/portcullis.toml:3:1
  |
3 | memcpa = \"128mb\"
  | ^^^^^^
  |
  = help: did you mean `flow.memcap`?
",
    );
    check(
        "wombat = 3\n",
        "\
error: unknown setting `wombat`
 --> gate/portcullis.toml:1:1
  |
1 | wombat = 3
  | ^^^^^^
",
    );
    check(
        "[flow-timeout.tcp]\nnew = 3\n",
        "\
error: unknown setting `flow-timeout`
 --> gate/portcullis.toml:1:2
  |
1 | [flow-timeout.tcp]
  |  ^^^^^^^^^^^^
  |
  = help: did you mean `flow-timeouts`?
",
    );
    check(
        "[[inline-set]]\npairs = [[\"a\", \"b\"]]\nnam = \"x\"\n",
        "\
error: unknown setting `inline-set[0].nam`
 --> gate/portcullis.toml:3:1
  |
3 | nam = \"x\"
  | ^^^
  |
  = help: did you mean `inline-set[0].name`?
",
    );
}

#[test]
fn settings_that_are_elsewhere() {
    check(
        "rule-files = [\"a.rules\"]\n",
        "\
error: `rule-files` is set elsewhere here
 --> gate/portcullis.toml:1:1
  |
1 | rule-files = [\"a.rules\"]
  | ^^^^^^^^^^
  |
  = help: use `rules.files`
",
    );
}

#[test]
fn bad_values() {
    check(
        "[flow]\nmemcap = \"128mbb\"\n",
        "\
error: bad value for `flow.memcap`: expected a size such as \"32mb\", found the string \"128mbb\"
 --> gate/portcullis.toml:2:10
  |
2 | memcap = \"128mbb\"
  |          ^^^^^^^^
",
    );
    check(
        "copy-mode = \"isp\"\n",
        "\
error: bad value for `copy-mode`: expected one of ips, tap, ids, found the string \"isp\"; did you mean \"ips\"?
 --> gate/portcullis.toml:1:13
  |
1 | copy-mode = \"isp\"
  |             ^^^^^
",
    );
    check(
        "[capture]\nworkers = 0\n",
        "\
error: bad value for `capture.workers`: without workers nothing would be judged; expected auto or 1 to 255
 --> gate/portcullis.toml:2:11
  |
2 | workers = 0
  |           ^
",
    );
}

#[test]
fn bad_values_in_short() {
    let check = |text: &str, expected: &str| {
        let got = shown(text, &[]);
        let first = got.lines().next().unwrap_or_default();
        assert_eq!(first, format!("error: bad value for {expected}"), "{got}");
    };
    check("flow = 3", "`flow`: expected a table, found the number 3");
    check("inline-set = 3", "`inline-set`: expected [[inline-set]] tables, found the number 3");
    check("packet-alert-max = 0", "`packet-alert-max`: 0 is not within 1 to 1024");
    check("packet-alert-max = 1.5", "`packet-alert-max`: expected a whole number, found the number 1.5");
    check(
        "action-order = [\"pass\", \"drop\"]",
        "`action-order`: expected each of pass, drop, reject, alert once",
    );
    check("[capture]\nworkers = 300", "`capture.workers`: 300 is too large, the most is 255");
    check(
        "[capture]\nworkers = \"many\"",
        "`capture.workers`: expected auto or a whole number, found the string \"many\"",
    );
    check("[capture]\nworkers = 3\ncpus = [1]", "`capture.cpus`: 1 CPUs are too few for 3 workers");
    check("[capture]\ncpus = [1, 1]", "`capture.cpus`: CPU 1 is named twice");
    check("[capture.af-xdp]\nring-size = 1000", "`capture.af-xdp.ring-size`: 1000 is not a power of two");
    check("[[inline-set]]", "`inline-set[0].pairs`: an inline set needs at least one pair of interfaces");
    check(
        "[[inline-set]]\npairs = [[\"a\"]]",
        "`inline-set[0].pairs`: expected a pair of interface names, found 1 of them",
    );
    check("[[inline-set]]\npairs = [[\"a\", \"a\"]]", "`inline-set[0].pairs`: \"a\" cannot be its own peer");
    check(
        "[[inline-set]]\npairs = [[\"a\", \"b/c\"]]",
        "`inline-set[0].pairs`: \"b/c\" cannot be the name of an interface",
    );
    check("[flow]\nmemcap = 1", "`flow.memcap`: 1 bytes are too few, the least is 65536");
    check("[flow]\nemergency-recovery = 0", "`flow.emergency-recovery`: 0 is not within 1 to 100");
    check(
        "[flow-timeouts.tcp]\nnew = \"1m\"",
        "`flow-timeouts.tcp.new`: expected a whole number of seconds, found the string \"1m\"",
    );
    check(
        "[stream]\nmidstream = \"maybe\"",
        "`stream.midstream`: expected yes or no, found the string \"maybe\"",
    );
    check("[stats]\ninterval = 0", "`stats.interval`: 0 is not within 1 to 86400");
    check("[plugins]\nfiles = [3]", "`plugins.files`: expected a path, found the number 3");
    check("[plugins.config]\na = 3", "`plugins.config.a`: expected a table of settings, found the number 3");
    check(
        "[plugins.config.a]\nb = []",
        "`plugins.config.a.b`: expected a string, a number, or true or false, found an array",
    );
    check("[plugins.config.a]\nb = \"\\u0000\"", "`plugins.config.a.b`: a NUL cannot be passed on");
    check("[rules]\nfiles = [3]", "`rules.files`: expected a path, found the number 3");
}

#[test]
fn ports_twice() {
    check(
        "[[inline-set]]\npairs = [[\"a\", \"b\"], [\"b\", \"c\"]]\n",
        "\
error: the interface \"b\" is in more than one pair
 --> gate/portcullis.toml:1:1
  |
1 | [[inline-set]]
  | ^^^^^^^^^^^^^^
",
    );
}

#[test]
fn syntax() {
    check(
        "[flow]\nmemcap = \"128mb\n",
        "\
error: invalid basic string, expected `\"`
 --> gate/portcullis.toml:2:16
  |
2 | memcap = \"128mb
  |                ^
",
    );
    check(
        "a = 1\na = 2\n",
        "\
error: duplicate key
 --> gate/portcullis.toml:2:1
  |
2 | a = 2
  | ^
",
    );
}

#[test]
fn overrides() {
    check_override(
        "flow.memcap=1mbb",
        "\
error: bad value for `flow.memcap`: expected a size such as \"32mb\", found the string \"1mbb\"
 --> --set:1:13
  |
1 | flow.memcap=1mbb
  |             ^^^^
",
    );
    check_override(
        "stream.midstrem=yes",
        "\
error: unknown setting `stream.midstrem`
 --> --set:1:1
  |
1 | stream.midstrem=yes
  | ^^^^^^^^^^^^^^^
  |
  = help: did you mean `stream.midstream`?
",
    );
    check_override(
        "flow.memcap",
        "\
error: an override is KEY=VALUE, and this has no `=`
 --> --set:1:1
  |
1 | flow.memcap
  | ^^^^^^^^^^^
",
    );
    check_override(
        "flow..memcap=1",
        "\
error: the name before `=` is empty or has an empty part
 --> --set:1:1
  |
1 | flow..memcap=1
  | ^^^^^^^^^^^^
",
    );
    check_override(
        "flow.memcap.x=1",
        "\
error: `memcap` is the string \"1mb\" in the file and has no parts
 --> --set:1:1
  |
1 | flow.memcap.x=1
  | ^^^^^^^^^^^^^
",
    );
}
