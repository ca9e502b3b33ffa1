//! `portcullis ctl`: sends a command to the running daemon and prints its answer.

use crate::cli::CtlArgs;
use crate::control::client::Client;
use crate::control::protocol::Outcome;
use crate::exit::Failure;
use crate::output;

/// Runs the command.
///
/// # Errors
/// Where no daemon answers, or it refused.
pub fn run(arguments: &CtlArgs) -> Result<(), Failure> {
    let fail = |error: crate::control::client::ClientError| Failure::Control(error.to_string());
    let mut client = Client::connect(&arguments.socket).map_err(fail)?;
    let reply = client.command(&arguments.command).map_err(fail)?;
    let message = match reply.message {
        serde_json::Value::String(text) => text,
        other => serde_json::to_string_pretty(&other).unwrap_or_else(|_| other.to_string()),
    };
    match reply.outcome {
        Outcome::Ok => {
            output::line(&message);
            Ok(())
        }
        Outcome::Refused => Err(Failure::Control(message)),
    }
}
