//! The tasks of steps: templates are rendered once, into new tasks.

use super::context::StepValues;
use kirosu_plan::advance::StepScope;
use kirosu_plan::{
    ApproveWork, Effects, JudgeWork, PipelineWork, RenderLimits, RunWork, Step, Work, render,
};
use kirosu_protocol::run::StepTask;
use kirosu_protocol::task::{DEFAULT_QUEUE, TYPE_CHAT, TYPE_HUMAN, TYPE_PYTHON};
use kirosu_protocol::{Accept, LimitsLeft, NewTask, OnLost, PlanMetadata, RetryPolicy, TYPE_PLAN};
use serde_json::{Map, Value, json};

/// Starts a program and ends as it does. Its standard output is the result; its standard error is that of the task.
const PROGRAM: &str = r#"import json, os, subprocess, sys
data = json.loads(DATA)
try:
    done = subprocess.run(data["words"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env={**os.environ, **data["variables"]})
except OSError as why:
    sys.exit("cannot start " + data["words"][0] + ": " + str(why))
sys.stdout.buffer.write(done.stdout)
sys.stdout.flush()
if done.returncode != 0:
    sys.stderr.write(data["words"][0] + " ended with " + str(done.returncode) + "\n")
sys.exit(done.returncode if done.returncode >= 0 else 128 - done.returncode)
"#;

/// The longest value of an environment variable; Linux allows 128 KiB with the name.
const VARIABLE_BYTES: usize = 100 << 10;

/// The item for which a task is made.
pub(super) struct TaskPurpose<'a> {
    pub scope: &'a StepScope<'a>,
    pub step: &'a Step,
    /// The key of its item, or of the first of several.
    pub key: String,
    /// The number of elements that its result must have; `None`: one result.
    pub each: Option<usize>,
    /// The names that templates of its kind know.
    pub extra: Map<String, Value>,
    /// The judge of a vote instead of the step itself.
    pub judge: Option<&'a JudgeWork>,
    /// The pools of this process, by name.
    pub pools: &'a [String],
}

