//! The command line. Defaults that depend on the configuration are stated in the help texts; what
//! the options mean is decided where they are used.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::num::NonZeroU8;
use std::path::PathBuf;

/// What `--help` says below the options.
const EXIT_STATUS: &str = "\
Exit status:
  0  success
  1  the configuration, the rules or the input is wrong
  2  the command line is wrong
  3  something failed while running (a device, a thread, an output)
  4  no daemon answers on the control socket, or it refused the command";

/// Inline intrusion prevention: judges every packet between two ports by Suricata rules, writes EVE JSON
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, after_help = EXIT_STATUS, subcommand_required = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Judge live traffic between the ports of the configuration file
    Run(RunArgs),
    /// What `run` starts to judge, without privileges
    #[command(hide = true)]
    Gate(RunArgs),
    /// Judge the packets of a capture file, with the very code that runs inline
    Replay(ReplayArgs),
    /// Load a configuration and its rules, report everything that is wrong, and change nothing
    Check(CheckArgs),
    /// Send a command to the running daemon and print its answer
    Ctl(CtlArgs),
    /// Look whether this machine and its ports are fit, and say what mends what is not
    Doctor(DoctorArgs),
}

/// Settings from a file and from the command line.
#[derive(Args, Clone, Debug, Default)]
pub struct ConfigArgs {
    /// Configuration file (TOML)
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Override one setting, e.g. --set flow.memcap=256mb; may be given several times
    ///
    /// KEY is the setting's dotted name in the configuration file. VALUE is read as TOML where it
    /// is TOML (numbers, true, ["a", "b"]) and as a plain string otherwise.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// Arguments of `run`.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// Configuration file (TOML)
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    pub config: PathBuf,

    /// Override one setting, e.g. --set capture.workers=4; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,

    /// Directory for the logs, made if missing [default: default-log-dir of the configuration]
    #[arg(short = 'l', long = "log-dir", value_name = "DIR")]
    pub log_dir: Option<PathBuf>,

    /// Do not start if any rule is refused [default: run with the others]
    #[arg(long)]
    pub init_errors_fatal: bool,
}

impl RunArgs {
    /// The words that these arguments are read from.
    pub(crate) fn words(&self) -> Vec<OsString> {
        let mut words = vec!["-c".into(), self.config.clone().into_os_string()];
        for set in &self.set {
            words.extend(["--set".into(), set.into()]);
        }
        if let Some(folder) = &self.log_dir {
            words.extend(["-l".into(), folder.into()]);
        }
        words.extend(self.init_errors_fatal.then(|| "--init-errors-fatal".into()));
        words
    }
}

/// Arguments of `replay`.
#[derive(Args, Clone, Debug)]
pub struct ReplayArgs {
    /// Capture file to read (pcap or pcapng)
    #[arg(value_name = "PCAP")]
    pub pcap: PathBuf,

    /// File and overrides.
    #[command(flatten)]
    pub config: ConfigArgs,

    /// Load this rule file instead of the configured ones
    #[arg(short = 'S', long = "rules", value_name = "RULES")]
    pub rules: Option<PathBuf>,

    /// Directory for the logs, made if missing [default: the configured one with -c, else the current directory]
    #[arg(short = 'l', long = "log-dir", value_name = "DIR")]
    pub log_dir: Option<PathBuf>,

    /// Which checksums to verify [default: as stream.checksum-validation says, which is all]
    #[arg(short = 'k', long = "checksums", value_name = "WHICH")]
    pub checksums: Option<Checksums>,

    /// Judge as if inline: drop rules drop, and policies are those of IPS mode
    #[arg(long)]
    pub simulate_ips: bool,

    /// Worker threads, 1 to 255; any number gives the same records
    #[arg(long, value_name = "N", default_value = "1", value_parser = workers)]
    pub workers: NonZeroU8,

    /// Do not start if any rule is refused [default: judge by the others]
    #[arg(long)]
    pub init_errors_fatal: bool,

    /// Faults to inject.
    #[command(flatten)]
    pub faults: FaultArgs,

    /// Write the packets that were accepted to this capture file
    #[arg(long, value_name = "OUT.pcap")]
    pub write: Option<PathBuf>,
}

/// Faults that `replay` injects, named as in Suricata.
#[derive(Args, Clone, Copy, Debug, Default)]
#[command(next_help_heading = "Faults, to try exception policies")]
pub struct FaultArgs {
    /// Have no memory for a flow that packet N begins
    #[arg(long, value_name = "N")]
    pub simulate_packet_flow_memcap: Option<u64>,

    /// Have no memory for packet N, a fragment
    #[arg(long, value_name = "N")]
    pub simulate_packet_defrag_memcap: Option<u64>,

    /// Have no memory for a TCP session that packet N begins
    #[arg(long, value_name = "N")]
    pub simulate_packet_tcp_ssn_memcap: Option<u64>,

    /// Have no memory for the TCP payload of packet N
    #[arg(long, value_name = "N")]
    pub simulate_packet_tcp_reassembly_memcap: Option<u64>,

    /// Let packet N go by unseen
    #[arg(long, value_name = "N")]
    pub simulate_packet_loss: Option<u64>,
}

fn workers(text: &str) -> Result<NonZeroU8, &'static str> {
    text.parse().map_err(|_| "a number from 1 to 255 is needed")
}

/// Values of `-k`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Checksums {
    /// Verify none: captures taken on the sending host often carry unfinished ones
    None,
    /// Verify all
    All,
}

/// Arguments of `check`.
#[derive(Args, Clone, Debug)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true).args(["config", "rules"])))]
pub struct CheckArgs {
    /// File and overrides.
    #[command(flatten)]
    pub config: ConfigArgs,

