//! Loading plugins: from a file's name to hooks in a registry, with an error of its own for each way that
//! can fail.

use crate::abi::{self, Descriptor};
use crate::call::Functions;
use crate::object::{self, Described, Fault, NAME_RULE, Object, is_name};
use crate::sdk::Plugin;
use crate::settings::Settings;
use portcullis_flow::{RegisterError, Registry};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a plugin cannot be used. Each begins with the file's name.
#[derive(Debug, Error)]
pub enum LoadError {
    /// There is no such file, or it cannot be read.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is something else.
    #[error("{path} is not a shared object", path = .0.display())]
    NotAnObject(PathBuf),
    /// The system refuses to load it: it is damaged, for another machine, or needs what is not there.
    #[error("{path} cannot be loaded: {reason}", path = path.display())]
    NotLoadable {
        /// The file.
        path: PathBuf,
        /// What the dynamic linker says.
        reason: String,
    },
    /// It does not export what a plugin has to.
    #[error("{path} is not a plugin: it exports no {symbol}", path = path.display())]
    NoSymbol {
        /// The file.
        path: PathBuf,
        /// What is missing.
        symbol: &'static str,
    },
    /// It was built for another version of the ABI.
    #[error(
        "{path} was built for version {found} of the plugin ABI; this program has version {ours}",
        path = path.display(),
        ours = abi::ABI_VERSION
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The version it was built for.
        found: u32,
    },
    /// It knows more of this version of the ABI than this program, or less than there ever was.
    #[error(
        "{path} was built with a header that does not fit: its tables have {host} and {plugin} bytes, \
         {first} and {second} to {our_host} and {our_plugin} are known",
        path = path.display(),
        first = Descriptor::FIRST_SIZES.0,
        second = Descriptor::FIRST_SIZES.1,
        our_host = size_of::<abi::Host>(),
        our_plugin = size_of::<abi::Plugin>()
    )]
    Sizes {
        /// The file.
        path: PathBuf,
        /// The size of the host's table as the plugin knows it.
        host: u32,
        /// The size of its own.
        plugin: u32,
    },
    /// Its name is none.
    #[error("{path} calls itself {name:?}, which is no name for a plugin: {NAME_RULE}", path = path.display())]
    Name {
        /// The file.
        path: PathBuf,
        /// What it calls itself.
        name: String,
    },
    /// Its entry refused.
    #[error("{path}: plugin {name} refuses to start ({status}): {message}", path = path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// The plugin.
        name: String,
        /// What its entry gave.
        status: i32,
        /// What it says.
        message: String,
    },
    /// What it filled in cannot be used.
    #[error("{path}: plugin {name}: {reason}", path = path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// The plugin.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A plugin of its name is there already, there are too many hooks or storages, or it is too late.
    #[error("{path}: plugin {name}: {source}", path = path.display())]
    Register {
        /// The file.
        path: PathBuf,
        /// The plugin.
        name: String,
        /// Why.
        source: RegisterError,
    },
}

/// A plugin that is loaded and has said what it is; none of its functions was called yet.
#[derive(Debug)]
pub struct PluginFile {
    path: PathBuf,
    object: Object,
    described: Described,
}

/// A plugin that has registered itself.
#[derive(Debug)]
pub struct LoadedPlugin {
    path: PathBuf,
    functions: Functions,
    unknown: Vec<String>,
}

impl PluginFile {
    /// Loads the shared object. Its initialisers run: whoever names it trusts it.
    ///
    /// # Errors
    /// The file is missing, no shared object, cannot be loaded, no plugin, or one that does not fit.
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        let path = path.to_owned();
        match begins_as_object(&path) {
            Ok(true) => {}
            Ok(false) => return Err(LoadError::NotAnObject(path)),
            Err(source) => return Err(LoadError::File { path, source }),
        }
        // With its folder: a mere name would be searched for where libraries are.
        let whole = match std::path::absolute(&path) {
            Ok(whole) => whole,
            Err(source) => return Err(LoadError::File { path, source }),
        };
        let object = match Object::open(&whole) {
            Ok(object) => object,
            Err(reason) => return Err(LoadError::NotLoadable { path, reason }),
        };
        let described = match object.describe() {
            Ok(described) => described,
            Err(fault) => return Err(LoadError::of(fault, path, String::new())),
        };
        if !is_name(&described.name) {
            return Err(LoadError::Name { path, name: described.name });
        }
        Ok(Self { path, object, described })
    }

    /// The plugin's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.described.name
    }

    /// The plugin's own version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.described.version
    }

    /// Has the plugin register itself with these settings. It stays loaded until the process ends, whatever
    /// comes of it.
    ///
    /// # Errors
    /// It has no entry, refuses, or asks for what cannot be had.
    pub fn start(self, settings: &Settings) -> Result<LoadedPlugin, LoadError> {
        let Self { path, object, described } = self;
        match object.register(&described.name, settings) {
            Ok(functions) => Ok(LoadedPlugin { path, functions, unknown: settings.unknown().collect() }),
            Err(fault) => Err(LoadError::of(fault, path, described.name)),
        }
    }
}

impl LoadedPlugin {
    /// Has a plugin in Rust that is part of this program register itself, as if it had been loaded: for its
    /// tests, and for programs that bring their own.
    ///
    /// # Errors
    /// It refuses, or asks for what cannot be had.
    pub fn built_in<P: Plugin>(name: &str, settings: &Settings) -> Result<Self, LoadError> {
        let path = PathBuf::from("this program");
        if !is_name(name) {
            return Err(LoadError::Name { path, name: name.to_owned() });
        }
        match object::built_in::<P>(name, settings) {
            Ok(functions) => Ok(Self { path, functions, unknown: settings.unknown().collect() }),
            Err(fault) => Err(LoadError::of(fault, path, name.to_owned())),
        }
    }

    /// Settings that the plugin did not ask for: it does not know them.
    #[must_use]
    pub fn unknown_settings(&self) -> &[String] {
        &self.unknown
    }

    /// Adds its hooks and storages to a registry: the lifecycle callbacks under the plugin's name, a removal
    /// hook under that name, a slash, and its own. The plugin is closed when the registry and all workers made
    /// from it are gone.
    ///
    /// # Errors
    /// A name is in use, there are too many, or the workers have started. Then some of its hooks may be
    /// registered: the registry should not be used.
    pub fn register(self, registry: &mut Registry) -> Result<(), LoadError> {
        let Self { path, functions, .. } = self;
        let name = functions.name.clone();
        functions.register(registry).map_err(|source| LoadError::Register { path, name, source })
    }
}

impl LoadError {
    fn of(fault: Fault, path: PathBuf, name: String) -> Self {
        match fault {
            Fault::NoSymbol(symbol) => Self::NoSymbol { path, symbol },
            Fault::Version(found) => Self::Version { path, found },
            Fault::Sizes { host, plugin } => Self::Sizes { path, host, plugin },
            Fault::Refused(status, message) if message.is_empty() => {
                Self::Refused { path, name, status, message: "it does not say why".to_owned() }
            }
            Fault::Refused(status, message) => Self::Refused { path, name, status, message },
            Fault::Table(reason) => Self::Table { path, name, reason },
        }
    }
}

/// Does the file begin as shared objects do?
fn begins_as_object(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let mut magic = Vec::with_capacity(4);
    file.by_ref().take(4).read_to_end(&mut magic)?;
    Ok(magic == b"\x7fELF")
}
