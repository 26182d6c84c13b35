//! `command`: a program that must exit with 0 in the workspace. Its output is part of the run's output.

use std::cell::RefCell;
use std::time::Duration;

use futures_util::future::join;
use kirosu_protocol::Accept;
use kirosu_protocol::accept::COMMAND_LIMIT_MS;
use kirosu_protocol::text::tail;
use kirosu_providers::{
    Containment, EventSink, Program, ProgramEnd, ProgramExit, RunEvent, RunFailure,
};

use super::Check;

/// Maximum number of bytes of its last output that the next attempt gets.
const LAST_WORDS: usize = 2000;
/// Events buffered between the program and the run's output.
const EVENTS: usize = 8;

impl Check<'_> {
    /// Returns the fault, if any, and the last output. The answer is on the program's standard input.
    pub(super) async fn command(
        &self,
        accept: &Accept,
        answer: &str,
    ) -> Result<(Option<String>, String), RunFailure> {
        let shown = accept.command.join(" ");
        let Some(containment) = self.parts.options.bounded() else {
            let fault = format!(
                "the command {shown:?} was not run: this process runs no programs beside its providers"
            );
            return Ok((Some(fault), String::new()));
        };
        if let Err(why) = self.parts.folder.verify() {
            let fault = format!("the command {shown:?} was not run: {why}");
            return Ok((Some(fault), String::new()));
        }
        let limit = Duration::from_millis(accept.timeout_ms.unwrap_or(COMMAND_LIMIT_MS));
        let program = Program {
            env: self.env.clone(),
            stdin: answer.as_bytes().to_vec(),
            limit,
            keep: 0,
            ..Program::new(accept.command.clone(), &self.parts.folder.dir)
        };
        self.parts.note(&format!("accept runs {shown:?}")).await;
        let last = RefCell::default();
        let run = async || {
            let (end, output) = self.run_captured(&program, &containment).await;
            last.replace(output);
            end
        };
        let end = self.run(&format!("the command {shown:?}"), run).await?;
        let mut output = last.into_inner();
        let fault = match &end.exit {
            ProgramExit::Code(0) => return Ok((None, String::new())),
            ProgramExit::TimedOut => {
                format!(
                    "the command {shown:?} did not end within {} s",
                    limit.as_secs_f64()
                )
            }
            exit => format!("the command {shown:?} {exit}"),
        };
        trim_front(&mut output);
        Ok((Some(fault), output.trim().to_owned()))
    }

    /// Runs the program with its output in that of the run. Returns its end and its last output.
    async fn run_captured(
        &self,
        program: &Program,
        containment: &Containment,
    ) -> (ProgramEnd, String) {
        let (tap, mut events) = EventSink::channel(EVENTS);
        let run = async {
            let end = program
                .run(containment, &tap, self.parts.cancel.clone())
                .await;
            drop(tap);
            end
        };
        let mut output = String::new();
        let listen = async {
            while let Some(event) = events.recv().await {
                if let RunEvent::Stderr { text } = &event {
                    output.push_str(text);
                    keep_end(&mut output);
                }
                self.parts.sink.send(event).await;
            }
        };
        let (end, ()) = join(run, listen).await;
        (end, output)
    }
}

/// Cuts the front once the text is too long, between characters.
fn keep_end(output: &mut String) {
    if output.len() > 2 * LAST_WORDS {
        trim_front(output);
    }
}

fn trim_front(output: &mut String) {
    let kept = tail(output, LAST_WORDS).len();
    output.drain(..output.len() - kept);
}
