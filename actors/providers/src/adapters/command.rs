//! `command`: any program that reads a prompt on stdin and answers on stdout.
//!
//! The prompt is never an argument: arguments are limited in size, every user of the machine can read them, and a prompt
//! that begins with a dash would be an option. The call of the program and the meaning of its output are data, a
//! [`Definition`]. With a definition that names only a program, the system prompt goes before the prompt, with an empty
//! line between, the whole output is the answer, and exit code 0 is success.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::find::{advice, find_program};
use super::mcp;
use super::usage_file::UsageFile;
use super::{AgentCli, arguments};
use crate::cancel::Cancel;
use crate::containment::Containment;
use crate::definition::OutputRules;
use crate::event::{EventSink, RunEvent, RunUsage};
use crate::invocation::{ProgramCall, conclude, execute};
use crate::job::{Job, Timeouts};
use crate::mcp::RunHub;
use crate::options::{BuildError, ProviderOptions};
use crate::outcome::{FailureKind, RunFailure, RunResult};
use crate::output::{self, RunOutputReader, StderrWatch};
use crate::provider::{ProbeReport, Provider};

/// Time for the probe to answer.
const PROBE_LIMIT: Duration = Duration::from_secs(5);

/// Runs one program per job.
pub(crate) struct CommandProvider {
    name: String,
    cli: Arc<AgentCli>,
}

/// The end of one call of the program.
struct CallOutcome {
    outcome: RunResult,
    /// Whether the call failed because the conversation no longer exists.
    reports_lost: bool,
}

impl CommandProvider {
    pub(crate) fn new(
        options: &ProviderOptions,
        containment: &Containment,
    ) -> Result<Self, BuildError> {
        let preset = options.preset.as_deref();
        if preset.is_none() && options.argv.first().is_none_or(String::is_empty) {
            let name = options.name.clone();
            return Err(BuildError::NoProgram { name });
        }
        let definition = options.valid_definition()?;
        let cli = AgentCli::new(options, definition, containment);
        Ok(Self::of(options.name.clone(), cli))
    }

    /// A provider that runs this CLI.
    pub(crate) fn of(name: String, cli: Arc<AgentCli>) -> Self {
        Self { name, cli }
    }

    /// Runs the job for adapters built on this one: writes `stdin` instead of the prompt and reads stdout with `reader`.
    pub(super) async fn run_with(
        &self,
        job: Job,
        stdin: String,
        reader: RunOutputReader,
        events: EventSink,
        cancel: Cancel,
    ) -> RunResult {
        let ended = self.attempt(&job, stdin, reader, &events, cancel).await?;
        ended.outcome
    }

    /// Runs the job. Where the program no longer has the conversation, runs it once more with a new one.
    async fn run_anew_if_lost(
        &self,
        mut job: Job,
        stdin: String,
        events: EventSink,
        cancel: Cancel,
    ) -> RunResult {
        let reader = |job: &Job| {
            let before = job.conversation.as_ref().map(|it| it.total.clone());
            RunOutputReader::new(
                &self.cli.output,
                job.max_output_bytes,
                before.unwrap_or_default(),
            )
        };
        let Some(conversation) = job.conversation.clone() else {
            let reader = reader(&job);
            return self.run_with(job, stdin, reader, events, cancel).await;
        };
        let first = (stdin.clone(), reader(&job));
        let ended = self
            .attempt(&job, first.0, first.1, &events, cancel.clone())
            .await?;
        if !ended.reports_lost || cancel.is_cancelled() {
            return ended.outcome;
        }
        if job.must_continue {
            return ended.outcome.map_err(|failure| RunFailure {
                usage: failure.usage.clone(),
                ..job.cannot_continue(&failure.message)
            });
        }
        let message = format!(
            "'{}' did not go on with the conversation {}; a new one begins\n",
            self.cli.program(),
            conversation.session
        );
        events.send(RunEvent::Warning { message }).await;
        job.conversation = None;
        let reader = reader(&job);
        self.run_with(job, stdin, reader, events, cancel).await
    }

    /// Calls the program once.
    ///
    /// # Errors
    /// When no call can be made from the job: a missing folder, a value that would become an option, a file that cannot be
    /// written.
    async fn attempt(
        &self,
        job: &Job,
        stdin: String,
        reader: RunOutputReader,
        events: &EventSink,
        cancel: Cancel,
    ) -> Result<CallOutcome, RunFailure> {
        job.check_workdir()?;
        let mut env = self.cli.environment(job);
        env.push(("KIROSU_TASK_ID".to_owned(), job.task_id.to_string()));
        env.push(("KIROSU_FENCE".to_owned(), job.fence.to_string()));
        let containment = &self.cli.containment;
        let access = job.hub.iter().flat_map(RunHub::variables);
        env.extend(access.map(|(name, value)| (name.to_owned(), value)));
        let wanted = self.cli.definition.defaults_file.as_ref();
        env.extend(self.cli.defaults.variable(wanted, &env, containment)?);
        let handed = mcp::hand_over(&self.cli.definition, job, &env, containment)?;
        let file = UsageFile::for_run_of(&self.cli.definition, containment)
            .map_err(|error| mcp::cannot("make a folder for the program's figures", &error))?;
        let argv = match &file {
            Some(file) => {
                let definition = file.in_place(&self.cli.definition);
                arguments::argv_with(&definition, job, &handed.args)?
            }
            None => arguments::argv_with(&self.cli.definition, job, &handed.args)?,
        };
        env.extend(handed.env.iter().cloned());
        if let Some(message) = handed.warning.clone() {
            events.send(RunEvent::Warning { message }).await;
        }
        let mut launch = self.cli.launch(argv, env, &job.workdir);
        launch.writes.extend(file.iter().map(UsageFile::folder));
        let request = ProgramCall {
            launch,
            stdin: stdin.into_bytes(),
            timeouts: job.timeouts,
            reader,
            watch: StderrWatch::new(&self.cli.output),
        };
        let before = job.conversation.as_ref().map(|it| it.total.clone());
        let figures = (file, before.unwrap_or_default());
        Ok(self.execute(request, events, cancel, figures).await)
    }

