//! How far a run got, from the lines that libFuzzer prints about it.

use std::fmt;

/// Executions and the edges that they reached.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    executions: u64,
    /// Edges that there are.
    edges: u64,
    /// Reached by the corpus that was there before.
    first: u64,
    /// Reached by now.
    reached: u64,
    /// The execution that reached the last one; 0 where the corpus had reached all of them.
    last_new: u64,
}

impl Progress {
    /// Reads a line: `#12 NEW cov: 34 ft: 56 …`, where `ft` is not looked at, for it counts how often edges are
    /// passed; the number of edges there are; or the number of executions at the end.
    pub(super) fn note(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("INFO:") => {
                if let Some((_, edges)) = line.split_once("modules   (") {
                    self.edges = leading(edges);
                }
            }
            Some("stat::number_of_executed_units:") => self.executions = words.next().map_or(0, leading),
            Some(word) => {
                let Some(execution) = word.strip_prefix('#').and_then(|word| word.parse().ok()) else {
                    return;
                };
                self.executions = execution;
                let event = words.next();
                if words.next() != Some("cov:") {
                    return;
                }
                let reached = words.next().map_or(0, leading);
                match event {
                    // The corpus is still being read.
                    _ if self.first == 0 && event != Some("INITED") => {}
                    Some("INITED") => (self.first, self.reached) = (reached, reached),
                    _ if reached > self.reached => (self.reached, self.last_new) = (reached, execution),
                    _ => {}
                }
            }
            None => {}
        }
    }

    /// Was no edge new in the second half of the executions?
    const fn is_at_plateau(&self) -> bool {
        self.executions > 0 && self.last_new * 2 <= self.executions
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { executions, edges, first, reached, last_new } = self;
        write!(f, "{executions} executions, {first} edges of {edges} before and {reached} after")?;
        if *last_new > 0 {
            write!(f, ", the last new one at execution {last_new}")?;
        }
        f.write_str(if self.is_at_plateau() { ": a plateau" } else { ": no plateau yet" })
    }
}

fn leading(text: &str) -> u64 {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str = "\
INFO: Seed: 674135915
INFO: Loaded 1 modules   (2564 inline 8-bit counters): 2564 [0x558a0677a1b8, 0x558a0677abbc),
#64\tpulse  cov: 500 ft: 3000 corp: 300/86Kb exec/s: 0 rss: 28Mb
#518\tINITED cov: 600 ft: 3129 corp: 365/86Kb exec/s: 0 rss: 28Mb
";

    fn check(lines: &str, expected: &str) {
        let mut progress = Progress::default();
        START.lines().chain(lines.lines()).for_each(|line| progress.note(line));
        assert_eq!(progress.to_string(), expected);
    }

    #[test]
    fn a_plateau_is_half_of_a_run_without_a_new_edge() {
        check(
            "#1000\tDONE   cov: 600 ft: 3130 corp: 366/86Kb lim: 700 exec/s: 0 rss: 28Mb",
            "1000 executions, 600 edges of 2564 before and 600 after: a plateau",
        );
        check(
            "#1000\tNEW    cov: 602 ft: 3130 corp: 366/86Kb lim: 700 exec/s: 0\n\
             #1500\tREDUCE cov: 602 ft: 3131 corp: 366/86Kb\n\
             stat::number_of_executed_units: 1999",
            "1999 executions, 600 edges of 2564 before and 602 after, the last new one at execution 1000: \
             no plateau yet",
        );
        check(
            "#1000\tNEW    cov: 602 ft: 3130 corp: 366/86Kb lim: 700 exec/s: 0\n\
             stat::number_of_executed_units: 2000",
            "2000 executions, 600 edges of 2564 before and 602 after, the last new one at execution 1000: \
             a plateau",
        );
    }

    #[test]
    fn what_has_no_coverage_is_no_progress() {
        let mut progress = Progress::default();
        for line in ["", "thread panicked at '#7'", "#x", "==17== ERROR: libFuzzer: deadly signal"] {
            progress.note(line);
        }
        assert_eq!(progress, Progress::default());
        assert_eq!(progress.to_string(), "0 executions, 0 edges of 0 before and 0 after: no plateau yet");
    }
}
