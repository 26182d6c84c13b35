//! An agent CLI as configured: the part that the adapters `command` and `acp` share.

use std::path::Path;
use std::sync::Arc;

use super::arguments;
use super::defaults_file::Defaults;
use crate::containment::{Containment, LaunchError, LaunchSpec};
use crate::definition::{Definition, OutputRules};
use crate::job::Job;
use crate::options::ProviderOptions;
use crate::outcome::RunFailure;

/// The definition of a CLI with its environment and containment.
#[derive(Debug)]
pub(crate) struct AgentCli {
    pub(crate) definition: Arc<Definition>,
    /// The output rules of the definition.
    pub(crate) output: Arc<OutputRules>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) defaults: Defaults,
    pub(crate) containment: Containment,
    pass_env: Vec<String>,
}

impl AgentCli {
    /// The CLI with this complete definition.
    pub(crate) fn new(
        options: &ProviderOptions,
        definition: Definition,
        containment: &Containment,
    ) -> Arc<Self> {
        let mut env: Vec<_> = definition.env.clone().into_iter().collect();
        env.extend(options.env.iter().cloned());
        Arc::new(Self {
            output: Arc::new(definition.output.clone()),
            definition: Arc::new(definition),
            env,
            defaults: Defaults::default(),
            containment: containment.clone(),
            pass_env: options.pass_env.clone(),
        })
    }

    /// The program. A definition always has one.
    pub(crate) fn program(&self) -> &str {
        self.definition.command.first().map_or("", String::as_str)
    }

    /// The environment of a job. Later entries win: the provider's, the trust profile's, the job's.
    pub(crate) fn environment(&self, job: &Job) -> Vec<(String, String)> {
        let mut env = self.env.clone();
        let trust = arguments::profile(&self.definition, job.trust);
        env.extend(trust.env.clone());
        env.extend(job.env.iter().cloned());
        env
    }

    /// A call of the program.
    pub(crate) fn launch(
        &self,
        argv: Vec<String>,
        env: Vec<(String, String)>,
        workdir: &Path,
    ) -> LaunchSpec {
        LaunchSpec {
            argv,
            env,
            pass_env: self.pass_env.clone(),
            env_pass: self.definition.env_pass.clone(),
            stop: self.definition.stop_signal,
            workdir: workdir.to_owned(),
            state: self.definition.state.clone(),
            writes: Vec::new(),
        }
    }

    /// The failure of a run that could not be started.
    pub(crate) fn launch_failure(&self, error: &LaunchError) -> RunFailure {
        let message = format!("cannot run '{}': {error}", self.program());
        RunFailure::new(error.class(), message)
    }
}