impl StepValues<'_> {
    /// The task for an item.
    ///
    /// # Errors
    /// A template cannot be rendered, or the step cannot be carried out; the reason.
    pub fn task(&mut self, purpose: &TaskPurpose<'_>) -> Result<NewTask, String> {
        let step = purpose.step;
        self.files.clear();
        match (&step.work, purpose.judge) {
            (Work::Approve(work), _) => self.question(purpose, work),
            (Work::Pipeline(work), _) => self.sub_run(purpose, work),
            (Work::Run(work), _) => self.program(purpose, work),
            (_, Some(judge)) => {
                let texts = [
                    Some(&judge.prompt),
                    judge.system.as_ref(),
                    judge.model.as_ref(),
                ];
                self.chat(
                    purpose,
                    texts,
                    judge.pool.as_ref(),
                    judge.provider.as_ref(),
                    judge.fence,
                )
            }
            (_, None) => {
                let texts = [
                    step.prompt.as_ref(),
                    step.system.as_ref(),
                    step.model.as_ref(),
                ];
                let pool = step.pool.as_ref();
                self.chat(purpose, texts, pool, step.provider.as_ref(), step.fence)
            }
        }
    }

    pub fn limits(&self, fence: bool) -> RenderLimits {
        let max = self
            .live
            .plan
            .as_ref()
            .map(|plan| plan.limits.max_insert_bytes);
        let usual = RenderLimits::default();
        RenderLimits {
            insert_bytes: max.map_or(usual.insert_bytes, |max| max as usize),
            fence,
            ..usual
        }
    }

    /// A task with the fields that all tasks of the run share, and the files that its texts have named: these are rendered before.
    pub fn common(&self, purpose: &TaskPurpose<'_>, task_type: &str) -> NewTask {
        let step = purpose.step;
        let mut labels = self.live.labels.clone();
        for label in &step.labels {
            if !labels.contains(label) {
                labels.push(label.clone());
            }
        }
        NewTask {
            task_type: task_type.to_owned(),
            queue: self.live.queue.clone(),
            priority: self
                .live
                .priority
                .saturating_add(step.priority)
                .clamp(-1000, 1000),
            parent_id: Some(self.live.id),
            ends_with_parent: true,
            labels,
            metadata: Some(json!({
                "run": StepTask {
                    id: self.live.id,
                    step: purpose.scope.path(&step.id),
                    key: purpose.key.clone(),
                    files: self.files.iter().cloned().collect(),
                }
            })),
            ..NewTask::default()
        }
    }

    /// A task for an agent.
    fn chat(
        &mut self,
        purpose: &TaskPurpose<'_>,
        [prompt, system, model]: [Option<&String>; 3],
        pool: Option<&String>,
        provider: Option<&String>,
        fence: bool,
    ) -> Result<NewTask, String> {
        let step = purpose.step;
        let own = [prompt, system, model];
        let used: Vec<(&str, bool)> = match purpose.judge {
            Some(_) => own
                .into_iter()
                .flatten()
                .map(|text| (text.as_str(), false))
                .collect(),
            None => step.templates().collect(),
        };
        let context = self.values_for(purpose, &used)?;
        let limits = self.limits(fence);
        let rendered = |name: &str, template: Option<&String>, limits: &RenderLimits| {
            let text = template.map(|template| render(template, &context, limits));
            text.transpose().map_err(|why| format!("`{name}`: {why}"))
        };
        let plain = self.limits(false);
        let mut task = self.common(purpose, TYPE_CHAT);
        task.prompt = rendered("prompt", prompt, &limits)?.unwrap_or_default();
        task.system_prompt = rendered("system", system, &limits)?.filter(|text| !text.is_empty());
        task.model = rendered("model", model, &plain)?.filter(|text| !text.is_empty());
        task.workdir = rendered("workdir", step.workdir.as_ref(), &plain)?;
        task.provider = provider.cloned();
        task.queue = match (pool, &step.module) {
            (Some(pool), _) => pool.clone(),
            (None, Some(module)) => {
                let name = module.rsplit('.').next().unwrap_or(module);
                match purpose.pools.iter().any(|pool| pool == name) {
                    true => name.to_owned(),
                    false => DEFAULT_QUEUE.to_owned(),
                }
            }
            (None, None) => task.queue,
        };
        self.check_pool(purpose, &task.queue)?;
        self.run_rules(&mut task, step);
        task.accept = match purpose.judge {
            Some(_) => judged(step)?,
            None => accept(step, purpose.each)?,
        };
        Ok(task)
    }

    /// Refuses a queue that a step has taken from its `module` and that is none of the pools that the plan may name.
    fn check_pool(&self, purpose: &TaskPurpose<'_>, queue: &str) -> Result<(), String> {
        let pools = self.live.plan.as_ref().ok();
        let pools = pools.and_then(|plan| plan.limits.pools.as_ref());
        let is_module = purpose.step.pool.is_none() && purpose.step.module.is_some();
        match pools {
            Some(pools) if is_module && !pools.iter().any(|pool| pool == queue) => Err(format!(
                "the pool {queue} of its `module` is not allowed; allowed are {}",
                pools.join(", ")
            )),
            _ => Ok(()),
        }
    }

    /// The context of templates of a purpose.
    fn values_for(
        &mut self,
        purpose: &TaskPurpose<'_>,
        texts: &[(&str, bool)],
    ) -> Result<Value, String> {
        self.context(purpose.scope, texts, purpose.extra.clone())
    }

    /// The question of an approval.
    fn question(
        &mut self,
        purpose: &TaskPurpose<'_>,
        work: &ApproveWork,
    ) -> Result<NewTask, String> {
        let context = self.values_for(purpose, &[(&work.prompt, false)])?;
        let prompt = render(&work.prompt, &context, &self.limits(false));
        let mut task = self.common(purpose, TYPE_HUMAN);
        task.prompt = prompt.map_err(|why| format!("`prompt`: {why}"))?;
        if let (Some(form), Some(Value::Object(metadata))) = (&work.form, &mut task.metadata) {
            metadata.insert("form".into(), form.clone());
        }
        Ok(task)
    }

    /// A program. It is a task of the type `python`, whose code starts it: so hub and pool must allow code of tasks.
    fn program(&mut self, purpose: &TaskPurpose<'_>, work: &RunWork) -> Result<NewTask, String> {
        let step = purpose.step;
        if self.live.metadata.programs == Some(false) {
            return Err(
                "the key that started the run may not enqueue code, so no programs run".into(),
            );
        }
        let texts: Vec<(&str, bool)> = work
            .words
            .iter()
            .map(|word| (word.as_str(), false))
            .collect();
        let mut words = Vec::with_capacity(work.words.len());
        let mut variables = Map::new();
        if work.shell {
            words.extend(["sh", "-c"].map(str::to_owned));
            words.extend(work.words.iter().cloned());
            variables = self.variables(purpose)?;
        } else {
            let context = self.values_for(purpose, &texts)?;
            for (at, word) in work.words.iter().enumerate() {
                let word = render(word, &context, &self.limits(false));
                words.push(word.map_err(|why| format!("`run`, word {}: {why}", at + 1))?);
            }
        }
        let data = json!({"words": words, "variables": variables}).to_string();
        // A JSON text is a text of Python as well.
        let data = serde_json::to_string(&data).map_err(|why| why.to_string())?;
        let mut task = self.common(purpose, TYPE_PYTHON);
        task.prompt = PROGRAM.replace("DATA", &data);
        task.queue = step.pool.clone().unwrap_or(task.queue);
        task.workdir = match &step.workdir {
            Some(template) => {
                let context = self.values_for(purpose, &[(template, false)])?;
                let folder = render(template, &context, &self.limits(false));
                Some(folder.map_err(|why| format!("`workdir`: {why}"))?)
            }
            None => None,
        };
        self.run_rules(&mut task, step);
        task.accept = accept(step, None)?;
        Ok(task)
    }

    /// The values for a shell, as environment variables: `KIROSU_INPUT_NAME` and the results of the steps on which this one
    /// depends as `KIROSU_STEP_ID`.
    fn variables(&mut self, purpose: &TaskPurpose<'_>) -> Result<Map<String, Value>, String> {
        let name = |prefix: &str, name: &str| {
            format!("KIROSU_{prefix}_{}", name.to_uppercase().replace('-', "_"))
        };
        let mut variables = Map::new();
        for (input, value) in &self.live.inputs {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Null => String::new(),
                value => value.to_string(),
            };
            variables.insert(name("INPUT", input), text.into());
        }
        for id in &purpose.step.depends_on {
            let path = purpose.scope.path(id);
            let text = self.results.text(self.snapshot, &path)?;
            let size = text.as_ref().map_or(0, String::len);
            if size > VARIABLE_BYTES {
                return Err(format!(
                    "the result of the step {id} has {size} bytes, and an environment variable at most {VARIABLE_BYTES}: without `shell`, a word of `run` may have `{{{{ steps.{id}.file }}}}`, the path of a file with it, or `| cut(n)`"
                ));
            }
            variables.insert(name("STEP", id), text.unwrap_or_default().into());
        }
        Ok(variables)
    }

    /// Timeouts, attempts and effects of a step.
    fn run_rules(&self, task: &mut NewTask, step: &Step) {
        task.timeout_ms = step.timeout_ms;
        task.max_attempts = step.max_attempts;
        task.retry = step.retry.as_ref().map(|pauses| {
            let usual = RetryPolicy::default();
            RetryPolicy {
                initial_ms: pauses.initial_ms.unwrap_or(usual.initial_ms),
                max_ms: pauses.max_ms.unwrap_or(usual.max_ms),
                factor: pauses.factor.unwrap_or(usual.factor),
            }
        });
        if step.effects == Effects::Once {
            task.on_lost = OnLost::Ask;
        }
    }

    /// A run of another plan below this one.
    fn sub_run(
        &mut self,
        purpose: &TaskPurpose<'_>,
        work: &PipelineWork,
    ) -> Result<NewTask, String> {
        let Some(text) = self.live.metadata.plans.get(&work.plan) else {
            return Err(format!(
                "the client sent no plan {}: start the run with `kirosu run-pipeline`",
                work.plan
            ));
        };
        let text = text.clone();
        let mut inputs = Map::new();
        for (name, value) in &work.inputs {
            let value = match value {
                Value::String(template) => {
                    let context = self.values_for(purpose, &[(template, false)])?;
                    let text = render(template, &context, &self.limits(false));
                    Value::String(text.map_err(|why| format!("the input {name}: {why}"))?)
                }
                value => value.clone(),
            };
            inputs.insert(name.clone(), value);
        }
        let metadata = PlanMetadata {
            name: Some(work.plan.clone()),
            format: work.plan.ends_with(".toml").then(|| "toml".to_owned()),
            inputs,
            sources: self.live.metadata.sources_of(&purpose.step.id),
            plans: self.live.metadata.plans.clone(),
            ..PlanMetadata::default()
        };
        let mut task = self.run_below(purpose, metadata)?;
        task.prompt = text;
        Ok(task)
    }

    /// A run below this one, without its plan.
    pub fn run_below(
        &self,
        purpose: &TaskPurpose<'_>,
        metadata: PlanMetadata,
    ) -> Result<NewTask, String> {
        let depth = self.live.above.len() as u64 + 1;
        let limits = self.live.plan.as_ref().ok().map(|plan| &plan.limits);
        let limit = limits.map_or(0, |limits| limits.depth);
        if depth >= limit {
            return Err(format!(
                "limit: the run is {depth} levels deep with it, and `limits.depth` is {limit}"
            ));
        }
        let made = u64::try_from(self.snapshot.run.made).unwrap_or(0);
        let metadata = PlanMetadata {
            programs: self.live.metadata.programs,
            limits: LimitsLeft {
                depth: Some(limit),
                tasks: limits.map(|limits| limits.tasks.saturating_sub(made)),
                pools: limits.and_then(|limits| limits.pools.clone()),
                ask: match &purpose.step.work {
                    Work::Plan(work) => work.ask.unwrap_or(true).then_some(true),
                    _ => self.live.metadata.limits.ask,
                },
            },
            ..metadata
        };
        let metadata = serde_json::to_value(metadata).map_err(|why| why.to_string())?;
        Ok(NewTask {
            metadata: Some(metadata),
            ..self.common(purpose, TYPE_PLAN)
        })
    }
}

