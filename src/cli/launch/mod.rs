//! Starts runs of plans: checks the plan and its inputs, reads the items that the plan takes from this machine, and enqueues
//! the run.

pub(super) mod dry;
mod estimate;
mod history;
pub(super) mod inputs;
pub(super) mod nested;
pub(super) mod saved;
mod send;

use super::enqueue::budget;
use super::plan::file::{PlanFile, is_stdin};
use super::{Context, Failure, HubClient, running_task, text, whole};
use inputs::GivenInput;
use kirosu_plan::{ItemSource, Plan, PlanFormat, PlanSource, PlanVersion, plan_sources};
use kirosu_protocol::budget::micros_of;
use kirosu_protocol::client::CallError;
use kirosu_protocol::task::DEFAULT_QUEUE;
use kirosu_protocol::{
    Budget, EnqueueAnswer, GetParams, NewTask, PRIORITIES, PlanMetadata, PlanText, SourceId,
    TYPE_PLAN, TaskBudget,
};
use nested::NestedPlans;
use saved::ItemsDigest;
use serde_json::{Map, Value};
use std::path::Path;

/// Another plan for a run, with the plans that it names.
///
/// # Errors
/// A file cannot be read, or a plan has faults.
pub async fn other_plan(file: &Path) -> Result<(Plan, PlanText), Failure> {
    let file = PlanFile::open(file, None).await?;
    let plan = file.compiled()?;
    let plans = nested::read(&plan, file.path.as_deref()).await?;
    let text = PlanText {
        text: file.text,
        format: Some(name_of(file.format).to_owned()),
        programs: None,
        plans,
    };
    Ok((plan, text))
}

fn name_of(format: PlanFormat) -> &'static str {
    match format {
        PlanFormat::Yaml => "yaml",
        PlanFormat::Toml => "toml",
    }
}

/// The flags of commands that start a run.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "The run")]
pub struct LaunchArgs {
    /// Label of the run, to select it with `list`, `wait` and others; may be repeated
    #[arg(long, value_name = "NAME")]
    pub label: Vec<String>,
    /// Queue of the run and, unless a step names a pool, of its tasks [default: default]
    #[arg(long)]
    pub queue: Option<String>,
    /// Higher values run first, -1000 to 1000
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, value_parser = whole::<i32>(PRIORITIES, 10))]
    pub priority: Option<i32>,
    /// A second run with the same key is not started; the first one is returned
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// Budget of all tasks together: 200k (tokens), 1.50usd, or both [default: that of the plan's limits]
    #[arg(long, value_name = "AMOUNT", value_parser = budget::read)]
    pub budget: Option<Budget>,
    /// Checks everything, counts items and estimates tokens; starts nothing and needs no hub
    #[arg(long)]
    pub dry_run: bool,
}

/// A run that can be started: nothing of it is faulty.
pub struct PreparedRun {
    /// The compiled plan.
    pub plan: Plan,
    /// The plan's text.
    text: String,
    format: PlanFormat,
    /// The given inputs.
    given: Map<String, Value>,
    /// The given inputs and the defaults of the others.
    pub inputs: Map<String, Value>,
    nested: NestedPlans,
    /// The sources that this machine reads, those of plans below included.
    sources: Vec<PlanSource>,
    /// The digest of the items that it must have: those that a dry run has shown.
    items: Option<String>,
}

impl PreparedRun {
    /// Reads the plan's file, and checks the plan with all plans that it names and the inputs.
    ///
    /// # Errors
    /// A file cannot be read, a plan has faults, or an input is missing or wrong.
    pub async fn read(file: &Path, given: &[GivenInput]) -> Result<PreparedRun, Failure> {
        let plan = PlanFile::open(file, None).await?;
        let run = PreparedRun::of(plan, given).await?;
        let from_stdin: Vec<String> = run.steps_of_stdin().map(str::to_owned).collect();
        match from_stdin.as_slice() {
            [step, ..] if is_stdin(file) => Err(Failure::Local(format!(
                "the step {step} reads standard input, which is the plan itself; give the plan as a file"
            ))),
            [one, other, ..] => Err(Failure::Local(format!(
                "the steps {one} and {other} both read standard input, which can be read only once"
            ))),
            _ => Ok(run),
        }
    }

    /// The steps whose items come from standard input.
    pub fn steps_of_stdin(&self) -> impl Iterator<Item = &str> {
        let takes_stdin = |it: &&PlanSource| matches!(it.source, ItemSource::Stdin(_));
        let steps = self.sources.iter().filter(takes_stdin);
        steps.map(|it| it.key.as_str())
    }

