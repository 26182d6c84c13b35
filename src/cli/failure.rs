//! How a verb can fail, in words and as an exit code.

use super::show::foreign::Foreign;
use crate::boot::BootError;
use crate::demo::DemoError;
use kirosu_config::Faults;
use kirosu_protocol::ErrorCode;
use kirosu_protocol::client::CallError;
use serde_json::{Value, json};
use std::io;

/// Some of the tasks asked about did not succeed.
pub const NOT_ALL_DONE: u8 = 3;
/// A wait ran out of time.
pub const TIMED_OUT: u8 = 4;
/// No hub could be reached, or the connection to it broke.
pub const UNREACHABLE: u8 = 5;
/// Not part of this version (the number is `EX_UNAVAILABLE`).
pub const UNAVAILABLE: u8 = 69;

/// Why a verb did not do what it was asked to.
#[derive(Debug)]
pub enum Failure {
    /// The hub refused it, or could not be asked.
    Call(CallError),
    /// The settings are wrong.
    Settings(Faults),
    /// The command line cannot be meant like this.
    Usage(String),
    /// Something on this side failed: a file, the input.
    Local(String),
    /// The hub or the agents could not be started, or ended badly.
    Boot(BootError),
    /// The demo did not reach its end.
    Demo(DemoError),
    /// The verb belongs to a later version.
    NotYet(String),
    /// Whoever read our output has gone: no reason to complain.
    PipeClosed,
    /// Ctrl-C.
    Interrupted,
}

impl Failure {
    /// A failure on this side: what was tried, on what, and why it failed.
    pub fn local(tried: impl std::fmt::Display, why: impl std::fmt::Display) -> Failure {
        Failure::Local(format!("{tried}: {why}"))
    }

    /// The process's exit code, as `kirosu --help` lists them.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Call(CallError::Refused(_) | CallError::BadAnswer { .. }) => 1,
            Failure::Call(_) => UNREACHABLE,
            Failure::Settings(_) | Failure::Local(_) => 1,
            Failure::Usage(_) => 2,
            Failure::Boot(error) => error.exit_code(),
            Failure::Demo(_) => 1,
            Failure::NotYet(_) => UNAVAILABLE,
            Failure::PipeClosed => 0,
            Failure::Interrupted => 130,
        }
    }

    /// One word for programs: the hub's own code where the hub refused.
    fn word(&self) -> &'static str {
        match self {
            Failure::Call(CallError::Refused(error)) => error.code.name(),
            Failure::Call(CallError::Disconnected { .. }) => "disconnected",
            Failure::Call(CallError::Timeout { .. }) => "no_answer",
            Failure::Call(CallError::Unreachable { .. } | CallError::Closed { .. }) => {
                "unreachable"
            }
            Failure::Call(CallError::BadAnswer { .. }) => "bad_answer",
            Failure::Settings(_) => "settings",
            Failure::Usage(_) => "usage",
            Failure::Local(_) => "local",
            Failure::Boot(_) => "start",
            Failure::Demo(_) => "demo",
            Failure::NotYet(_) => "not_yet",
            Failure::PipeClosed => "pipe_closed",
            Failure::Interrupted => "interrupted",
        }
    }

    fn message(&self) -> String {
        match self {
            // The hub's words are for those who write requests.
            Failure::Call(CallError::Refused(error)) if error.code == ErrorCode::Unauthorized => {
                "Invalid KIRO_SWARM_KEY: the key is missing or is not the hub's; set the variable or --key-file, \
                 and see with `kirosu config show` where yours comes from"
                    .into()
            }
            Failure::Call(error) => error.to_string(),
            Failure::Settings(faults) => settings_message(faults),
            Failure::Usage(text) | Failure::Local(text) | Failure::NotYet(text) => text.clone(),
            Failure::Boot(error) => error.to_string(),
            Failure::Demo(error) => error.to_string(),
            Failure::PipeClosed => "the output was closed".into(),
            Failure::Interrupted => "interrupted".into(),
        }
    }

    /// As `{"error": {...}}`, for `--json`.
    pub fn to_json(&self) -> Value {
        let mut error = json!({
            "code": self.word(),
            "message": self.message(),
            "exit_code": self.exit_code(),
        });
        match self {
            Failure::Call(CallError::Refused(refusal)) => {
                error["number"] = refusal.code.number().into();
                if let Some(data) = &refusal.data {
                    error["data"] = data.clone();
                }
            }
            Failure::Settings(faults) => {
                let one = |fault: &kirosu_config::Fault| {
                    json!({
                        "key": fault.key,
                        "origin": fault.origin.as_ref().map(ToString::to_string),
                        "message": fault.message,
                    })
                };
                error["faults"] = faults.0.iter().map(one).collect();
            }
            _ => {}
        }
        json!({ "error": error })
    }

    /// Tells it on standard error; the two ends that are nobody's fault are not told.
    pub fn report(&self, json: bool) {
        if matches!(self, Failure::PipeClosed | Failure::Interrupted) {
            return;
        }
        let text = match json {
            true => self.to_json().to_string(),
            // It may repeat what others wrote.
            false => format!("kirosu: {}", Foreign::whole(&self.message())),
        };
        // Nothing is left to tell it to when standard error is closed too.
        let _ = io::Write::write_all(&mut io::stderr().lock(), format!("{text}\n").as_bytes());
    }
}

fn settings_message(faults: &Faults) -> String {
    match faults.0.as_slice() {
        [one] => format!("the settings have a fault: {one}"),
        many => {
            let lines: Vec<String> = many.iter().map(|fault| format!("  {fault}")).collect();
            format!(
                "the settings have {} faults:\n{}",
                many.len(),
                lines.join("\n")
            )
        }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Failure {
        Failure::Call(error)
    }
}

impl From<Faults> for Failure {
    fn from(faults: Faults) -> Failure {
        Failure::Settings(faults)
    }
}

impl From<DemoError> for Failure {
    fn from(error: DemoError) -> Failure {
        Failure::Demo(error)
    }
}

impl From<BootError> for Failure {
    fn from(error: BootError) -> Failure {
        Failure::Boot(error)
    }
}
