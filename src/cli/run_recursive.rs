//! `kirosu run-recursive`: lets an agent plan the work for a goal, and runs its plan.

use super::follow::report;
use super::launch::{LaunchArgs, PreparedRun};
use super::plan::file::PlanFile;
use super::run_pipeline::{Launched, launched};
use super::{Context, Failure, time, whole};
use clap::ValueEnum;
use kirosu_plan::PlanFormat;
use kirosu_plan::limits::DEPTH;
use serde_json::{Value, json};
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  kirosu run-recursive 'Compare the licences of our dependencies' --tokens 200000
  kirosu run-recursive 'Port the tests to pytest' --usd 5 --planner-pool architects
  kirosu run-recursive 'Summarise the logs' --tokens 50000 --approve-plan never
  kirosu approvals                      shows the plan that waits; kirosu answer N yes runs it

An agent makes a plan, faults of it are handed back to it, a person agrees, and the plan runs.
Its steps may plan again, --depth levels deep, within the same budget, which is required.

Exit codes: 0 done or, with --detach, started; 1 refused, 2 wrong usage, 3 a step failed or the
run was cancelled, 4 the time of --wait-timeout ran out, 130 Ctrl-C: the run goes on.";

/// Lets an agent plan the work for a goal, and runs the plan
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The goal
    #[arg(value_name = "GOAL")]
    goal: String,
    /// Tokens of the planner and all tasks together
    #[arg(long, value_name = "NUMBER", value_parser = whole::<u64>(1..=i64::MAX, 200_000))]
    tokens: Option<u64>,
    /// US dollars of the planner and all tasks together
    #[arg(long, value_name = "AMOUNT")]
    usd: Option<f64>,
    /// Whether a person agrees with the plan before it runs
    #[arg(long, value_name = "WHEN", default_value = "ask")]
    approve_plan: ApprovePlan,
    /// Pool of the planner
    #[arg(long, value_name = "NAME")]
    planner_pool: Option<String>,
    /// Pools that the plan may name; may be repeated
    #[arg(long, value_name = "NAME")]
    pool: Vec<String>,
    /// Levels of runs: 2 for a plan without further planners
    #[arg(long, value_name = "NUMBER", value_parser = whole::<u64>(2..=DEPTH.hardest as i64, 3))]
    depth: Option<u64>,
    /// Plans until one has no fault
    #[arg(long, value_name = "NUMBER", value_parser = whole::<u64>(1..=10, 3))]
    tries: Option<u64>,
    /// Prints the run's number and does not wait
    #[arg(long)]
    detach: bool,
    /// Gives up waiting after this time; the run goes on
    #[arg(long, value_name = "TIME", conflicts_with = "detach", value_parser = time::read_span)]
    wait_timeout: Option<Duration>,
    #[command(flatten)]
    launch: LaunchArgs,
}

/// When a person agrees with a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ApprovePlan {
    /// Before each plan runs
    Ask,
    /// Never
    Never,
}

/// Starts the run, and waits unless asked not to.
///
/// # Errors
/// A flag is faulty, the hub refuses or cannot be reached, or standard output fails.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let prepared = PreparedRun::of(plan(args)?, &[]).await?;
    let waits = (!args.detach).then_some(args.wait_timeout);
    match launched(&prepared, &args.launch, None, waits, context).await? {
        Launched::Over(code) => Ok(code),
        Launched::Ended(run, hub) => report::print(*run, &hub, context).await,
    }
}

/// A plan of one planner. The goal is an input, so that braces in it are text.
fn plan(args: &Args) -> Result<PlanFile, Failure> {
    let present = |fields: Vec<(&str, Option<Value>)>| -> Value {
        let fields = fields.into_iter();
        let given = fields.filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(given.collect())
    };
    let budget = args.launch.budget.as_ref();
    let tokens = args.tokens.or(budget.and_then(|budget| budget.tokens));
    let usd = args.usd.or(budget
        .and_then(|budget| budget.micros)
        .map(|micros| micros as f64 / 1e6));
    if tokens.is_none() && usd.is_none() {
        let message = "a planner decides how many tasks run, so it needs a budget: add --tokens NUMBER or --usd AMOUNT";
        return Err(Failure::Usage(message.to_owned()));
    }
    let limits = present(vec![
        ("tokens", tokens.map(Value::from)),
        ("usd", usd.map(Value::from)),
        ("depth", args.depth.map(Value::from)),
        ("pools", (!args.pool.is_empty()).then(|| json!(args.pool))),
    ]);
    let planner = present(vec![
        ("goal", Some("{{ inputs.goal }}".into())),
        ("pool", args.planner_pool.clone().map(Value::from)),
        ("ask", Some((args.approve_plan == ApprovePlan::Ask).into())),
        ("tries", args.tries.map(Value::from)),
    ]);
    let plan = json!({
        "name": "run-recursive",
        "inputs": {"goal": {"type": "text", "default": args.goal}},
        "limits": limits,
        "pipeline": [{"id": "goal", "plan": planner}],
    });
    let text = serde_json::to_string_pretty(&plan);
    Ok(PlanFile {
        shown: "run-recursive".to_owned(),
        text: text.map_err(|why| Failure::local("cannot write the plan", why))?,
        format: PlanFormat::Yaml,
        name: None,
        path: None,
    })
}
