//! What is wrong with the settings, and how it is shown: message, place, the line with a mark under
//! the fault, and what to do about it.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

/// Where a key or a value stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: it is the default, or the fault is that something is missing.
    #[default]
    Nowhere,
    /// These bytes of the configuration file.
    File(Range<usize>),
    /// These bytes of the override with this number, from 0.
    Override(usize, Range<usize>),
}

impl Place {
    /// By what diagnostics are ordered: as the texts run, the file before the overrides.
    pub(crate) const fn order(&self) -> (usize, usize) {
        match self {
            Self::Nowhere => (0, 0),
            Self::File(range) => (1, range.start),
            Self::Override(index, range) => (index.saturating_add(2), range.start),
        }
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The setting has no effect or was changed; everything else holds.
    Warning,
    /// The settings cannot be used.
    Error,
}

/// One fault or remark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, naming the setting.
    pub message: String,
    /// Where.
    pub place: Place,
    /// What may help.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error.
    #[must_use]
    pub fn error(message: impl Into<String>, place: Place) -> Self {
        Self { severity: Severity::Error, message: message.into(), place, help: None }
    }

    /// A warning.
    #[must_use]
    pub fn warning(message: impl Into<String>, place: Place) -> Self {
        Self { severity: Severity::Warning, message: message.into(), place, help: None }
    }

    /// The same with a hint.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// The texts that places point into.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The configuration file as the user named it.
    pub path: Option<PathBuf>,
    /// Its text.
    pub text: String,
    /// The overrides, in the order given.
    pub overrides: Vec<String>,
}

impl Sources {
    /// The diagnostics as text for people, ending in a newline; with terminal colours if `styled`.
    #[must_use]
    pub fn render(&self, diagnostics: &[Diagnostic], styled: bool) -> String {
        let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
        let mut out = String::new();
        for diagnostic in diagnostics {
            out.push_str(&self.render_one(diagnostic, &renderer));
            out.push_str("\n\n");
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
        out
    }

    fn render_one(&self, diagnostic: &Diagnostic, renderer: &Renderer) -> String {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(diagnostic.message.as_str());
        let (name, text, range) = match &diagnostic.place {
            Place::Nowhere => (self.path.as_ref().map(|path| path.display().to_string()), "", None),
            Place::File(range) => {
                let name = self.path.as_ref().map(|path| path.display().to_string());
                (name, self.text.as_str(), Some(range))
            }
            Place::Override(index, range) => {
                (Some("--set".to_owned()), self.overrides.get(*index).map_or("", String::as_str), Some(range))
            }
        };
        let snippet = range.map(|range| {
            let annotation = AnnotationKind::Primary.span(clamp(range, text));
            Snippet::source(text)
                .path(name.unwrap_or_else(|| "<configuration>".to_owned()))
                .annotation(annotation)
        });
        let help = diagnostic.help.as_deref().map(|help| Level::HELP.message(help));
        let group = match (snippet, help) {
            (Some(snippet), Some(help)) => title.element(snippet).element(help),
            (Some(snippet), None) => title.element(snippet),
            (None, Some(help)) => title.element(help),
            (None, None) => annotate_snippets::Group::with_title(title),
        };
        renderer.render(&[group])
    }
}

/// The range cut to the first line it touches and to the text, so that a table that spans pages is
/// marked by its first line.
fn clamp(range: &Range<usize>, text: &str) -> Range<usize> {
    let start = range.start.min(text.len());
    let end = range.end.clamp(start, text.len());
    let first_line = text.get(start..end).and_then(|marked| marked.find('\n')).map_or(end, |at| start + at);
    start..first_line
}

/// Settings that cannot be used, and why.
#[derive(Clone, Debug)]
pub struct ConfigError {
    /// The texts.
    pub sources: Sources,
    /// Every fault and remark, in the order of the texts; at least one is an error.
    pub diagnostics: Vec<Diagnostic>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sources.render(&self.diagnostics, false))
    }
}

impl std::error::Error for ConfigError {}
