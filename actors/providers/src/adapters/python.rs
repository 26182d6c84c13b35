//! `python`: executes the prompt as Python 3 code. The answer is its output.
//!
//! The code runs with the rights of the hub's or agent's user, so the provider is [`Provider::dangerous`]. The interpreter
//! reads the code from stdin, so no file appears in the workspace; the code itself reads an empty stdin.

use futures_util::future::BoxFuture;

use super::CommandProvider;
use crate::cancel::Cancel;
use crate::containment::Containment;
use crate::event::EventSink;
use crate::job::Job;
use crate::options::{BuildError, ProviderOptions};
use crate::outcome::RunResult;
use crate::output::RunOutputReader;
use crate::provider::{ProbeReport, Provider};

/// Runs one interpreter per job.
pub(crate) struct PythonProvider(CommandProvider);

impl PythonProvider {
    pub(crate) fn new(
        options: &ProviderOptions,
        containment: &Containment,
    ) -> Result<Self, BuildError> {
        let interpreter = match &options.interpreter {
            Some(path) => path.to_string_lossy().into_owned(),
            None => "python3".to_owned(),
        };
        let mut options = options.clone();
        // -u: output arrives at once. UTF-8, whatever the locale of a system service is.
        options.argv = vec![interpreter, "-u".to_owned(), "-".to_owned()];
        options.version_args = Some(vec!["--version".to_owned()]);
        let utf8 = ("PYTHONIOENCODING".to_owned(), "utf-8".to_owned());
        options.env.insert(0, utf8);
        CommandProvider::new(&options, containment).map(Self)
    }
}

impl Provider for PythonProvider {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn dangerous(&self) -> bool {
        true
    }

    fn probe(&self) -> BoxFuture<'_, ProbeReport> {
        self.0.probe()
    }

    fn run(&self, mut job: Job, events: EventSink, cancel: Cancel) -> BoxFuture<'_, RunResult> {
        // A system prompt has no meaning for code.
        let code = std::mem::take(&mut job.prompt);
        let reader = RunOutputReader::raw(job.max_output_bytes);
        Box::pin(self.0.run_with(job, code, reader, events, cancel))
    }
}
