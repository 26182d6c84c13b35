//! Failures of a verb: their messages and exit codes.

use crate::boot::BootError;
use crate::demo::DemoError;
use crate::terminal::sanitizer::Sanitizer;
use kirosu_config::ConfigFaults;
use kirosu_plan::PlanFaults;
use kirosu_protocol::client::CallError;
use kirosu_protocol::{Error, ErrorCode};
use serde_json::{Value, json};
use std::io;

/// Exit code: some of the selected tasks did not succeed.
pub const NOT_ALL_DONE: u8 = 3;
/// Exit code: a wait timed out.
pub const TIMED_OUT: u8 = 4;
/// Exit code: no hub could be reached, or the connection to it broke.
pub const UNREACHABLE: u8 = 5;

/// The reason why a verb failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The hub refused the request or could not be reached.
    #[error("{}", call_message(.0))]
    Call(#[from] CallError),
    /// The settings have faults.
    #[error("{}", settings_message(.0))]
    Settings(#[from] ConfigFaults),
    /// A plan has faults.
    #[error("{}", plan_message(file, faults))]
    Plan {
        /// Its file, or `-`.
        file: String,
        faults: PlanFaults,
    },
    /// The command line is wrong.
    #[error("{0}")]
    Usage(String),
    /// Something on this machine failed, such as a file or the input.
    #[error("{0}")]
    Local(String),
    /// The hub or the agents could not start, or ended with an error.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// The demo did not finish.
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// The reader of our output has closed the pipe; nothing is reported.
    #[error("the output was closed")]
    PipeClosed,
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

impl Failure {
    /// A failure on this machine: the attempt and its cause.
    pub fn local(tried: impl std::fmt::Display, why: impl std::fmt::Display) -> Failure {
        Failure::Local(format!("{tried}: {why}"))
    }

    /// The process's exit code, as `kirosu --help` lists them.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Call(CallError::Refused(_) | CallError::BadAnswer { .. }) => 1,
            Failure::Call(_) => UNREACHABLE,
            Failure::Settings(_) | Failure::Plan { .. } | Failure::Local(_) => 1,
            Failure::Usage(_) => 2,
            Failure::Boot(error) => error.exit_code(),
            Failure::Demo(_) => 1,
            Failure::PipeClosed => 0,
            Failure::Interrupted => 130,
        }
    }

    /// A code for programs: the hub's own code if the hub refused.
    fn code(&self) -> &'static str {
        match self {
            Failure::Call(CallError::Refused(error)) => error.code.as_str(),
            Failure::Call(CallError::Disconnected { .. }) => "disconnected",
            Failure::Call(CallError::Timeout { .. }) => "no_answer",
            Failure::Call(CallError::Unreachable { .. } | CallError::Closed { .. }) => {
                "unreachable"
            }
            Failure::Call(CallError::BadAnswer { .. }) => "bad_answer",
            Failure::Settings(_) => "settings",
            Failure::Plan { .. } => "plan",
            Failure::Usage(_) => "usage",
            Failure::Local(_) => "local",
            Failure::Boot(_) => "start",
            Failure::Demo(_) => "demo",
            Failure::PipeClosed => "pipe_closed",
            Failure::Interrupted => "interrupted",
        }
    }

    /// The failure as `{"error": {...}}`, for `--json`.
    pub fn to_json(&self) -> Value {
        let mut error = json!({
            "code": self.code(),
            "message": self.to_string(),
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
                let one = |fault: &kirosu_config::ConfigFault| {
                    json!({
                        "key": fault.key,
                        "origin": fault.origin.as_ref().map(ToString::to_string),
                        "message": fault.message,
                    })
                };
                error["faults"] = faults.0.iter().map(one).collect();
            }
            Failure::Plan { file, faults } => {
                error["file"] = file.as_str().into();
                error["faults"] = json!(faults.0);
            }
            _ => {}
        }
        json!({ "error": error })
    }

    /// Prints the failure on standard error. A closed pipe and Ctrl-C print nothing.
    pub fn report(&self, json: bool) {
        if matches!(self, Failure::PipeClosed | Failure::Interrupted) {
            return;
        }
        let text = match json {
            true => self.to_json().to_string(),
            // The message may repeat a text of others.
            false => format!("kirosu: {}", Sanitizer::whole(&self.to_string())),
        };
        // If standard error is closed too, there is no place left to report.
        let _ = io::Write::write_all(&mut io::stderr().lock(), format!("{text}\n").as_bytes());
    }
}

fn call_message(error: &CallError) -> String {
    match error {
        // The hub's message addresses authors of clients.
        CallError::Refused(error)
            if error.code == ErrorCode::Unauthorized
                && error.message == Error::unauthorized().message =>
        {
            "Invalid KIRO_SWARM_KEY: the key is missing or is not the hub's; set the variable or --key-file. \
             `kirosu config show` prints where your key comes from"
                .into()
        }
        error => error.to_string(),
    }
}

fn plan_message(file: &str, faults: &PlanFaults) -> String {
    let faults = faults.0.iter().map(|fault| format!("\n  {file}:{fault}"));
    format!("the plan has faults:{}", faults.collect::<String>())
}

fn settings_message(faults: &ConfigFaults) -> String {
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
