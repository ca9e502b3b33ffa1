//! Reading what the kernel and other programs say in files.

use std::fs;
use std::path::Path;

/// A file's text without blanks around it; empty where there is none.
pub(crate) fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// The last part of where a symbolic link leads.
pub(crate) fn link_name(path: impl AsRef<Path>) -> Option<String> {
    let target = fs::read_link(path).ok()?;
    Some(target.file_name()?.to_string_lossy().into_owned())
}

/// The names in a folder, in order; none where there is no folder.
pub(crate) fn names(folder: impl AsRef<Path>) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}

/// A list of CPUs as the kernel writes it: `0-3,8`.
pub(crate) fn cpus(text: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse::<usize>().ok()?..=last.trim().parse().ok()?)
    };
    text.split(',').filter_map(range).flatten().collect()
}

/// The value of `key=value` in a text of such lines.
pub(crate) fn setting<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus_are_read() {
        for (text, expected) in
            [("0-3,8", vec![0, 1, 2, 3, 8]), ("5", vec![5]), ("", vec![]), ("x-y,2", vec![2])]
        {
            assert_eq!(cpus(text), expected, "{text}");
        }
    }

    #[test]
    fn settings_are_found_by_key() {
        let text = "# comment\n[device]\nmanaged=true\nmanaged-by=x\n";
        assert_eq!(setting(text, "managed"), Some("true"));
        assert_eq!(setting(text, "device"), None);
    }
}
