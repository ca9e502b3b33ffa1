//! `[plugins]`: shared objects with hooks, and their settings. What a setting means is its plugin's business.

use super::diagnostic::Place;
use super::section::Section;
use super::tree::{Node, Value};
use super::value::{Setting, expected};
use std::path::{Path, PathBuf};

/// `[plugins]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginsConfig {
    /// `files`, in order.
    pub files: Vec<PluginPath>,
    /// `[plugins.config.NAME]`, by name.
    pub config: Vec<PluginConfig>,
}

/// A shared object to load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginPath {
    /// The file.
    pub path: PathBuf,
    /// Where it is named.
    pub place: Place,
}

/// `[plugins.config.NAME]`: the settings of a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginConfig {
    /// The plugin's name.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// Its settings.
    pub values: Vec<PluginValue>,
}

/// A setting of a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginValue {
    /// Its name.
    pub key: String,
    /// Where the name stands.
    pub place: Place,
    /// Its value: texts as they are, numbers in digits, `true` and `false`.
    pub value: String,
}

impl Setting for PluginPath {
    fn read(node: &Node) -> Result<Self, String> {
        PathBuf::read(node).map(|path| Self { path, place: node.place.clone() })
    }
}

impl PluginsConfig {
    pub(crate) fn read(section: &mut Section<'_>, folder: &Path) -> Self {
        let mut files: Vec<PluginPath> = section.or("files", Vec::new());
        for file in &mut files {
            if let Place::File(_) = file.place {
                file.path = folder.join(&file.path);
            }
        }
        Self { files, config: section.section("config", read_all) }
    }
}

fn read_all(section: &mut Section<'_>) -> Vec<PluginConfig> {
    let mut all = Vec::new();
    for (name, entry) in section.free_entries() {
        match &entry.node.value {
            Value::Table(table) => {
                let mut values = Vec::new();
                for (key, entry) in table {
                    match text(&entry.node) {
                        Ok(value) => {
                            let place = entry.key.clone();
                            values.push(PluginValue { key: key.clone(), place, value });
                        }
                        Err(reason) => {
                            section.bad_value(&format!("{name}.{key}"), &reason, &entry.node.place);
                        }
                    }
                }
                let place = entry.key.clone();
                all.push(PluginConfig { name: name.to_owned(), place, values });
            }
            other => {
                let reason = format!("expected a table of settings, found {}", other.describe());
                section.bad_value(name, &reason, &entry.node.place);
            }
        }
    }
    all
}

/// A value as the plugin gets it.
fn text(node: &Node) -> Result<String, String> {
    match &node.value {
        Value::Boolean(value) => Ok(value.to_string()),
        Value::String(text) if text.contains('\0') => Err("a NUL cannot be passed on".to_owned()),
        Value::Array(_) | Value::Table(_) => expected("a string, a number, or true or false", node),
        _ => String::read(node),
    }
}