/// The conditions of the answer of a judge: the number of an answer, or a result of its own in the form of the step.
fn judged(step: &Step) -> Result<Option<Box<Accept>>, String> {
    let Work::Vote(vote) = &step.work else {
        return Ok(None);
    };
    let mut accept = accept(step, None)?;
    if let Some(accept) = &mut accept
        && let Some(schema) = accept.schema.take()
    {
        let number = json!({"type": "integer", "minimum": 1, "maximum": vote.n});
        accept.schema = Some(json!({"anyOf": [number, schema]}));
    }
    Ok(accept)
}

/// The conditions of a task's result.
fn accept(step: &Step, each: Option<usize>) -> Result<Option<Box<Accept>>, String> {
    let mut accept: Accept = match &step.accept {
        Some(value) => {
            serde_json::from_value(value.clone()).map_err(|why| format!("`accept`: {why}"))?
        }
        None => Accept::default(),
    };
    let schema = step.result.as_ref().and_then(|form| form.schema.clone());
    let schema = match each {
        Some(count) => Some(json!({
            "type": "array",
            "minItems": count,
            "maxItems": count,
            "items": schema.unwrap_or_else(|| json!({})),
        })),
        None => schema,
    };
    accept.schema = schema.or(accept.schema);
    Ok((accept != Accept::default()).then(|| Box::new(accept)))
}
