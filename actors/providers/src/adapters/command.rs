//! `command`: any program that reads a prompt on stdin and answers on stdout.
//!
//! The prompt is never an argument: arguments are limited, everyone on the machine can read them, and a
//! prompt that begins with a dash would be an option. A system prompt is put before the prompt, with an empty
//! line between. Exit code 0 is success.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::cancel::Cancel;
use crate::containment::Containment;
use crate::event::EventSink;
use crate::invocation::{Request, conclude, execute};
use crate::job::{Job, Timeouts};
use crate::outcome::{Failure, FailureClass, Finished};
use crate::provider::{Probe, Provider};
use crate::registry::{BuildError, ProviderOptions};

/// A probe that does not answer in this time is no answer.
const PROBE_LIMIT: Duration = Duration::from_secs(5);

/// Runs one program per job.
pub(crate) struct Command {
    name: String,
    argv: Vec<String>,
    version_args: Option<Vec<String>>,
    env: Vec<(String, String)>,
    pass_env: Vec<String>,
    containment: Containment,
}

impl Command {
    pub(crate) fn new(
        options: &ProviderOptions,
        containment: &Containment,
    ) -> Result<Self, BuildError> {
        if options.argv.first().is_none_or(String::is_empty) {
            let name = options.name.clone();
            return Err(BuildError::NoProgram { name });
        }
        Ok(Self {
            name: options.name.clone(),
            argv: options.argv.clone(),
            version_args: options.version_args.clone(),
            env: options.env.clone(),
            pass_env: options.pass_env.clone(),
            containment: containment.clone(),
        })
    }

    /// What [`Provider::run`] does, for adapters built upon this one: `stdin` instead of the prompt.
    pub(super) async fn run_with(
        &self,
        job: Job,
        stdin: String,
        events: EventSink,
        cancel: Cancel,
    ) -> Result<Finished, Failure> {
        if !job.workdir.is_dir() {
            return Err(Failure::new(
                FailureClass::ProviderError,
                format!(
                    "cannot work in {}: it is not a directory; create it or name another workdir",
                    job.workdir.display()
                ),
            ));
        }
        let argv = fill_in(&self.argv, &job)?;
        let env = self.environment(&job);
        let request = Request {
            argv: &argv,
            env: &env,
            pass_env: &self.pass_env,
            workdir: &job.workdir,
            stdin: stdin.into_bytes(),
            timeouts: job.timeouts,
            max_output_bytes: job.max_output_bytes,
        };
        self.execute(request, &events, cancel).await
    }

    async fn execute(
        &self,
        request: Request<'_>,
        events: &EventSink,
        cancel: Cancel,
    ) -> Result<Finished, Failure> {
        match execute(request, &self.containment, events, cancel).await {
            Ok(ran) => conclude(&self.argv[0], ran),
            Err(error) => Err(Failure::new(
                if error.is_bad_input() {
                    FailureClass::BadInput
                } else {
                    FailureClass::ProviderError
                },
                format!("cannot run '{}': {error}", self.argv[0]),
            )),
        }
    }

    /// The provider's own, then the job's, then what no one may change.
    fn environment(&self, job: &Job) -> Vec<(String, String)> {
        let mut env = self.env.clone();
        env.extend(job.env.iter().cloned());
        env.push(("KIROSU_TASK_ID".to_owned(), job.task_id.to_string()));
        env.push(("KIROSU_FENCE".to_owned(), job.fence.to_string()));
        env
    }

    /// The first line that the program prints about its version.
    async fn version(&self) -> Result<Option<String>, Failure> {
        let Some(args) = &self.version_args else {
            return Ok(None);
        };
        let mut argv = vec![self.argv[0].clone()];
        argv.extend(args.iter().cloned());
        let request = Request {
            argv: &argv,
            env: &self.env,
            pass_env: &self.pass_env,
            workdir: Path::new("/"),
            stdin: Vec::new(),
            timeouts: Timeouts {
                total: Some(PROBE_LIMIT),
                ..Timeouts::default()
            },
            max_output_bytes: 4096,
        };
        let events = EventSink::discard();
        let finished = self.execute(request, &events, Cancel::never()).await?;
        Ok(finished.text.lines().next().map(str::to_owned))
    }
}

impl Provider for Command {
    fn name(&self) -> &str {
        &self.name
    }

    fn probe(&self) -> BoxFuture<'_, Probe> {
        Box::pin(async move {
            let command = self.argv.join(" ");
            let program = &self.argv[0];
            let found = match find_program(program, &self.env) {
                Some(_) => self.version().await.map_err(|failure| failure.message),
                None => Err(format!(
                    "'{program}' is not in PATH or not executable; install it, or correct the provider's program"
                )),
            };
            let (version, problem) = match found {
                Ok(version) => (version, None),
                Err(problem) => (None, Some(problem)),
            };
            Probe {
                found: problem.is_none(),
                version,
                command,
                problem,
            }
        })
    }

    fn run(
        &self,
        mut job: Job,
        events: EventSink,
        cancel: Cancel,
    ) -> BoxFuture<'_, Result<Finished, Failure>> {
        let prompt = std::mem::take(&mut job.prompt);
        let stdin = match &job.system_prompt {
            Some(system) => format!("{system}\n\n{prompt}"),
            None => prompt,
        };
        Box::pin(self.run_with(job, stdin, events, cancel))
    }
}

/// The arguments of one job. What a job says must not become an option of the program.
fn fill_in(argv: &[String], job: &Job) -> Result<Vec<String>, Failure> {
    let workdir = job.workdir.to_string_lossy();
    let model = job.model.as_deref();
    argv.iter()
        .filter(|it| model.is_some() || *it != "{model}")
        .map(|it| {
            let filled = it
                .replace("{model}", model.unwrap_or_default())
                .replace("{workdir}", &workdir)
                .replace("{task_id}", &job.task_id.to_string())
                .replace("{task_type}", &job.task_type);
            if filled.starts_with('-') && !it.starts_with('-') {
                let message =
                    format!("'{filled}' in place of {it} would be an option; name another");
                return Err(Failure::new(FailureClass::BadInput, message));
            }
            Ok(filled)
        })
        .collect()
}

/// Where the program is, by the PATH it will have.
fn find_program(program: &str, env: &[(String, String)]) -> Option<PathBuf> {
    if program.contains('/') {
        let path = PathBuf::from(program);
        // A relative one is found from the workdir, which is not known yet.
        return (path.is_relative() || is_executable(&path)).then_some(path);
    }
    let own = env.iter().rev().find(|(name, _)| name == "PATH");
    let path = match own {
        Some((_, path)) => path.into(),
        None => std::env::var_os("PATH")?,
    };
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|it| is_executable(it))
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_filled_in() {
        let argv = ["x", "-C", "{workdir}", "--for={task_type}", "{model}"].map(str::to_owned);
        let mut job = Job::new("p", "/w");
        assert_eq!(
            fill_in(&argv, &job).unwrap(),
            ["x", "-C", "/w", "--for=chat"]
        );
        job.model = Some("m".to_owned());
        assert_eq!(fill_in(&argv, &job).unwrap()[4], "m");
        job.model = Some("--trust-all-tools".to_owned());
        let failure = fill_in(&argv, &job).unwrap_err();
        assert_eq!(failure.class, FailureClass::BadInput);
    }

    #[test]
    fn programs_are_found_by_the_path_they_will_have() {
        assert!(find_program("sh", &[]).is_some());
        assert!(find_program("no-such-program", &[]).is_none());
        assert!(find_program("sh", &[("PATH".to_owned(), "/nowhere".to_owned())]).is_none());
    }
}