    /// As [`read`](Self::read), for a plan that was read.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn of(file: PlanFile, given: &[GivenInput]) -> Result<PreparedRun, Failure> {
        let plan = file.compiled()?;
        let given = inputs::read(&plan, given)?;
        let inputs = plan.filled(&given);
        let nested = nested::read(&plan, file.path.as_deref()).await?;
        let sources = sources_of(&plan, &inputs, &nested)?;
        Ok(PreparedRun {
            plan,
            text: file.text,
            format: file.format,
            given,
            inputs,
            nested,
            sources,
            items: None,
        })
    }

    /// The task of a run that a schedule adds again and again.
    ///
    /// # Errors
    /// A map reads files of this machine.
    pub fn scheduled(&self, args: &LaunchArgs) -> Result<NewTask, Failure> {
        if let Some(source) = self.sources.first() {
            return Err(Failure::Local(format!(
                "the step {} reads its items on this machine, and such a plan cannot be scheduled yet; \
                 give it the items as an input (`over: inputs.NAME`), or let a step find them",
                source.key
            )));
        }
        let task = self.task(args, self.metadata())?;
        Ok(NewTask {
            parent_id: None,
            ..task
        })
    }

    /// The arguments of the MCP tool `run_plan` for this run.
    ///
    /// # Errors
    /// A map reads files of this machine.
    pub fn arguments(&self) -> Result<Map<String, Value>, Failure> {
        if let Some(source) = self.sources.first() {
            return Err(Failure::Local(format!(
                "the step {} reads its items on this machine, which run_plan cannot: start it with `kirosu run-pipeline`",
                source.key
            )));
        }
        let metadata = serde_json::to_value(self.metadata());
        let metadata = metadata.map_err(|why| Failure::local("cannot write the inputs", why))?;
        let mut arguments = metadata.as_object().cloned().unwrap_or_default();
        arguments.insert("plan".to_owned(), self.text.clone().into());
        Ok(arguments)
    }

    /// The metadata of the run, without sources.
    fn metadata(&self) -> PlanMetadata {
        PlanMetadata {
            name: self.plan.name.clone(),
            format: Some(name_of(self.format).to_owned()),
            inputs: self.given.clone(),
            plans: self.nested.clone(),
            ..PlanMetadata::default()
        }
    }

    /// Sends the items and enqueues the run.
    ///
    /// # Errors
    /// A source cannot be read or has too many items, or the hub refuses.
    pub async fn start(
        &self,
        args: &LaunchArgs,
        hub: &HubClient,
        context: &Context,
    ) -> Result<EnqueueAnswer, Failure> {
        let mut metadata = self.metadata();
        let keys = self.sources.iter().map(|source| source.key.clone());
        metadata.sources = keys.map(|key| (key, SourceId::MAX)).collect();
        check_size(&metadata, hub)?;
        let mut digest = ItemsDigest::default();
        for source in &self.sources {
            let id = send::source(source, &mut digest, hub, &context.screen).await?;
            metadata.sources.insert(source.key.clone(), id);
        }
        if self
            .items
            .as_ref()
            .is_some_and(|items| *items != digest.hex())
        {
            return Err(Failure::Local(
                "the files have changed since the dry run; nothing was started: make another dry run".into(),
            ));
        }
        let task = self.task(args, metadata)?;
        if task.idempotency_key.is_none() {
            return hub.request(&task).await;
        }
        // The key makes a repeated request safe: it cannot start a second run.
        let refused = match hub.request_idempotent(&task).await {
            Err(refused) if !self.sources.is_empty() => refused,
            outcome => return outcome,
        };
        match self.started_before(&refused, &task, hub).await? {
            Some(answer) => Ok(answer),
            None => Err(refused),
        }
    }

    /// The run that has the key already, if it differs only in its sources: those of this command were stored anew.
    async fn started_before(
        &self,
        refused: &Failure,
        task: &NewTask,
        hub: &HubClient,
    ) -> Result<Option<EnqueueAnswer>, Failure> {
        let Failure::Call(CallError::Refused(error)) = refused else {
            return Ok(None);
        };
        let data = error.data.as_ref();
        let Some(task_id) = data.and_then(|data| data.get("task_id")?.as_i64()) else {
            return Ok(None);
        };
        let params = GetParams {
            task_id,
            ..GetParams::default()
        };
        let known = hub.request_idempotent(&params).await?.task;
        let is_same = known.task_type == TYPE_PLAN
            && known.prompt == task.prompt
            && without_sources(known.metadata) == without_sources(task.metadata.clone());
        Ok(is_same.then_some(EnqueueAnswer {
            task_id,
            existed: true,
            status: Some(known.status),
        }))
    }

    fn task(&self, args: &LaunchArgs, metadata: PlanMetadata) -> Result<NewTask, Failure> {
        let metadata = serde_json::to_value(&metadata)
            .map_err(|why| Failure::local("cannot write the inputs as JSON", why))?;
        let budget = args.budget.unwrap_or(Budget {
            tokens: self.plan.limits.tokens,
            micros: self.plan.limits.usd.map(micros_of),
        });
        Ok(NewTask {
            task_type: TYPE_PLAN.to_owned(),
            queue: args.queue.clone().unwrap_or_else(|| DEFAULT_QUEUE.into()),
            priority: args.priority.unwrap_or(0),
            labels: args.label.clone(),
            idempotency_key: args.idempotency_key.clone(),
            parent_id: running_task(),
            budget: (!budget.is_empty()).then(|| TaskBudget {
                own: Budget::default(),
                tree: Some(budget),
            }),
            metadata: Some(metadata),
            ..NewTask::chat(&self.text)
        })
    }
}

