//! Who stands between the hosts: Portcullis, its packet module alone, and the peers.

use anyhow::{Context, Result, ensure};

pub(crate) const PORTCULLIS: &str = "portcullis";
/// Portcullis's own packet module, that accepts every packet: no engine.
pub(crate) const MODULE: &str = "AF_XDP alone";
const REDIRECT: &str = "XDP redirect";
const BRIDGE: &str = "kernel bridge";
const NFTABLES: &str = "nftables bridge";
const TESTPMD: &str = "DPDK testpmd";

/// One that takes turns with the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// How it is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Portcullis,
    /// `portcullis-loadgen forward --how` with this word.
    Forward(&'static str),
    Bridge,
    Nftables,
    Testpmd,
    /// A command of the user's, for the shell.
    Command(String),
}

impl Subject {
    fn new(name: &str, kind: Kind) -> Self {
        Self { name: name.to_owned(), kind }
    }

    /// Portcullis itself.
    pub(crate) fn portcullis() -> Self {
        Self::new(PORTCULLIS, Kind::Portcullis)
    }

    /// Portcullis and all peers that are always there, in the order that readers find them in.
    pub(crate) fn all() -> Vec<Self> {
        vec![
            Self::portcullis(),
            Self::new(MODULE, Kind::Forward("xsk")),
            Self::new(REDIRECT, Kind::Forward("devmap")),
            Self::new(BRIDGE, Kind::Bridge),
            Self::new(NFTABLES, Kind::Nftables),
            Self::new(TESTPMD, Kind::Testpmd),
        ]
    }

    /// One of the user's, from `NAME=COMMAND`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let (name, command) = text.split_once('=').context("a peer is given as NAME=COMMAND")?;
        let (name, command) = (name.trim(), command.trim());
        ensure!(!name.is_empty() && !command.is_empty(), "a peer is given as NAME=COMMAND");
        ensure!(
            Self::all().iter().all(|other| other.name != name),
            "there is a peer of the name \"{name}\" already"
        );
        Ok(Self::new(name, Kind::Command(command.to_owned())))
    }
}

/// The place of a subject among the others: the same everywhere, those of the user last.
pub(crate) fn rank(name: &str) -> usize {
    const ORDER: [&str; 6] = [PORTCULLIS, MODULE, REDIRECT, BRIDGE, NFTABLES, TESTPMD];
    ORDER.iter().position(|other| *other == name).unwrap_or(ORDER.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_of_the_user() {
        let peer = Subject::parse("other gate = run-it --on $PORT_A $PORT_B").unwrap();
        assert_eq!(peer.name, "other gate");
        assert_eq!(peer.kind, Kind::Command("run-it --on $PORT_A $PORT_B".to_owned()));
        for wrong in ["", "name", "=command", "name=", "portcullis=true"] {
            assert!(Subject::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ranks_are_as_the_list_is() {
        for (place, subject) in Subject::all().iter().enumerate() {
            assert_eq!(rank(&subject.name), place);
        }
        assert_eq!(rank("another"), Subject::all().len());
    }
}
