//! Exception policies: what happens to a packet or flow when the engine meets a limit or something
//! it cannot make sense of. Words, inheritance and the refused combinations are Suricata's.

use super::diagnostic::{Diagnostic, Place};
use super::section::Section;
use super::value::words;

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

/// A policy as it acts, after `auto` and inheritance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExceptionPolicy {
    /// Go on as if nothing had been.
    Ignore,
    /// Drop the packet and the rest of its flow.
    DropFlow,
    /// Drop the packet.
    DropPacket,
    /// Drop the flow and tell the sender.
    Reject,
    /// Drop the flow and tell both ends.
    RejectBoth,
    /// Pass the flow without looking at it again.
    Bypass,
    /// Pass the flow uninspected.
    PassFlow,
    /// Pass the packet uninspected.
    PassPacket,
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
        let drops = matches!(
            word,
            PolicyWord::DropFlow | PolicyWord::DropPacket | PolicyWord::Reject | PolicyWord::RejectBoth
        );
        if drops && !inline {
            let message = format!("`exception-policy` is ignored: {} needs inline mode", word.word());
            section.note(Diagnostic::warning(message, section.place("exception-policy")));
            word = PolicyWord::Ignore;
        }
        Self { word, inline }
    }

    /// `flow.memcap-policy`: there is no flow, so only packets can be acted on, and policies for
    /// flows are taken as those for packets, with a warning where one was set right here.
    pub(crate) fn packet_scope(self, section: &mut Section<'_>, key: &'static str) -> ExceptionPolicy {
        let own = section.optional::<PolicyWord>(key);
        let wanted = self.resolve(own.unwrap_or(self.word), false);
        let policy = match wanted {
            ExceptionPolicy::DropFlow => ExceptionPolicy::DropPacket,
            ExceptionPolicy::PassFlow => ExceptionPolicy::PassPacket,
            ExceptionPolicy::Bypass => ExceptionPolicy::Ignore,
            other => other,
        };
        if let Some(own) = own
            && own != PolicyWord::Auto
            && policy != wanted
        {
            let message =
                format!("`{}` acts on packets: {} becomes {}", section.name(key), own.word(), policy.word());
            section.note(Diagnostic::warning(message, section.place(key)));
        }
        if matches!(policy, ExceptionPolicy::Reject | ExceptionPolicy::RejectBoth) {
            let message =
                format!("`{}` drops without telling anybody: rejects are not sent", section.name(key));
            let place = if own.is_some() { section.place(key) } else { Place::Nowhere };
            section.note(Diagnostic::warning(message, place));
        }
        policy
    }

    /// `stream.midstream-policy`: acts on flows only, and with midstream pick-ups allowed it must
    /// not work against them.
    pub(crate) fn midstream(self, section: &mut Section<'_>, midstream: bool) -> ExceptionPolicy {
        let key = "midstream-policy";
        let own = section.optional::<PolicyWord>(key);
        let word = own.unwrap_or(self.word);
        let policy = self.resolve(word, midstream);
        let fault = match policy {
            ExceptionPolicy::DropPacket | ExceptionPolicy::PassPacket => Some("it acts on whole flows"),
            ExceptionPolicy::Ignore | ExceptionPolicy::PassFlow => None,
            _ if midstream => Some("with stream.midstream only ignore and pass-flow are possible"),
            ExceptionPolicy::DropFlow if !self.inline => Some("dropping needs inline mode"),
            _ => None,
        };
        let Some(fault) = fault else {
            if own.is_some_and(|own| own != PolicyWord::Auto) && policy != ExceptionPolicy::Ignore {
                let message = "`stream.midstream-policy` is not carried out: TCP streams are not reassembled";
                section.note(Diagnostic::warning(message, section.place(key)));
            }
            return policy;
        };
        if own.is_some() {
            section.bad_value(key, &format!("{} is not possible: {fault}", word.word()), &section.place(key));
        } else {
            let message = format!("`stream.midstream-policy` cannot inherit {}: {fault}", word.word());
            let place = section.place("midstream");
            section
                .note(Diagnostic::error(message, place).with_help("set `stream.midstream-policy` as well"));
        }
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

impl ExceptionPolicy {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ignore => "ignore",
            Self::DropFlow => "drop-flow",
            Self::DropPacket => "drop-packet",
            Self::Reject => "reject",
            Self::RejectBoth => "rejectboth",
            Self::Bypass => "bypass",
            Self::PassFlow => "pass-flow",
            Self::PassPacket => "pass-packet",
        }
    }
}