    async fn execute(
        &self,
        request: ProgramCall,
        events: &EventSink,
        cancel: Cancel,
        (file, before): (Option<UsageFile>, RunUsage),
    ) -> CallOutcome {
        match execute(request, &self.cli.containment, events, cancel).await {
            Ok(mut ran) => {
                let reported = match file {
                    Some(file) => file.take().await,
                    None => Ok(None),
                };
                match reported {
                    Ok(Some(frame)) => ran.reading.take_usage(&self.cli.output, &frame, before),
                    Ok(None) => {}
                    Err(message) => {
                        tracing::warn!(provider = %self.name, "{message}");
                        events.send(RunEvent::Warning { message }).await;
                    }
                }
                let reported = format!("{}\n{}", ran.reading.error(), ran.stderr);
                let reports_lost = output::reports_lost(&self.cli.output, &ran.reading, &reported);
                let did_nothing = ran.reading.did_nothing();
                let finished = conclude(self.cli.program(), &self.cli.output, ran);
                let reports_lost = finished
                    .as_ref()
                    .is_err_and(|it| reports_lost || output::may_have_lost(did_nothing, it));
                CallOutcome {
                    reports_lost,
                    outcome: finished.map_err(|failure| self.explain(failure)),
                }
            }
            Err(error) => CallOutcome {
                reports_lost: false,
                outcome: Err(self.cli.launch_failure(&error)),
            },
        }
    }

    /// Replaces the message where the program disappeared between probe and run, so that both state the same advice.
    fn explain(&self, mut failure: RunFailure) -> RunFailure {
        if failure.kind == FailureKind::Missing
            && find_program(self.cli.program(), &self.cli.env).is_none()
        {
            failure.message = advice(self.cli.program(), &self.cli.definition, &self.cli.env);
        }
        failure
    }

    /// The first line of the program's version output. `None` where the definition has no version arguments.
    async fn version(&self) -> Result<Option<String>, RunFailure> {
        let version = self.cli.definition.version.as_ref();
        let Some(args) = version.filter(|it| !it.is_empty()) else {
            return Ok(None);
        };
        let mut argv = vec![self.cli.program().to_owned()];
        argv.extend(args.iter().cloned());
        let request = ProgramCall {
            launch: self.cli.launch(argv, self.cli.env.clone(), Path::new("/")),
            stdin: Vec::new(),
            timeouts: Timeouts {
                total: Some(PROBE_LIMIT),
                ..Timeouts::default()
            },
            reader: RunOutputReader::raw(4096),
            watch: None,
        };
        let events = EventSink::discard();
        let ran = execute(request, &self.cli.containment, &events, Cancel::never()).await;
        let ran =
            ran.map_err(|error| RunFailure::new(error.class(), format!("cannot run it: {error}")))?;
        let finished = conclude(self.cli.program(), &OutputRules::default(), ran)?;
        Ok(finished.text.lines().next().map(str::to_owned))
    }
}

impl Provider for CommandProvider {
    fn name(&self) -> &str {
        &self.name
    }

    fn continues(&self) -> bool {
        arguments::resumes(&self.cli.definition)
    }

    fn probe(&self) -> BoxFuture<'_, ProbeReport> {
        Box::pin(async move {
            let command = self.cli.definition.command.join(" ");
            let program = self.cli.program();
            let found = match find_program(program, &self.cli.env) {
                Some(_) => match self.version().await {
                    // The program exists. The next run shows whether it can start.
                    Err(failure) if failure.kind == FailureKind::Shortage => Ok(None),
                    version => version.map_err(|failure| failure.message),
                },
                None => Err(advice(program, &self.cli.definition, &self.cli.env)),
            };
            let (version, problem) = match found {
                Ok(version) => (version, None),
                Err(problem) => (None, Some(problem)),
            };
            ProbeReport {
                found: problem.is_none(),
                version,
                command,
                problem,
            }
        })
    }

    fn run(&self, mut job: Job, events: EventSink, cancel: Cancel) -> BoxFuture<'_, RunResult> {
        let system = match mcp::system_file(&self.cli.definition, &mut job, &self.cli.containment) {
            Ok(file) => file,
            Err(failure) => return Box::pin(std::future::ready(Err(failure))),
        };
        let stdin = arguments::stdin(&self.cli.definition, &mut job);
        let resumes = arguments::resumes(&self.cli.definition);
        if job.must_continue && !(resumes && job.conversation.is_some()) {
            let why = format!("provider '{}' has no `resume_args`", self.name);
            return Box::pin(std::future::ready(Err(job.cannot_continue(&why))));
        }
        if !resumes {
            // The conversation is a new one, and so are its totals.
            job.conversation = None;
        }
        let run = self.run_anew_if_lost(job, stdin, events, cancel);
        Box::pin(async move {
            let outcome = run.await;
            // The program may read the file until here.
            drop(system);
            outcome
        })
    }
}
