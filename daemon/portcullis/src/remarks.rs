//! What is wrong with rules, for people and for programs.

use crate::rules::LoadedRules;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use portcullis_detect::RuleError;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Columns that a rule's line is cut to, around its fault.
const WIDTH: usize = 120;

/// Most keywords named in the summary.
const KEYWORDS_MAX: usize = 20;

/// Every fault with its place underlined, then a summary by keyword; empty where nothing is wrong.
#[must_use]
pub fn render(rules: &LoadedRules, styled: bool) -> String {
    let renderer = if styled { Renderer::styled() } else { Renderer::plain() }.term_width(WIDTH);
    let mut out = String::new();
    for pattern in &rules.unmatched {
        let _ = writeln!(out, "warning: no rule file matches {}", pattern.display());
    }
    for remark in &rules.remarks {
        let _ = writeln!(out, "warning: {remark}");
    }
    for error in &rules.errors {
        out.push_str(&fault(error, &renderer));
        out.push_str("\n\n");
    }
    if rules.errors.len() > 1 {
        out.push_str(&by_keyword(rules));
    }
    out
}

fn fault(error: &RuleError, renderer: &Renderer) -> String {
    let start = (error.column - 1).min(error.text.len());
    let end = start.saturating_add(error.length).min(error.text.len());
    let annotation = AnnotationKind::Primary.span(start..end);
    let snippet =
        Snippet::source(&error.text).path(&error.file).line_start(error.line).annotation(annotation);
    let group = Level::ERROR.primary_title(error.reason.as_str()).element(snippet);
    let group = match &error.help {
        Some(help) => group.element(Level::HELP.message(help.as_str())),
        None => group,
    };
    renderer.render(&[group])
}

/// How many faults each keyword has.
fn by_keyword(rules: &LoadedRules) -> String {
    let counts = rules.faults_by_keyword();
    let mut out = format!("{} faults in {} refused rules:", rules.errors.len(), rules.refused);
    for (keyword, count) in counts.iter().take(KEYWORDS_MAX) {
        let _ = write!(out, "\n{count:8}  {}", keyword.unwrap_or("(header, or the rule as a whole)"));
    }
    let more: usize = counts.iter().skip(KEYWORDS_MAX).map(|(_, count)| count).sum();
    if more > 0 {
        let _ = write!(out, "\n{more:8}  (other keywords)");
    }
    out.push('\n');
    out
}

/// The same for programs.
#[must_use]
pub fn to_json(rules: &LoadedRules) -> Value {
    let errors: Vec<Value> = rules.errors.iter().map(error_json).collect();
    let by_keyword: serde_json::Map<String, Value> = rules
        .faults_by_keyword()
        .into_iter()
        .map(|(keyword, count)| (keyword.unwrap_or("").to_owned(), count.into()))
        .collect();
    let unmatched: Vec<String> = rules.unmatched.iter().map(|path| path.display().to_string()).collect();
    json!({
        "files": rules.files,
        "loaded": rules.rules.len(),
        "refused": rules.refused,
        "disabled": rules.disabled,
        "faults_by_keyword": by_keyword,
        "errors": errors,
        "unmatched": unmatched,
    })
}

fn error_json(error: &RuleError) -> Value {
    json!({
        "file": error.file,
        "line": error.line,
        "column": error.column,
        "length": error.length,
        "sid": error.sid,
        "keyword": error.keyword,
        "message": error.reason,
        "help": error.help,
        "text": error.text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_detect::{LoadOptions, RuleSet, Source};

    fn load(text: &str) -> LoadedRules {
        let source = Source { name: "a.rules", text: text.as_bytes() };
        let loaded = RuleSet::load(&[source], &LoadOptions::default());
        let (refused, disabled) = (loaded.refused, loaded.disabled);
        LoadedRules {
            rules: loaded.rules,
            errors: loaded.errors,
            refused,
            disabled,
            remarks: loaded.remarks,
            files: 1,
            unmatched: vec![],
        }
    }

    #[test]
    fn a_fault_is_underlined_and_a_word_suggested() {
        let shown = render(&load("\nalert ip any any -> any any (contnet:\"a\"; sid:5;)\n"), false);
        let expected = "\
error: unknown keyword `contnet`
 --> a.rules:2:30
  |
2 | alert ip any any -> any any (contnet:\"a\"; sid:5;)
  |                              ^^^^^^^
  |
  = help: did you mean `content`?

";
        assert_eq!(shown, expected);
        assert_eq!(render(&load("alert ip any any -> any any (sid:5;)"), false), "");
    }

    #[test]
    fn several_faults_are_summed_up_by_keyword() {
        let rule = |sid: u32| format!("alert ip any any -> any any (http.uri; file.data; sid:{sid};)\n");
        let shown = render(&load(&format!("{}{}alert x\n", rule(1), rule(2))), false);
        assert!(
            shown.contains("5 faults in 3 refused rules:\n       2  file.data\n       2  http.uri\n"),
            "{shown}"
        );
    }

    #[test]
    fn programs_get_all_of_it() {
        let object =
            to_json(&load("# alert ip any any -> any any (sid:1;)\nalert ip any any -> any any (sid:x;)\n"));
        assert_eq!(
            (&object["loaded"], &object["refused"], &object["disabled"]),
            (&0.into(), &1.into(), &1.into())
        );
        let error = &object["errors"][0];
        assert_eq!(
            (&error["line"], &error["column"], &error["keyword"]),
            (&2.into(), &34.into(), &"sid".into())
        );
        assert_eq!(object["faults_by_keyword"]["sid"], 1);
    }
}
