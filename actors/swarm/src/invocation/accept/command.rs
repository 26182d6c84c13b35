//! `command`: a program that must exit with 0 in the workspace. What it prints is part of the run's output.

use std::cell::RefCell;
use std::time::Duration;

use futures_util::future::join;
use kirosu_protocol::Accept;
use kirosu_protocol::accept::COMMAND_LIMIT_MS;
use kirosu_providers::{
    Containment, EventSink, Program, ProgramEnd, ProgramExit, RunEvent, RunFailure, ceil_boundary,
};

use super::Check;

/// Bytes of its last words that the next attempt hears.
const LAST_WORDS: usize = 2000;
/// Events between the program and the run's output.
const EVENTS: usize = 8;

impl Check<'_> {
    /// The fault, if there is one, and the last words. The answer is on the program's standard input.
    pub(super) async fn command(
        &self,
        accept: &Accept,
        answer: &str,
    ) -> Result<(Option<String>, String), RunFailure> {
        let shown = accept.command.join(" ");
        let Some(containment) = &self.options.containment else {
            let fault = format!(
                "the command {shown:?} was not run: this process runs no programs beside its providers"
            );
            return Ok((Some(fault), String::new()));
        };
        if let Err(why) = self.place.verify() {
            let fault = format!("the command {shown:?} was not run: {why}");
            return Ok((Some(fault), String::new()));
        }
        let limit = Duration::from_millis(accept.timeout_ms.unwrap_or(COMMAND_LIMIT_MS));
        let program = Program {
            env: self.env.clone(),
            stdin: answer.as_bytes().to_vec(),
            limit,
            keep: 0,
            ..Program::new(accept.command.clone(), &self.place.dir)
        };
        let message = format!("[kirosu: accept runs {shown:?}]\n");
        self.sink.send(RunEvent::Warning { message }).await;
        let words = RefCell::default();
        let run = async || {
            let (end, said) = self.heard(&program, containment).await;
            words.replace(said);
            end
        };
        let end = self.run(&format!("the command {shown:?}"), run).await?;
        let mut words = words.into_inner();
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
        trim_front(&mut words);
        Ok((Some(fault), words.trim().to_owned()))
    }

    /// Runs it with its output in that of the run; its end and its last words.
    async fn heard(&self, program: &Program, containment: &Containment) -> (ProgramEnd, String) {
        let (tap, mut said) = EventSink::channel(EVENTS);
        let run = async {
            let end = program.run(containment, &tap, self.cancel.clone()).await;
            drop(tap);
            end
        };
        let mut words = String::new();
        let listen = async {
            while let Some(event) = said.recv().await {
                if let RunEvent::Stderr { text } = &event {
                    words.push_str(text);
                    keep_end(&mut words);
                }
                self.sink.send(event).await;
            }
        };
        let (end, ()) = join(run, listen).await;
        (end, words)
    }
}

/// Cuts at the front, now and then, between characters.
fn keep_end(words: &mut String) {
    if words.len() > 2 * LAST_WORDS {
        trim_front(words);
    }
}

fn trim_front(words: &mut String) {
    let from = ceil_boundary(words, words.len().saturating_sub(LAST_WORDS));
    words.drain(..from);
}
