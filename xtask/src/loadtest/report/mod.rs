//! What a reader gets: one page with plots, a summary in Markdown, and every number as JSON. All of it is made of the
//! numbers alone, so a page can be made again from the JSON.

mod html;
mod markdown;
pub(crate) mod plot;
mod plots;
mod tables;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::results::Results;

/// The names of the files.
pub(crate) const JSON: &str = "results.json";
const MARKDOWN: &str = "summary.md";
pub(crate) const PAGE: &str = "report.html";

/// Writes all of it into `folder`, with each plot as a file of its own, too.
pub(crate) fn write(results: &Results, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let put = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    put(JSON, &serde_json::to_string_pretty(results)?)?;
    put(MARKDOWN, &markdown::summary(results))?;
    let plots = plots::all(results)?;
    for plot in &plots {
        put(&format!("{}.svg", plot.name), &plot.svg)?;
    }
    put(PAGE, &html::page(results, &plots))
}

/// The numbers that a run has left in `folder`.
pub(crate) fn read(folder: &Path) -> Result<Results> {
    let path = folder.join(JSON);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not what a run leaves", path.display()))
}

#[cfg(test)]
mod tests;
