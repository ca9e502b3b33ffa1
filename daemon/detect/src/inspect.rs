//! Judging one packet.

use crate::content::{Haystack, Unsure, Work};
use crate::group::{Group, Selection};
use crate::host::{Becomes, Hosts};
use crate::input::Input;
use crate::matcher::Filter;
use crate::outcome::{Alert, Outcome, RejectTo, Scope, Unjudged, Verdict};
use crate::rule::{Match, Rule};
use crate::ruleset::{RuleId, RuleSet};
use crate::scratch::Scratch;
use crate::signature::Action;

impl RuleSet {
    /// Asks all rules that can match about one packet, in rule order: by action order, what they do with
    /// flow bits, priority, then order of loading, as Suricata does.
    ///
    /// The first `pass` or `drop` that matches decides ([`Outcome::verdict`]). A `pass` also ends the
    /// inspection; after a `drop` the rules that follow may still alert. A drop reaches the flow when a
    /// later rule of the packet drops the flow, too.
    ///
    /// A flow whose verdict was pass or drop need not be asked about again: its action stands.
    ///
    /// Without state about hosts: no bit of theirs is set, and thresholds do not count. Where
    /// [`uses_hosts`](Self::uses_hosts), ask [`inspect_with`](Self::inspect_with).
    pub fn inspect<'s>(&self, input: &Input<'_>, scratch: &'s mut Scratch) -> Outcome<'s> {
        self.inspect_with(input, scratch, &Hosts::default())
    }

    /// As [`inspect`](Self::inspect), with state about hosts.
    pub fn inspect_with<'s>(
        &self,
        input: &Input<'_>,
        scratch: &'s mut Scratch,
        hosts: &Hosts<'_>,
    ) -> Outcome<'s> {
        scratch.clear(self.groups.patterns_max);
        let direction = input.flow.map(|flow| flow.direction);
        let Some(selection) = self.groups.select(input.decoded, direction) else {
            return Outcome::default();
        };
        let mut left = self.packet_work_max.saturating_add(work_for(input.payload));
        let unjudged = self.collect(input, &selection, scratch, &mut left);
        let Scratch { alerts, lower, candidates, memory, .. } = scratch;
        // Few packets have candidates, and few of those look for anything in either case.
        let wants_lower = |id: &u32| self.rules.get(*id as usize).is_some_and(Rule::wants_lower);
        let lower = candidates.iter().any(wants_lower).then(|| {
            lower.extend_from_slice(input.payload);
            lower.make_ascii_lowercase();
            lower.as_slice()
        });
        let mut judge = Judge {
            alerts,
            alerts_max: self.packet_alert_max(),
            has_flow: input.flow.is_some(),
            input,
            hosts,
            rules: self,
            outcome: Outcome { unjudged, ..Outcome::default() },
        };
        let mut work = Work { left, memory: memory.as_mut() };
        let haystack = Haystack { bytes: input.payload, lower };
        for &id in candidates.iter() {
            let Some(rule) = self.rules.get(id as usize) else { continue };
            match rule.matches(input, haystack, &mut work) {
                Ok(None) => {}
                Ok(Some(_)) if !rule.host.met_by(input.decoded, hosts) => {}
                Ok(Some(matched)) => {
                    if judge.matched(RuleId(id), rule, matched) == Next::End {
                        break;
                    }
                }
                Err(limit) => judge.unjudged(rule, limit),
            }
        }
        let Judge { alerts, outcome, .. } = judge;
        Outcome { alerts, ..outcome }
    }

    /// Puts the rules to be asked into the scratch, in their order; what a search cut short left out is told.
    fn collect(
        &self,
        input: &Input<'_>,
        selection: &Selection<'_>,
        scratch: &mut Scratch,
        work: &mut u32,
    ) -> Unjudged {
        let packet = input.decoded;
        let mut unjudged = Unjudged::default();
        let candidates = &mut scratch.candidates;
        let mut add = |rules: &[u32]| candidates.extend_from_slice(rules);
        if input.flow.is_none_or(|flow| flow.first_in_direction) {
            selection.ip_only.search(packet, &mut add);
            add(selection.ip_only_broad);
        }
        add(selection.events);
        let wide = selection.wide;
        let (one, two);
        let (groups, filter): (&[&Group], &Filter) = match selection.narrow {
            Some((narrow, filter)) => {
                two = [wide, narrow];
                (&two, filter)
            }
            None => {
                one = [wide];
                (&one, wide.matcher.filter())
            }
        };
        for group in groups {
            group.headers.search(packet, input.flow, |rules| scratch.candidates.extend_from_slice(rules));
        }
        if scratch.search(groups, filter, input.payload, work).is_err() {
            for group in groups {
                unjudged.rules += group.searched.rules;
                unjudged.drop |= group.searched.drop;
            }
        }
        scratch.candidates.sort_unstable();
        scratch.candidates.dedup();
        unjudged
    }
}

