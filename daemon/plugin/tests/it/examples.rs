//! The examples do what they say, with one worker and with four.

use crate::built::{example, rust_example};
use crate::rig::{Frame, lines, load, registry, run, udp};
use portcullis_flow::Registry;

/// 40 flows of 5 packets over 100 seconds, every second one answered; flow 7 says the word thrice.
fn traffic() -> Vec<Frame> {
    let mut frames = Vec::new();
    for step in 0..5_u64 {
        for client in 1..=40_u16 {
            let at = step * 25_000 + u64::from(client);
            let answered = step % 2 == 1 && client % 2 == 0;
            // Odd ones fall silent after the second step.
            if client % 2 == 1 && step > 1 && client != 7 {
                continue;
            }
            let payload: &[u8] = if client == 7 && step > 0 { b"an evil word" } else { b"four" };
            frames.push(udp(at, client, !answered, payload));
        }
    }
    frames
}

#[test]
fn bytes_are_counted_by_flow() {
    let folder = tempfile::tempdir().unwrap();
    let (object, out) = (example(folder.path(), "byte_counter"), folder.path().join("bytes.txt"));
    let mut seen = Vec::new();
    for workers in [1, 4] {
        let ran = run(registry(&object, &[("path", out.to_str().unwrap())]), traffic(), workers);
        let lines = lines(&out);
        assert_eq!(lines.len(), usize::try_from(ran.counters.flow_total).unwrap());
        assert!(lines.contains(&"2 53 12 8".to_owned()), "{lines:?}");
        assert!(lines.contains(&"1 53 8 0".to_owned()), "{lines:?}");
        let packets = u64::try_from(traffic().len()).unwrap();
        let hook = ran.hook("byte-counter");
        assert_eq!((hook.calls, hook.panics), (2 * ran.counters.flow_total + packets, 0));
        seen.push(lines);
    }
    assert_eq!(seen[0], seen[1], "with any number of workers");
}

#[test]
fn long_flows_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (object, out) = (example(folder.path(), "long_flows"), folder.path().join("long.txt"));
    let path = out.to_str().unwrap();
    for workers in [1, 4] {
        let ran = run(registry(&object, &[("path", path), ("seconds", "90")]), traffic(), workers);
        let expected: Vec<u16> = (1..=40).filter(|client| client % 2 == 0 || *client == 7).collect();
        let mut expected: Vec<String> = expected.iter().map(|client| format!("{client} 53 100")).collect();
        expected.sort();
        assert_eq!(lines(&out), expected);
        assert_eq!(ran.hook("long-flows/report").calls, 21);
    }
}

#[test]
fn marked_packets_are_dropped_and_then_their_flow() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("marked.txt");
    let object = rust_example("drop_marked");
    for workers in [1, 4] {
        let settings = [("path", out.to_str().unwrap()), ("mark", "evil")];
        let ran = run(registry(&object, &settings), traffic(), workers);
        assert_eq!(lines(&out), ["7 53 4"]);
        assert_eq!((ran.counters.ips_blocked, ran.left), (4, traffic().len() - 4));
        assert_eq!(ran.hook("drop-marked/report").calls, 1);
    }
}

#[test]
fn plugins_of_both_languages_work_together() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let mut registry = Registry::default();
    load(&mut registry, &example(folder.path(), "byte_counter"), &[("path", &at("bytes"))]).unwrap();
    load(&mut registry, &example(folder.path(), "long_flows"), &[("path", &at("long"))]).unwrap();
    let settings = [("path", at("marked")), ("mark", "evil".to_owned())];
    let settings = settings.each_ref().map(|(key, value)| (*key, value.as_str()));
    load(&mut registry, &rust_example("drop_marked"), &settings).unwrap();
    assert!(registry.names().eq([
        "byte-counter",
        "long-flows",
        "drop-marked",
        "long-flows/report",
        "drop-marked/report"
    ]));
    let ran = run(registry, traffic(), 4);
    assert_eq!(ran.counters.worker_callback_panics, 0);
    assert_eq!((lines(at("long").as_ref()).len(), lines(at("marked").as_ref()).len()), (21, 1));
    assert_eq!(ran.counters.flow_callbacks_init, ran.counters.flow_callbacks_finish);
}
