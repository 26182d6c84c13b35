//! The check of `kirosu doctor`: starts an agent and waits for its response to `initialize`.

use std::path::Path;
use std::time::Duration;

use tokio::time::timeout;

use super::machine::{AcpAction, AcpMachine, TurnStage};
use super::process::{Process, ProcessRead};
use super::rpc::{self, RpcMessage};
use super::stderr_filter::StderrFilter;
use super::turn::TurnStart;
use super::verdict::TurnVerdict;
use crate::adapters::AgentCli;
use crate::invocation::tail;
use crate::job::Job;
use crate::text::lines::OutputLine;

/// The time from the start of the process to its response.
const LIMIT: Duration = Duration::from_secs(5);

/// Starts the agent, waits for its response to `initialize` and ends it. Returns the version that it states.
///
/// # Errors
/// When the agent cannot be started, ends, refuses or does not respond in time: a sentence for a person.
pub(super) async fn handshake(cli: &AgentCli) -> Result<Option<String>, String> {
    let job = Job::new("", Path::new("/"));
    let settings = cli.settings(&job).map_err(|it| it.message)?;
    let program = cli.program();
    let machine = AcpMachine::new(program, &cli.definition);
    let quiet = StderrFilter::default();
    let process = Process::start(settings, machine, None, quiet, &cli.containment);
    let mut process = process.map_err(|error| cli.launch_failure(&error).message)?;
    for action in process.machine.begin(TurnStart::default()) {
        if let AcpAction::Send(message) = action {
            process.send(&message);
        }
    }
    let answered = timeout(LIMIT, answer(&mut process)).await;
    let stderr = process.take_stderr();
    let gone = process.gone.clone();
    process.end(&cli.containment).await;
    let problem = match answered {
        Ok(Some(answered)) => return answered,
        Ok(None) => cli.gone(gone.as_ref(), false, &stderr).1,
        Err(_) => format!(
            "'{program}' did not answer initialize within {} s: check that this command speaks ACP and waits for no input",
            LIMIT.as_secs()
        ),
    };
    Err(match stderr.is_empty() {
        true => problem,
        false => format!("{problem}; stderr ended with:\n{}", tail(&stderr)),
    })
}

/// Reads up to the response. `None` when the process is gone.
async fn answer(process: &mut Process) -> Option<Result<Option<String>, String>> {
    while process.has_more() {
        let Some(ProcessRead::Lines(lines)) = process.next(true).await else {
            continue;
        };
        for line in lines {
            let OutputLine::Whole(bytes) = line else {
                continue;
            };
            for message in rpc::read(&bytes).messages {
                let version = match &message {
                    RpcMessage::Answer {
                        outcome: Ok(reported),
                        ..
                    } => reported["agentInfo"]["version"].as_str().map(str::to_owned),
                    _ => None,
                };
                for action in process.machine.on(message) {
                    if let AcpAction::End(TurnVerdict::Bad(_, why)) = action {
                        return Some(Err(why));
                    }
                }
                if process.machine.stage() != TurnStage::Initializing {
                    return Some(Ok(version));
                }
            }
        }
    }
    None
}
