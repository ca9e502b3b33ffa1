//! Judging one packet.

use crate::content::{Haystack, Unsure, Work};
use crate::group::{Group, Selection};
use crate::host::{Becomes, Hosts};
use crate::input::Input;
use crate::matcher::Filter;
use crate::outcome::{Alert, Outcome, RejectTo, Scope, Unjudged, Verdict};
use crate::rule::{Match, Rule, Searched};
use crate::ruleset::{RuleId, RuleSet};
use crate::scratch::{ON_STREAM_MAX, Scratch};
use crate::signature::Action;
use crate::stream::StreamWindow;

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
        self.inspect_stream(input, StreamWindow::of_payload(input), scratch, hosts)
    }

    /// As [`inspect_with`](Self::inspect_with), with a window of the packet's stream: the new bytes in it,
    /// and before them as much as [`stream_reach`](Self::stream_reach) asks for.
    pub fn inspect_stream<'s>(
        &self,
        input: &Input<'_>,
        window: Option<StreamWindow<'_>>,
        scratch: &'s mut Scratch,
        hosts: &Hosts<'_>,
    ) -> Outcome<'s> {
        scratch.clear(self.groups.patterns_max);
        let direction = input.flow.map(|flow| flow.direction);
        let has_events =
            !input.decoded.events.is_empty() || input.flow.is_some_and(|flow| !flow.stream_events.is_empty());
        let Some(selection) = self.groups.select(input.decoded, direction, has_events) else {
            return Outcome::default();
        };
        // Most often the payload is what is new in the window, and needs no search of its own.
        let place = window.and_then(|window| window.place_of(input.payload));
        let windowed = window.map_or(&[][..], |window| window.bytes);
        let texts = [windowed, if place.is_some() { &[] } else { input.payload }];
        let granted = work_for(texts[0]).saturating_add(work_for(texts[1]));
        let work_max = self.packet_work_max.saturating_add(granted);
        let mut left = work_max;
        let unjudged = self.collect(input, texts, &selection, scratch, &mut left);
        let Scratch { alerts, lower, stream, on_stream, candidates, memory, .. } = scratch;
        // Few packets have candidates, and few of those look for anything in either case.
        let wants_lower = |id: &u32| self.rules.get(*id as usize).is_some_and(Rule::wants_lower);
        let lowered = candidates.iter().any(wants_lower);
        if lowered {
            for (into, text) in [(&mut *stream, texts[0]), (&mut *lower, texts[1])] {
                into.extend_from_slice(text);
                into.make_ascii_lowercase();
            }
        }
        let mut judge = Judge {
            alerts,
            on_stream,
            alerts_max: self.packet_alert_max(),
            has_flow: input.flow.is_some(),
            input,
            hosts,
            rules: self,
            outcome: Outcome { unjudged, ..Outcome::default() },
        };
        let mut work = Work { left, memory: memory.as_mut() };
        let lower = place.map_or(&lower[..], |place| stream.get(place..).unwrap_or(&[]));
        let lower = lower.get(..input.payload.len()).filter(|_| lowered);
        let payload = Haystack { bytes: input.payload, lower };
        let stream = window.map(|window| (window, Some(&stream[..]).filter(|_| lowered)));
        let searched = Searched { payload, stream };
        for &id in candidates.iter() {
            let Some(rule) = self.rules.get(id as usize) else { continue };
            match rule.matches(RuleId(id), input, searched, &mut work) {
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
        let Judge { alerts, on_stream, outcome, .. } = judge;
        Outcome { alerts, on_stream, work: work_max - work.left, ..outcome }
    }

    /// Puts the rules to be asked into the scratch, in their order; what a search cut short left out is told.
    fn collect(
        &self,
        input: &Input<'_>,
        texts: [&[u8]; 2],
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
        for text in texts.into_iter().filter(|text| !text.is_empty()) {
            if scratch.search(groups, filter, text, work).is_err() {
                for group in groups {
                    unjudged.rules += group.searched.rules;
                    unjudged.drop |= group.searched.drop;
                }
            }
        }
        scratch.candidates.sort_unstable();
        scratch.candidates.dedup();
        unjudged
    }
}

/// The steps that a payload is granted for its length: a long one, as of a stream, costs more to search.
fn work_for(payload: &[u8]) -> u32 {
    u32::try_from(payload.len().saturating_mul(2)).unwrap_or(u32::MAX)
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
    on_stream: &'s mut Vec<RuleId>,
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
        if matched.stream && self.on_stream.len() < ON_STREAM_MAX {
            self.on_stream.push(id);
        }
        self.outcome.bypass |= rule.bypass;
        if let Some(bits) = self.input.bits {
            for change in &rule.flow_changes {
                self.outcome.bits_refused += u32::from(!change.apply(bits));
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
        let simulated = rule.would_drop && action != Action::Pass;
        if self.outcome.verdict == Verdict::None && !simulated {
            self.outcome.rate_filtered = matches!(becomes, Becomes::Other(_)) && action != Action::Alert;
        }
        match action {
            Action::Pass => {
                if self.outcome.verdict == Verdict::None {
                    self.outcome.verdict = Verdict::Pass { scope, rule: id };
                }
                return Next::End;
            }
            Action::Drop | Action::Reject if !simulated => {
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
            Action::Drop | Action::Reject | Action::Alert => {}
        }
        if rule.noalert || becomes == Becomes::Silent {
            self.outcome.suppressed += 1;
        } else if self.alerts.len() < self.alerts_max {
            self.alerts.push(Alert { rule: id, action, simulated, stream: matched.stream });
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
        *drop |= rule.drops();
    }
}

#[cfg(test)]
mod tests;
