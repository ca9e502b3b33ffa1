//! The settings that a plugin is registered with.

use std::cell::Cell;
use std::ffi::{CStr, CString};

/// One setting.
#[derive(Debug)]
struct Setting {
    key: CString,
    value: CString,
    asked: Cell<bool>,
}

/// Settings of one plugin, by name. Knows which of them the plugin asked for.
#[derive(Debug, Default)]
pub struct Settings(Vec<Setting>);

impl Settings {
    /// Adds a setting; false where the name or the value has a NUL in it, which C cannot take.
    #[must_use]
    pub fn add(&mut self, key: &str, value: &str) -> bool {
        let (Ok(key), Ok(value)) = (CString::new(key), CString::new(value)) else { return false };
        self.0.push(Setting { key, value, asked: Cell::new(false) });
        true
    }

    /// Those that the plugin has not asked for: it does not know them.
    pub(crate) fn unknown(&self) -> impl Iterator<Item = String> {
        let unasked = self.0.iter().filter(|setting| !setting.asked.get());
        unasked.map(|setting| setting.key.to_string_lossy().into_owned())
    }

    pub(crate) fn ask(&self, key: &CStr) -> Option<&CStr> {
        let setting = self.0.iter().find(|setting| setting.key.as_c_str() == key)?;
        setting.asked.set(true);
        Some(&setting.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_never_asked_for_is_unknown() {
        let mut settings = Settings::default();
        assert!(settings.add("path", "/a b") && settings.add("depth", "3") && settings.add("", ""));
        assert!(!settings.add("a\0b", "") && !settings.add("c", "\0"));
        assert_eq!(settings.ask(c"path"), Some(c"/a b"));
        assert_eq!(settings.ask(c"other"), None);
        assert_eq!(settings.unknown().collect::<Vec<_>>(), ["depth", ""]);
    }
}