fn without_sources(metadata: Option<Value>) -> Option<Value> {
    let mut metadata = metadata?;
    metadata.as_object_mut()?.remove("sources");
    Some(metadata)
}

/// Refuses metadata that the hub would refuse, before any item is sent.
fn check_size(metadata: &PlanMetadata, hub: &HubClient) -> Result<(), Failure> {
    let bytes = serde_json::to_string(metadata).map_or(0, |text| text.len());
    let most = hub.limits().metadata_bytes;
    match bytes > most {
        true => Err(Failure::Local(format!(
            "the inputs and the plans that the steps name have {} together, and the hub takes {}; \
             a large input is better a file that a map reads",
            text::count(bytes as u64, "byte"),
            kirosu_protocol::size::format(most as u64)
        ))),
        false => Ok(()),
    }
}

/// The sources of a plan and of the plans that its steps name.
fn sources_of(
    plan: &Plan,
    inputs: &Map<String, Value>,
    plans: &NestedPlans,
) -> Result<Vec<PlanSource>, Failure> {
    let version = PlanVersion {
        plan,
        inputs,
        plans,
    };
    plan_sources(&version).map_err(Failure::Local)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kirosu_plan::compile;

    fn prepared(text: &str, given: &[(&str, &str)]) -> Result<PreparedRun, String> {
        let file = PlanFile {
            shown: "plan.yaml".into(),
            text: text.into(),
            format: PlanFormat::Yaml,
            name: Some("plan".into()),
            path: None,
        };
        let given: Vec<GivenInput> = given
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let run = runtime.block_on(PreparedRun::of(file, &given));
        run.map_err(|why| why.to_string())
    }

    const PLAN: &str = "
inputs: { dir: { default: docs }, list: {} }
limits: { tokens: 5000, usd: 1.5 }
pipeline:
  - { id: a, map: { over: { files: \"{{ inputs.dir }}/*.md\" } }, prompt: \"{{ item.text }}\" }
  - id: b
    loop: { max: 2 }
    steps:
      - { id: c, map: { over: { lines: \"{{ inputs.list }}\" } }, prompt: \"{{ item }}\" }
";

    #[test]
    fn sources_at_any_level_are_rendered_with_the_inputs() {
        let run = prepared(PLAN, &[("list", "x.txt")]).unwrap();
        let source = |key: &str, source| PlanSource {
            key: key.into(),
            source,
            most: 10_000,
        };
        let expected = [
            source("a", ItemSource::Files("docs/*.md".into())),
            source("c", ItemSource::Lines("x.txt".into())),
        ];
        assert_eq!(run.sources, expected);
        let why = prepared(PLAN, &[]).err().unwrap();
        assert!(why.contains("the items of the step c: "), "{why}");
    }

    #[test]
    fn the_task_of_a_run_has_the_plans_budget_and_text() {
        let run = prepared(PLAN, &[("list", "x.txt")]).unwrap();
        let args = LaunchArgs {
            label: vec!["night".into()],
            queue: None,
            priority: Some(3),
            idempotency_key: None,
            budget: None,
            dry_run: false,
        };
        let task = run.task(&args, PlanMetadata::default()).unwrap();
        assert_eq!(
            (task.task_type.as_str(), task.queue.as_str(), task.priority),
            ("plan", "default", 3)
        );
        assert_eq!(task.prompt, PLAN);
        let tree = task.budget.unwrap().tree.unwrap();
        assert_eq!((tree.tokens, tree.micros), (Some(5000), Some(1_500_000)));
        assert!(compile(&task.prompt, PlanFormat::Yaml).is_ok());
    }
}
