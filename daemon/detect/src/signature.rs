//! What a rule says about itself.

use std::fmt;

/// What a rule does when it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Lets the packet or flow through unjudged by rules of lower order.
    Pass,
    /// Drops the packet or flow, and logs.
    Drop,
    /// Drops and answers the sender.
    Reject,
    /// Logs.
    Alert,
}

impl Action {
    /// Suricata's default `action-order`.
    pub const DEFAULT_ORDER: [Self; 4] = [Self::Pass, Self::Drop, Self::Reject, Self::Alert];

    /// The word in a rule and in `action-order`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Drop => "drop",
            Self::Reject => "reject",
            Self::Alert => "alert",
        }
    }

    /// The action called `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::DEFAULT_ORDER.into_iter().find(|action| action.name() == name)
    }
}

/// A loaded rule's description, as alert records need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// What it does.
    pub action: Action,
    /// Generator id (`gid`); 1 unless given.
    pub gid: u32,
    /// Signature id (`sid`).
    pub sid: u32,
    /// Revision (`rev`); 0 unless given.
    pub rev: u32,
    /// The message (`msg`); empty unless given. EVE's `alert.signature`.
    pub msg: String,
    /// Short name of the class (`classtype`); empty unless given.
    pub classtype: String,
    /// The class's description, EVE's `alert.category`; empty unless a class is given.
    pub category: String,
    /// Priority, EVE's `alert.severity`: from `priority`, else the class, else 3. 1 is the most urgent.
    pub priority: u8,
    /// Where to read more (`reference`), in the order given.
    pub references: Vec<Reference>,
    /// Keys with their values (`metadata`), keys in order of first appearance.
    pub metadata: Vec<Metadata>,
    /// Which side is the target of the attack (`target`), where the rule says so.
    pub target: Option<Target>,
    /// Are matches kept out of the log (`noalert`)?
    pub noalert: bool,
    /// Does it only tell what it would drop ([`RuleChange::WouldDrop`](crate::RuleChange::WouldDrop))?
    pub would_drop: bool,
}

/// The side of a packet that an attack is aimed at: EVE's `alert.target`; the other is `alert.source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The packet's source (`src_ip`).
    Source,
    /// The packet's destination (`dest_ip`).
    Destination,
}

/// One key of `metadata` with all its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// The key.
    pub key: String,
    /// Its values, in the order given; none for a key that stands alone.
    pub values: Vec<String>,
}

/// One `reference`: displayed in EVE's form, the address it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The system: `url`, `cve`, …
    pub system: String,
    /// The reference within it.
    pub value: String,
}

impl fmt::Display for Reference {
    /// The address, by the public `reference.config` prefixes; `system,value` for a system not in it.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = PREFIXES.iter().find(|(system, _)| system.eq_ignore_ascii_case(&self.system));
        match known {
            Some((_, prefix)) => write!(out, "{prefix}{}", self.value),
            None => write!(out, "{},{}", self.system, self.value),
        }
    }
}

/// Address prefixes of the reference systems, as every Snort and Suricata installation has them.
const PREFIXES: &[(&str, &str)] = &[
    ("arachnids", "http://www.whitehats.com/info/IDS"),
    ("bid", "http://www.securityfocus.com/bid/"),
    ("bugtraq", "http://www.securityfocus.com/bid/"),
    ("cve", "http://cve.mitre.org/cgi-bin/cvename.cgi?name="),
    ("et", "http://doc.emergingthreats.net/"),
    ("etpro", "http://doc.emergingthreatspro.com/"),
    ("exploitdb", "http://www.exploit-db.com/exploits/"),
    ("mcafee", "http://vil.nai.com/vil/content/v_"),
    ("md5", "http://www.threatexpert.com/report.aspx?md5="),
    ("msft", "http://technet.microsoft.com/security/bulletin/"),
    ("nessus", "http://cgi.nessus.org/plugins/dump.php3?id="),
    ("osvdb", "http://osvdb.org/show/osvdb/"),
    ("secunia", "http://www.secunia.com/advisories/"),
    ("securitytracker", "http://securitytracker.com/id?"),
    ("telus", "http://"),
    ("threatexpert", "http://www.threatexpert.com/report.aspx?md5="),
    ("url", "http://"),
    ("xforce", "http://xforce.iss.net/xforce/xfdb/"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_show_the_address_they_stand_for() {
        let check = |system: &str, value: &str, expect: &str| {
            let reference = Reference { system: system.into(), value: value.into() };
            assert_eq!(reference.to_string(), expect);
        };
        check("url", "example.org/a", "http://example.org/a");
        check("CVE", "2020-1", "http://cve.mitre.org/cgi-bin/cvename.cgi?name=2020-1");
        check("house", "7", "house,7");
    }

    #[test]
    fn actions_have_the_names_of_rules() {
        for action in Action::DEFAULT_ORDER {
            assert_eq!(Action::from_name(action.name()), Some(action));
        }
        assert_eq!(Action::from_name("Alert"), None);
    }
}
