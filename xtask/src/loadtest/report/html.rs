//! The page: everything in one file, nothing from anywhere else, light or dark as the reader has it.

use super::super::machine::Machine;
use super::super::results::Results;
use super::markdown::capitalised;
use super::plots::Drawn;
use super::tables::{self, Table};

/// Plots are drawn in black on nothing, so ink is what the reader's text is.
const STYLE: &str = "\
:root { color-scheme: light dark; --ink: #1b1b1b; --ground: #fff; --faint: #8884; --bad: #b3261e; --good: #1a6e3c; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e8; --ground: #161618; --bad: #ff9a8f; --good: #7fd6a0; }
}
body { color: var(--ink); background: var(--ground); font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto;
  max-width: 68rem; padding: 0 1rem; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
figure { margin: 1.5rem 0; } figcaption { font-size: .9rem; opacity: .85; }
svg { max-width: 100%; height: auto; }
svg [fill=\"#000000\"] { fill: var(--ink); } svg [stroke=\"#000000\"] { stroke: var(--ink); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--faint); }
td.met { color: var(--good); } td.missed { color: var(--bad); font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; font-size: .9rem; }
dt { font-weight: 600; } dd { margin: 0; overflow-wrap: anywhere; }
";

/// The whole page.
pub(crate) fn page(results: &Results, plots: &[Drawn]) -> String {
    let mut tables = tables::all(results).into_iter();
    let mut body = String::from("<h1>Portcullis: load test</h1>\n<dl>\n");
    for (name, value) in facts(&results.machine) {
        body.push_str(&format!("<dt>{}</dt><dd>{}</dd>\n", escaped(&name), escaped(&value)));
    }
    body.push_str("</dl>\n");
    for note in &results.notes {
        body.push_str(&format!("<p>{}</p>\n", escaped(note)));
    }
    if let Some(marks) = tables.next() {
        set(&marks, &mut body);
    }
    body.push_str("<h2>Plots</h2>\n");
    for plot in plots {
        let svg = plot.svg.replacen(
            "<svg ",
            &format!("<svg role=\"img\" aria-label=\"{}\" ", escaped(&plot.title)),
            1,
        );
        body.push_str(&format!(
            "<figure id=\"{}\">\n{}\n<figcaption>{}</figcaption>\n</figure>\n",
            plot.name,
            // An XML declaration has no place within a page.
            svg.trim_start_matches(|letter| letter != '<'),
            escaped(plot.remark)
        ));
    }
    body.push_str(
        "<h2>Numbers</h2>\n<p>Medians; in brackets the least and the most of several rounds.</p>\n",
    );
    tables.for_each(|table| set(&table, &mut body));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Portcullis: load test, {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n",
        escaped(&results.machine.date)
    )
}

fn set(table: &Table, body: &mut String) {
    body.push_str(&format!(
        "<h2>{}</h2>\n<div class=\"wide\"><table>\n<tr>",
        escaped(&capitalised(&table.title))
    ));
    for cell in &table.head {
        body.push_str(&format!("<th>{}</th>", escaped(cell)));
    }
    body.push_str("</tr>\n");
    for row in &table.rows {
        body.push_str("<tr>");
        for cell in row {
            let class = match cell.as_str() {
                "met" => " class=\"met\"",
                "NOT MET" => " class=\"missed\"",
                _ => "",
            };
            body.push_str(&format!("<td{class}>{}</td>", escaped(cell)));
        }
        body.push_str("</tr>\n");
    }
    body.push_str("</table></div>\n");
}

/// What the numbers were measured on, in order.
pub(crate) fn facts(machine: &Machine) -> Vec<(String, String)> {
    let fact = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut facts = vec![
        fact("Date", &machine.date),
        fact("Commit", &machine.commit),
        fact("Command", &machine.command),
        fact("CPU", &machine.cpu),
        fact("Memory", &machine.memory),
        fact("Virtual", &machine.virtualization),
        fact("Kernel", &machine.kernel),
        fact("Load at the start", &machine.load),
    ];
    facts.extend(machine.versions.iter().cloned());
    facts.extend(machine.peers.iter().map(|(name, command)| (format!("Peer {name}"), command.clone())));
    facts
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