    /// Check this rule file instead of the configured ones
    #[arg(short = 'S', long = "rules", value_name = "RULES")]
    pub rules: Option<PathBuf>,

    /// Print what was found as one JSON object, faults included
    #[arg(long)]
    pub json: bool,
}

/// What `doctor --help` says below the options.
const DOCTOR_STATUS: &str = "\
Exit status:
  0  all is as it should be
  1  warnings: it works, but less well than it could
  2  faults: it does not work or loses packets, or the configuration or the command line is wrong";

/// Arguments of `doctor`.
#[derive(Args, Clone, Debug)]
#[command(after_help = DOCTOR_STATUS)]
pub struct DoctorArgs {
    /// Ports to look at, each two of them as a pair
    #[arg(value_name = "IFACE")]
    pub interfaces: Vec<String>,

    /// Look at the ports of this configuration file, and whether it suits them
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,

    /// Apply what mends and is safe: it can be undone, takes nothing from other programs, and does not touch a port
    /// that this host itself talks through
    #[arg(long)]
    pub fix: bool,
}

/// Arguments of `ctl`.
#[derive(Args, Clone, Debug)]
pub struct CtlArgs {
    /// Command to send; command-list shows what the daemon knows. `rule disable SID`, `rule alert-only SID`, `rule would-drop SID` and
    /// `rule enable SID` (or GID:SID) change one rule at once and for good; `flow-end KEY=VALUE...` ends flows;
    /// `explain PROTO SRC[:PORT] DEST[:PORT]` tells what becomes of packets and why, `drops [N]` the last that were dropped;
    /// `restart` has another process take over without a gap, `upgrade` one of the program that is installed now;
    /// `list` shows lists and bypasses, `list reload [NAME]` reads them anew;
    /// `bypass on|off|status` puts the wire into the kernel, uninspected, also where the daemon hangs; `detach` ends the
    /// gate, living, hanging or dead, takes its program off and makes the ports what they were
    #[arg(value_name = "COMMAND", num_args = 1.., required = true)]
    pub command: Vec<String>,

    /// For `bypass` and `detach`: the inline set, where there are several
    #[arg(long, value_name = "NAME")]
    pub set: Option<String>,

    /// For `bypass on`: how long, as in 90s, 10m or 2h [default: until `bypass off`]
    #[arg(long = "for", value_name = "TIME", value_parser = crate::bypass::time)]
    pub time: Option<std::time::Duration>,

    /// For `list reload`: also where more changes than lists.max-change
    #[arg(long)]
    pub force: bool,

    /// Socket of the daemon
    #[arg(long, value_name = "SOCKET", default_value = crate::config::DEFAULT_SOCKET)]
    pub socket: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    fn check(line: &str, expected: Result<(), &str>) {
        let got = Cli::try_parse_from(line.split_whitespace());
        match (got, expected) {
            (Ok(_), Ok(())) => {}
            (Err(error), Err(text)) => {
                let message = error.to_string();
                assert!(message.contains(text), "{line}: {message}");
            }
            (got, _) => panic!("{line}: {got:?}"),
        }
    }

    #[test]
    fn a_gate_gets_what_its_warden_got() {
        for line in
            ["portcullis run -c a.toml", "portcullis run -c a -l b --set c=d --set e=-f --init-errors-fatal"]
        {
            let read = |words: Vec<OsString>| match Cli::parse_from(words).command {
                Command::Run(arguments) | Command::Gate(arguments) => arguments,
                other => panic!("{other:?}"),
            };
            let given = read(line.split(' ').map(OsString::from).collect());
            let again = read([vec!["portcullis".into(), "gate".into()], given.words()].concat());
            assert_eq!(format!("{given:?}"), format!("{again:?}"));
        }
    }

    #[test]
    fn lines() {
        check("portcullis run -c a.toml", Ok(()));
        check("portcullis run", Err("--config <FILE>"));
        check("portcullis replay a.pcap -l out -k none --simulate-ips --set a=b --set c=d -S r", Ok(()));
        check("portcullis replay a.pcap -knone --workers 4 --write out.pcap", Ok(()));
        check("portcullis replay a.pcap --workers 0", Err("'--workers <N>': a number from 1 to 255"));
        check("portcullis replay a.pcap --workers 256", Err("'--workers <N>': a number from 1 to 255"));
        check("portcullis replay a.pcap --simulate-packet-flow-memcap=7", Ok(()));
        check("portcullis replay a.pcap --simulate-packet-defrag-memcap=7", Ok(()));
        check("portcullis replay a.pcap --simulate-packet-flow-memcap=x", Err("'x'"));
        check("portcullis replay a.pcap -k some", Err("possible values: none, all"));
        check("portcullis replay", Err("<PCAP>"));
        check("portcullis check", Err("required"));
        check("portcullis check -S a.rules", Ok(()));
        check("portcullis check -c a.toml -S a.rules", Ok(()));
        check("portcullis ctl version", Ok(()));
        check("portcullis ctl flow-end proto=tcp ip=10.0.0.1", Ok(()));
        check("portcullis ctl bypass on --set dmz --for 10m", Ok(()));
        check("portcullis ctl bypass on --for ever", Err("a time such as"));
        check("portcullis ctl", Err("<COMMAND>"));
        check("portcullis doctor", Ok(()));
        check("portcullis doctor eth1 eth2 -c a.toml --json --fix", Ok(()));
        check("portcullis chek -c a", Err("check"));
        check("portcullis", Err("Usage"));
    }
}
