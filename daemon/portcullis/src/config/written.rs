//! Settings as they were written, for whoever asks for one by its name.

use super::Sources;
use super::tree::{self, Node, Value};

/// The setting of this dotted name as file or command line have it: a string as it is, other values as TOML. `None`
/// where neither has it, or it is a table.
#[must_use]
pub fn written(sources: &Sources, name: &str) -> Option<String> {
    let mut table = tree::parse_file(&sources.text).ok()?;
    for (index, text) in sources.overrides.iter().enumerate() {
        tree::apply_override(&mut table, index, text).ok()?;
    }
    let mut at = &table;
    let mut names = name.split('.').peekable();
    while let Some(part) = names.next() {
        let node = &at.get(part)?.node;
        match &node.value {
            Value::Table(inner) if names.peek().is_some() => at = inner,
            Value::Table(_) => return None,
            Value::String(text) if names.peek().is_none() => return Some(text.clone()),
            _ if names.peek().is_none() => return Some(show(node)),
            _ => return None,
        }
    }
    None
}

fn show(node: &Node) -> String {
    match &node.value {
        Value::String(text) => format!("{text:?}"),
        Value::Integer(number) => number.to_string(),
        Value::Boolean(value) => value.to_string(),
        Value::Other(_, text) => text.clone(),
        Value::Array(nodes) => format!("[{}]", nodes.iter().map(show).collect::<Vec<_>>().join(", ")),
        Value::Table(table) => {
            let entries = table.iter().map(|(key, entry)| format!("{key} = {}", show(&entry.node)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_found_by_their_names() {
        let text = "copy-mode = \"ips\"\n[flow]\nmemcap = 5\n[[inline-set]]\npairs = [[\"a\", \"b\"]]\n";
        let overrides = vec!["flow.prealloc=7".to_owned(), "flow.memcap=64mb".to_owned()];
        let sources = Sources { path: None, text: text.to_owned(), overrides };
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(written(&sources, name).as_deref(), expected, "{name}");
        };
        check("copy-mode", Some("ips"));
        check("flow.memcap", Some("64mb"));
        check("flow.prealloc", Some("7"));
        check("inline-set", Some("[{ pairs = [[\"a\", \"b\"]] }]"));
        check("flow", None);
        check("copy-mode.x", None);
        check("fail", None);
    }
}
