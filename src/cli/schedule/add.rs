//! `kirosu schedule add`.

use super::{Context, Failure, running_task, time, whole};
use crate::cli::enqueue::{accept::AcceptFlags, budget, fields, piped};
use crate::cli::launch::inputs::{GivenInput, read_given};
use crate::cli::launch::{LaunchArgs, PreparedRun};
use crate::terminal::zone;
use kirosu_protocol::schedule::UTC;
use kirosu_protocol::{
    ATTEMPTS, Budget, MissedPolicy, NewTask, OverlapPolicy, PRIORITIES, ScheduleAddParams,
    ScheduleSpec, TaskBudget, millis,
};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The flags of a new schedule.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("times").required(true).args(["every", "cron", "at"]))]
#[command(group = clap::ArgGroup::new("work").required(true).args(["prompt", "plan"]))]
pub struct NewArgs {
    /// Its name: letters, digits, '.', '-', '_' and '@'
    #[arg(long)]
    name: String,
    /// Again and again after this time, from 1s up: 10m, 1h30m, 7d
    #[arg(long, value_name = "TIME", value_parser = time::read_some_span)]
    every: Option<Duration>,
    /// The times of a cron expression: minute, hour, day of the month, month, day of the week
    #[arg(long, value_name = "EXPRESSION")]
    cron: Option<String>,
    /// With --cron: the time zone, such as Europe/Berlin [default: that of this machine]
    #[arg(long, value_name = "ZONE", conflicts_with_all = ["every", "at"])]
    tz: Option<String>,
    /// Once at this moment: "2027-01-31 08:00" (local time), 2027-01-31T08:00:00Z or +02:00
    #[arg(long, value_name = "MOMENT", value_parser = time::read_moment)]
    at: Option<f64>,
    /// Prompt of the task; `-` reads it from standard input
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// Runs a plan instead: a file, the name of a plan in .kirosu/plans, or - for standard input
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// With --plan: the value of an input; may be repeated
    #[arg(long, value_name = "NAME=VALUE", conflicts_with = "prompt", value_parser = read_given)]
    input: Vec<GivenInput>,
    /// Times that passed while the hub was down: skip, one task for all of them, or all<=N tasks
    #[arg(long, value_name = "WHAT", default_value_t = MissedPolicy::One, value_parser = read_missed)]
    missed: MissedPolicy,
    /// While the last task is unfinished: skip the time, queue one more, or cancel the last one first
    #[arg(long, value_name = "WHAT", default_value = "skip", value_parser = ["skip", "queue", "cancel"], hide_possible_values = true)]
    overlap: String,
    /// Delays each firing by a part of this time, so that not all schedules fire at once
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = time::read_span, hide_default_value = true)]
    jitter: Duration,
    /// Replaces a schedule of this name
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    task: TaskFlags,
}

/// The flags of the task that a schedule adds.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "The task")]
struct TaskFlags {
    /// Queue or pool of the task [default: default]
    #[arg(long, visible_alias = "pool")]
    queue: Option<String>,
    /// Higher values run first, -1000 to 1000
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, value_parser = whole::<i32>(PRIORITIES, 10))]
    priority: Option<i32>,
    /// Label of each task, besides schedule:NAME; may be repeated
    #[arg(long, value_name = "NAME")]
    label: Vec<String>,
    /// Budget of each task; of a plan, that of all its tasks together: 200k (tokens), 1.50usd, or both
    #[arg(long, value_name = "AMOUNT", value_parser = budget::read)]
    budget: Option<Budget>,
    /// chat, python, human, or any type that workers agree on [default: chat]
    #[arg(long = "type", value_name = "TYPE", conflicts_with = "plan")]
    task_type: Option<String>,
    /// Instructions that frame the prompt
    #[arg(long, value_name = "TEXT", conflicts_with = "plan")]
    system: Option<String>,
    /// Maximum number of attempts; failed ones are repeated with growing pauses
    #[arg(long, value_name = "NUMBER", conflicts_with = "plan", value_parser = whole::<u32>(ATTEMPTS, 3))]
    max_attempts: Option<u32>,
    /// Maximum run time of an attempt
    #[arg(long, value_name = "TIME", conflicts_with = "plan", value_parser = time::read_span)]
    timeout: Option<Duration>,
    /// Each task waits for `kirosu approve` before it runs
    #[arg(long, conflicts_with = "plan")]
    requires_approval: bool,
    /// Model to use
    #[arg(long, conflicts_with = "plan")]
    model: Option<String>,
    /// Provider to use
    #[arg(long, conflicts_with = "plan")]
    provider: Option<String>,
    /// Folder to run in
    #[arg(long, value_name = "FOLDER", conflicts_with = "plan")]
    workdir: Option<String>,
    /// Any JSON to store with each task
    #[arg(long, value_name = "JSON", conflicts_with = "plan")]
    metadata: Option<String>,
    #[command(flatten)]
    accept: AcceptFlags,
}

fn read_missed(word: &str) -> Result<MissedPolicy, String> {
    word.parse()
}

