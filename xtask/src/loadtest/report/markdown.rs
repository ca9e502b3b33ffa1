//! The summary in Markdown.

use super::super::results::Results;
use super::tables::{self, Table};

/// All tables, with what they were measured on.
pub(crate) fn summary(results: &Results) -> String {
    let mut text = String::from("# Load test\n\n");
    for (name, value) in super::html::facts(&results.machine) {
        text.push_str(&format!("- {name}: {value}\n"));
    }
    for note in &results.notes {
        text.push_str(&format!("- {note}\n"));
    }
    text.push_str("\nMedians; in brackets the least and the most of several rounds.\n");
    for table in tables::all(results) {
        set(&table, &mut text);
    }
    text
}

fn set(table: &Table, text: &mut String) {
    let row = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    text.push_str(&format!("\n## {}\n\n", capitalised(&table.title)));
    text.push_str(&row(&table.head));
    text.push_str(&format!("|{}\n", "---|".repeat(table.head.len())));
    for cells in &table.rows {
        text.push_str(&row(cells));
    }
}

/// With a capital letter in front.
pub(crate) fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
