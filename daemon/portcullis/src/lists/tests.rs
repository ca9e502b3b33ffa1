use super::*;
use crate::config::{Inline, Sources, parse};
use std::path::Path;

fn config(folder: &Path, text: &str) -> Config {
    let sources =
        Sources { path: Some(folder.join("gate.toml")), text: text.to_owned(), overrides: Vec::new() };
    parse(sources, Inline::ByCopyMode).unwrap_or_else(|error| panic!("{error}")).config
}

fn marks(numbers: &[usize]) -> Marks {
    numbers.iter().fold(Marks::default(), |all, number| all.or(Marks::of(ListId::new(*number).unwrap())))
}

const THREE: &str = "[allowlist]\nfiles = \"allow.txt\"\n\
    [[blocklist]]\nname = \"feed\"\nfiles = [\"a.txt\", \"b.txt\"]\n\
    [[blocklist]]\nfiles = \"c.txt\"\naction = \"alert\"\ndirection = \"src\"\n";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("allow.txt", "10.0.0.0/8\n");
    write("a.txt", "198.51.100.7\n10.1.2.3\n203.0.113.1\n");
    write("b.txt", "2001:db8::/32\n");
    write("c.txt", "198.51.100.0/24\n");
    folder
}

#[test]
fn lists_are_one_table() {
    let folder = folder();
    let config =
        config(folder.path(), &format!("{THREE}[vars.address-groups]\nHOME_NET = \"203.0.113.0/24\"\n"));
    let lists = Lists::read(&config).unwrap();
    let table = lists.table();
    let find = |address: &str| table.find(address.parse().unwrap());
    assert_eq!(find("198.51.100.7"), marks(&[1, 2]));
    assert_eq!(find("198.51.100.8"), marks(&[2]));
    assert_eq!(find("10.1.2.3"), marks(&[0]));
    assert_eq!(find("203.0.113.1"), marks(&[]), "it is our own");
    assert_eq!(find("2001:db8::1"), marks(&[1]));
    let faults: Vec<String> = lists.all[1].list.report.faults.iter().map(ToString::to_string).collect();
    assert_eq!(faults.len(), 2, "{faults:?}");
    let policy = lists.policy(&config);
    assert_eq!((policy.allow, policy.drop), (marks(&[0]), marks(&[1])));
    assert_eq!((policy.sources, policy.destinations), (marks(&[0, 1, 2]), marks(&[0, 1])));
    let names: Vec<&str> = lists.all.iter().map(|loaded| loaded.config.name.as_str()).collect();
    assert_eq!(names, ["allowlist", "feed", "blocklist-2"]);
}

#[test]
fn nothing_is_dropped_where_nothing_may_be() {
    let folder = folder();
    for mode in ["tap", "ids"] {
        let config = config(folder.path(), &format!("copy-mode = \"{mode}\"\n{THREE}"));
        let policy = Lists::read(&config).unwrap().policy(&config);
        assert_eq!((policy.drop.is_empty(), policy.forward), (true, mode == "tap"));
    }
}

#[test]
fn a_reload_takes_all_or_nothing() {
    let folder = folder();
    let config = config(folder.path(), THREE);
    let mut lists = Lists::read(&config).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("a.txt", "198.51.100.9\n");
    let (lists_now, said) = lists.reload(None, false, &config).unwrap();
    assert_eq!(
        said,
        "allowlist: 1 entries, 0 new, 0 gone; feed: 2 entries, 1 new, 2 gone; blocklist-2: 1 entries, 0 new, 0 gone"
    );
    lists = lists_now;
    let many: String = (0..300).map(|n| format!("9.9.{}.{}\n", n / 200, n % 200)).collect();
    write("a.txt", &many);
    write("c.txt", "not an address\n");
    let refuse = |lists: &mut Lists, name, force, expected: &str| {
        let reason = lists.reload(name, force, &config).unwrap_err();
        assert!(reason.contains(expected), "{reason}");
    };
    refuse(&mut lists, None, true, "list blocklist-2: ");
    refuse(&mut lists, Some("feed"), false, "300 entries would come and 1 go, of 2");
    refuse(&mut lists, Some("food"), true, "no list called \"food\"");
    let (_, said) = lists.reload(Some("feed"), true, &config).unwrap();
    assert_eq!(said, "feed: 301 entries, 300 new, 1 gone");
}

#[test]
fn what_cannot_be_read_ends_a_start() {
    let folder = folder();
    std::fs::remove_file(folder.path().join("b.txt")).unwrap();
    let reason = Lists::read(&config(folder.path(), THREE)).unwrap_err().to_string();
    assert!(reason.contains("list feed: cannot read") && reason.contains("b.txt"), "{reason}");
}

#[test]
fn room_is_for_what_there_is_and_more() {
    let folder = folder();
    let room = |text: &str| room(&config(folder.path(), text).lists);
    assert_eq!(room(""), ListRoom::default());
    assert_eq!(room(THREE), ListRoom::any(65_536));
    assert_eq!(room(&format!("{THREE}[lists]\nmax-entries = 5\n")), ListRoom::any(5));
    std::fs::write(folder.path().join("b.txt"), "198.51.100.1\n".repeat(100_000)).unwrap();
    let ListRoom { entries_v6: most, .. } = room(THREE);
    assert!((150_000..170_000).contains(&most), "{most}");
}

#[test]
fn own_networks_are_those_of_home_net() {
    let of = |home: &str| {
        let text = format!("[vars.address-groups]\nHOME_NET = \"{home}\"\nLAB = \"192.0.2.0/24\"\n");
        own_networks(&config(Path::new("/"), &text).vars)
    };
    let shown = |nets: Nets| {
        let v4 = nets.v4.iter().map(ToString::to_string);
        v4.chain(nets.v6.iter().map(ToString::to_string)).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(shown(of("[10.0.0.0/8, 2001:db8::/32,1.2.3.4]")), "10.0.0.0/8 1.2.3.4 2001:db8::/32");
    assert_eq!(shown(of("[10.0.0.0/8,!10.1.0.0/16,$LAB]")), "10.0.0.0/8 192.0.2.0/24");
    assert_eq!(shown(of("[![10.0.0.0/8,[11.0.0.0/8]],12.0.0.0/8]")), "12.0.0.0/8");
    assert_eq!(shown(of("any")), "");
    assert_eq!(shown(of("$HOME_NET")), "");
}