/// Adds the schedule.
///
/// # Errors
/// The plan has faults or reads files of this machine, a flag is wrong, or the hub refuses or cannot be reached.
pub async fn run(args: &NewArgs, context: &Context) -> Result<u8, Failure> {
    if let Some(task) = running_task() {
        return Err(Failure::Local(format!(
            "this is the run of task {task}, and runs cannot add schedules: ask the person for whom you work"
        )));
    }
    if args.plan.is_some() && args.task.accept.to_json()?.is_some() {
        return Err(Failure::Usage(
            "the flags --accept-* are for the task of a prompt; the steps of a plan have `accept`"
                .into(),
        ));
    }
    let prepared = match &args.plan {
        Some(file) => Some(PreparedRun::read(file, &args.input).await?),
        None => None,
    };
    let planned = prepared.map(|run| args.planned(&run)).transpose()?;
    let prompt = match (&planned, args.prompt.as_deref()) {
        (Some(_), _) => None,
        (None, Some("-")) => Some(piped(Path::new("-"), true, "prompt").await?),
        (None, given) => given.map(str::to_owned),
    };
    let hub = context.connect().await?;
    let task = match planned {
        Some(task) => task,
        None => {
            let mut fields = args.task.to_json()?;
            fields.insert("prompt".into(), Value::String(prompt.unwrap_or_default()));
            fields::read(&Value::Object(fields).to_string(), &hub.limits())
                .map_err(Failure::Usage)?
        }
    };
    let params = ScheduleAddParams {
        name: args.name.clone(),
        spec: args.spec(),
        task: Box::new(task),
        missed: args.missed,
        overlap: OverlapPolicy::from_name(&args.overlap).unwrap_or(OverlapPolicy::Skip),
        jitter_ms: millis(args.jitter),
        replace: args.replace,
    };
    // The same request again finds the schedule.
    let answer = hub.request_idempotent(&params).await?;
    let screen = &context.screen;
    screen.answer(&answer, || {
        let name = &answer.name;
        let Some(next) = answer.next_at else {
            return screen.print(&format!("{name} is finished; add it with another time"));
        };
        let at = time::date(next, screen.zone().as_ref());
        let zone = match &params.spec {
            ScheduleSpec::Cron { tz, .. } => format!(", by the clock of {tz}"),
            _ => String::new(),
        };
        let ago = time::ago(next, time::now());
        screen.print(&format!("{name} fires next at {at} ({ago}){zone}"))
    })
}

impl NewArgs {
    fn spec(&self) -> ScheduleSpec {
        match (self.every, &self.cron, self.at) {
            (Some(every), _, _) => ScheduleSpec::Every {
                every_ms: millis(every),
            },
            (_, Some(cron), _) => ScheduleSpec::Cron {
                cron: cron.clone(),
                tz: self.tz.clone().unwrap_or_else(local_zone),
            },
            (_, _, at) => ScheduleSpec::At {
                at_ms: (at.unwrap_or_default() * 1000.0).round() as i64,
            },
        }
    }

    /// The task of a plan.
    fn planned(&self, run: &PreparedRun) -> Result<NewTask, Failure> {
        let launch = LaunchArgs {
            label: self.task.label.clone(),
            queue: self.task.queue.clone(),
            priority: self.task.priority,
            idempotency_key: None,
            budget: self.task.budget,
            dry_run: false,
        };
        run.scheduled(&launch)
    }
}

impl TaskFlags {
    /// The flags as parameters of `enqueue`.
    fn to_json(&self) -> Result<Map<String, Value>, Failure> {
        let mut map = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                map.insert(name.to_owned(), value);
            }
        };
        let text = |text: &Option<String>| text.clone().map(Value::String);
        let budget = self.budget.map(|own| TaskBudget { own, tree: None });
        let metadata = self.metadata.as_deref().map(serde_json::from_str::<Value>);
        let metadata = metadata
            .transpose()
            .map_err(|why| Failure::Usage(format!("--metadata is not JSON: {why}")))?;
        put("queue", text(&self.queue));
        put("priority", self.priority.map(Value::from));
        put(
            "labels",
            (!self.label.is_empty()).then(|| json!(self.label)),
        );
        put("budget", budget.map(|budget| json!(budget)));
        put("type", text(&self.task_type));
        put("system_prompt", text(&self.system));
        put("max_attempts", self.max_attempts.map(Value::from));
        let timeout = self.timeout.map(|it| it.as_secs_f64().into());
        put("timeout_seconds", timeout);
        put(
            "requires_approval",
            self.requires_approval.then_some(Value::Bool(true)),
        );
        put("model", text(&self.model));
        put("provider", text(&self.provider));
        put("workdir", text(&self.workdir));
        put("metadata", metadata);
        put("accept", self.accept.to_json()?);
        Ok(map)
    }
}

/// The name of this machine's time zone.
fn local_zone() -> String {
    let zone = zone::local().ok();
    let name = zone.as_ref().and_then(|zone| zone.iana_name());
    name.unwrap_or(UTC).to_owned()
}
