//! Exception policies: what happens to a packet or flow when the engine meets a limit or something
//! it cannot make sense of. Words, inheritance and the refused combinations are Suricata's.

use super::diagnostic::Diagnostic;
use super::section::Section;
use super::value::words;

/// A policy as it acts, after `auto` and inheritance.
pub use portcullis_engine::ExceptionPolicy;

words! {
    /// A policy as written.
    pub(crate) PolicyWord {
        /// Drop what can be dropped inline, else ignore.
        Auto = "auto",
        /// Drop the packet and the rest of its flow.
        DropFlow = "drop-flow",
        /// Drop the packet.
        DropPacket = "drop-packet",
        /// Drop the flow and tell the sender.
        Reject = "reject",
        /// Drop the flow and tell both ends.
        RejectBoth = "rejectboth",
        /// Pass the flow without looking at it again, in the kernel where possible.
        Bypass = "bypass",
        /// Pass the flow uninspected.
        PassFlow = "pass-flow",
        /// Pass the packet uninspected.
        PassPacket = "pass-packet",
        /// Go on as if nothing had been.
        Ignore = "ignore",
    }
}

/// The policy that the others inherit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Master {
    /// What was set; `auto` where nothing was.
    word: PolicyWord,
    /// Can packets be dropped?
    inline: bool,
}

impl Master {
    /// Reads `exception-policy`. Where nothing can be dropped, a policy that drops is ignored, with
    /// a warning.
    pub(crate) fn read(section: &mut Section<'_>, inline: bool) -> Self {
        let mut word = section.or("exception-policy", PolicyWord::Auto);
        let master = Self { word, inline };
        if master.resolve(word, false).drops() && !inline {
            let message = format!("`exception-policy` is ignored: {} needs inline mode", word.word());
            section.note(Diagnostic::warning(message, section.place("exception-policy")));
            word = PolicyWord::Ignore;
        }
        Self { word, inline }
    }

    /// A policy of any value: `stream.memcap-policy` and its like.
    pub(crate) fn any_scope(self, section: &mut Section<'_>, key: &'static str) -> ExceptionPolicy {
        let own = section.optional::<PolicyWord>(key);
        let policy = self.resolve(own.unwrap_or(self.word), false);
        self.possible(section, key, policy)
    }

    /// A policy where there is no flow, so that only packets can be acted on: `flow.memcap-policy`
    /// and `defrag.memcap-policy`. Policies for flows are taken as those for packets, with a warning
    /// where one was set right here.
    pub(crate) fn packet_scope(self, section: &mut Section<'_>, key: &'static str) -> ExceptionPolicy {
        let own = section.optional::<PolicyWord>(key);
        let wanted = self.resolve(own.unwrap_or(self.word), false);
        let policy = wanted.in_packet_scope();
        if let Some(own) = own
            && own != PolicyWord::Auto
            && policy != wanted
        {
            let message =
                format!("`{}` acts on packets: {} becomes {}", section.name(key), own.word(), word(policy));
            section.note(Diagnostic::warning(message, section.place(key)));
        }
        self.possible(section, key, policy)
    }

    /// `stream.midstream-policy`: acts on flows only, and with midstream pick-ups allowed it must
    /// not work against them.
    pub(crate) fn midstream(self, section: &mut Section<'_>, midstream: bool) -> ExceptionPolicy {
        let key = "midstream-policy";
        let own = section.optional::<PolicyWord>(key);
        let written = own.unwrap_or(self.word);
        let policy = self.resolve(written, midstream);
        let fault = match policy {
            ExceptionPolicy::DropPacket | ExceptionPolicy::PassPacket => Some("it acts on whole flows"),
            ExceptionPolicy::Ignore | ExceptionPolicy::PassFlow => None,
            _ if midstream => Some("with stream.midstream only ignore and pass-flow are possible"),
            ExceptionPolicy::DropFlow if !self.inline => Some("dropping needs inline mode"),
            _ => None,
        };
        let Some(fault) = fault else { return self.possible(section, key, policy) };
        if own.is_some() {
            section.bad_value(
                key,
                &format!("{} is not possible: {fault}", written.word()),
                &section.place(key),
            );
        } else {
            let message = format!("`stream.midstream-policy` cannot inherit {}: {fault}", written.word());
            let place = section.place("midstream");
            section
                .note(Diagnostic::error(message, place).with_help("set `stream.midstream-policy` as well"));
        }
        ExceptionPolicy::Ignore
    }

    /// A policy that drops is ignored where nothing can be dropped, with a warning where it was set.
    fn possible(self, section: &Section<'_>, key: &str, policy: ExceptionPolicy) -> ExceptionPolicy {
        if self.inline || !policy.drops() {
            return policy;
        }
        let message = format!("`{}` is ignored: {} needs inline mode", section.name(key), word(policy));
        section.note(Diagnostic::warning(message, section.place(key)));
        ExceptionPolicy::Ignore
    }

    fn resolve(self, word: PolicyWord, midstream: bool) -> ExceptionPolicy {
        match word {
            PolicyWord::Auto if self.inline && !midstream => ExceptionPolicy::DropFlow,
            PolicyWord::Auto | PolicyWord::Ignore => ExceptionPolicy::Ignore,
            PolicyWord::DropFlow => ExceptionPolicy::DropFlow,
            PolicyWord::DropPacket => ExceptionPolicy::DropPacket,
            PolicyWord::Reject => ExceptionPolicy::Reject,
            PolicyWord::RejectBoth => ExceptionPolicy::RejectBoth,
            PolicyWord::Bypass => ExceptionPolicy::Bypass,
            PolicyWord::PassFlow => ExceptionPolicy::PassFlow,
            PolicyWord::PassPacket => ExceptionPolicy::PassPacket,
        }
    }
}

/// Says of a policy that was set right here that nothing meets it in this build.
pub(crate) fn never_met(section: &Section<'_>, key: &str, why: &str) {
    if section.peek::<PolicyWord>(key).is_some_and(|own| own != PolicyWord::Auto) {
        let message = format!("`{}` is never met: {why}", section.name(key));
        section.note(Diagnostic::warning(message, section.place(key)));
    }
}

/// A resolved policy as it is written.
fn word(policy: ExceptionPolicy) -> &'static str {
    let word = match policy {
        ExceptionPolicy::Ignore => PolicyWord::Ignore,
        ExceptionPolicy::DropFlow => PolicyWord::DropFlow,
        ExceptionPolicy::DropPacket => PolicyWord::DropPacket,
        ExceptionPolicy::Reject => PolicyWord::Reject,
        ExceptionPolicy::RejectBoth => PolicyWord::RejectBoth,
        ExceptionPolicy::Bypass => PolicyWord::Bypass,
        ExceptionPolicy::PassFlow => PolicyWord::PassFlow,
        ExceptionPolicy::PassPacket => PolicyWord::PassPacket,
    };
    word.word()
}