/// The steps that a payload is granted for its length: a long one, as of a stream, costs more to search.
fn work_for(payload: &[u8]) -> u32 {
    u32::try_from(payload.len() / 2).unwrap_or(u32::MAX)
}

/// Does a match end the inspection?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    GoOn,
    End,
}

/// Collects what the matches say.
struct Judge<'s, 'i> {
    alerts: &'s mut Vec<Alert>,
    alerts_max: usize,
    has_flow: bool,
    input: &'i Input<'i>,
    hosts: &'i Hosts<'i>,
    rules: &'i RuleSet,
    outcome: Outcome<'static>,
}

impl Judge<'_, '_> {
    fn matched(&mut self, id: RuleId, rule: &Rule, matched: Match) -> Next {
        let scope = rule.scope(matched, self.has_flow);
        self.outcome.bypass |= rule.bypass;
        if let Some(bits) = self.input.bits {
            for &(change, bit) in &rule.bit_changes {
                self.outcome.bits_refused += u32::from(!change.apply(bit, bits));
            }
        }
        let becomes = self.count(id, rule);
        let action = match becomes {
            Becomes::Nothing => {
                self.outcome.suppressed += 1;
                return Next::GoOn;
            }
            Becomes::Itself | Becomes::Silent => rule.header.action,
            Becomes::Other(action) => action,
        };
        if self.outcome.verdict == Verdict::None {
            self.outcome.rate_filtered = matches!(becomes, Becomes::Other(_)) && action != Action::Alert;
        }
        match action {
            Action::Pass => {
                if self.outcome.verdict == Verdict::None {
                    self.outcome.verdict = Verdict::Pass { scope, rule: id };
                }
                return Next::End;
            }
            Action::Drop | Action::Reject => {
                match &mut self.outcome.verdict {
                    Verdict::Drop { scope: before, .. } if scope == Scope::Flow => *before = scope,
                    Verdict::None => self.outcome.verdict = Verdict::Drop { scope, rule: id },
                    Verdict::Drop { .. } | Verdict::Pass { .. } => {}
                }
                let before = self.outcome.reject;
                let own = match becomes {
                    // A rate filter's `reject` is a rule's.
                    Becomes::Other(action) => (action == Action::Reject).then_some(RejectTo::Source),
                    _ => rule.header.reject,
                };
                self.outcome.reject = match own {
                    Some(to) => Some(before.map_or(to, |before| before.and(to))),
                    None => before,
                };
            }
            Action::Alert => {}
        }
        if rule.noalert || becomes == Becomes::Silent {
            self.outcome.suppressed += 1;
        } else if self.alerts.len() < self.alerts_max {
            let blocked = matches!(action, Action::Drop | Action::Reject);
            self.alerts.push(Alert { rule: id, blocked, stream: matched.stream });
        } else {
            self.outcome.overflow += 1;
        }
        Next::GoOn
    }

    /// Has the match change and counted in the state about hosts; what becomes of it there.
    fn count(&mut self, id: RuleId, rule: &Rule) -> Becomes {
        if rule.host.is_none() {
            return Becomes::Itself;
        }
        let packet = self.input.decoded;
        let rule_ids = self.rules.signature(id).map_or((0, 0), |signature| (signature.gid, signature.sid));
        let unchanged = rule.host.change(packet, self.hosts);
        let (becomes, uncounted) = rule.host.judge(rule_ids, packet, self.hosts);
        self.outcome.host_refused += unchanged + uncounted;
        becomes
    }

    fn unjudged(&mut self, rule: &Rule, limit: Unsure) {
        let Unjudged { rules, pcre, drop } = &mut self.outcome.unjudged;
        *rules += 1;
        *pcre += u32::from(limit == Unsure::Pcre);
        *drop |= matches!(rule.header.action, Action::Drop | Action::Reject);
    }
}

#[cfg(test)]
mod tests;
