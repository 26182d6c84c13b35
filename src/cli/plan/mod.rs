//! `kirosu plan`: checks and draws plans. Needs no hub.

pub(super) mod file;

use super::launch::nested;
use super::{Context, Failure, Paint, Screen, text};
use crate::terminal::sanitizer::Sanitizer;
use clap::Subcommand;
use file::{GivenFormat, PlanFile, is_stdin};
use kirosu_plan::{Place, Plan, PlanFault, PlanFaults, check_sources, mermaid, schema, tree};
use serde_json::{Value, json};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  kirosu plan check review.yaml             every fault with line, column and the nearest known word
  kirosu plan check review                  .kirosu/plans/review.yaml, .yml, .toml or .json
  kirosu plan show review                   the steps as a tree
  kirosu plan show review --mermaid         a drawing for GitHub
  kirosu plan show review --json            the compiled plan and its hash
  kirosu plan schema > plan.schema.json     the JSON schema, for editors
  agent-that-plans | kirosu plan check -

The format of plans: docs/plans.md";

/// The characters of a hash that people see.
const HASH_CHARS: usize = 12;

/// Checks and draws plans
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: PlanCommand,
}

#[derive(Debug, Subcommand)]
enum PlanCommand {
    /// Lists every fault of plans
    Check {
        /// Files, names of plans in .kirosu/plans, or - for standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// The format [default: by the file's ending, else yaml]
        #[arg(long)]
        format: Option<GivenFormat>,
    },
    /// Shows a plan as a tree, as Mermaid or compiled (--json)
    Show {
        /// A file, the name of a plan in .kirosu/plans, or - for standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The format [default: by the file's ending, else yaml]
        #[arg(long)]
        format: Option<GivenFormat>,
        /// Prints a flowchart for Mermaid
        #[arg(long)]
        mermaid: bool,
    },
    /// Prints the JSON schema of plans, for editors
    Schema,
}

/// Runs the subcommand. `check` returns exit code 1 if a plan has a fault.
///
/// # Errors
/// A file cannot be read, the plan of `show` has faults, or standard output fails.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let screen = &context.screen;
    match &args.command {
        PlanCommand::Check { files, format } => check(files, *format, screen).await,
        PlanCommand::Show {
            file,
            format,
            mermaid: is_mermaid,
        } => {
            let source = PlanFile::open(file, *format).await?;
            let plan = source.compiled()?;
            match (screen.json, is_mermaid) {
                (true, true) => {
                    screen.json(&json!({"file": source.shown, "mermaid": mermaid(&plan)}))?;
                }
                (true, false) => {
                    screen
                        .json(&json!({"file": source.shown, "hash": plan.hash(), "plan": plan}))?;
                }
                (false, true) => screen.print_untrusted(&mermaid(&plan))?,
                (false, false) => screen.print_untrusted(&tree(&plan))?,
            }
            Ok(0)
        }
        PlanCommand::Schema => {
            let text = serde_json::to_string_pretty(&schema());
            let text = text.map_err(|why| Failure::local("cannot write the schema", why))?;
            screen.print(&text)?;
            Ok(0)
        }
    }
}

/// Checks all plans and prints a line for each plan without a fault, and for each fault of the others.
async fn check(
    files: &[PathBuf],
    format: Option<GivenFormat>,
    screen: &Screen,
) -> Result<u8, Failure> {
    if files.iter().filter(|file| is_stdin(file)).count() > 1 {
        let message = "standard input (-) can be read only once";
        return Err(Failure::Usage(message.into()));
    }
    let (mut answers, mut code) = (Vec::new(), 0);
    for file in files {
        let source = PlanFile::open(file, format).await?;
        let outcome = with_sources(source.compile(), &source).await;
        code = code.max(u8::from(outcome.is_err()));
        match screen.json {
            true => answers.push(answer(&source.shown, &outcome)),
            false => print(&source.shown, &outcome, screen)?,
        }
    }
    if screen.json {
        screen.json(&json!({"ok": code == 0, "plans": answers}))?;
    }
    Ok(code)
}

/// Adds the fault of items that no run of the plan could read, in this plan or in those that its steps name. A plan that cannot be
/// found here is no fault: it may be elsewhere when the run starts.
async fn with_sources(
    outcome: Result<Plan, PlanFaults>,
    file: &PlanFile,
) -> Result<Plan, PlanFaults> {
    let plan = outcome?;
    let Ok(plans) = nested::read(&plan, file.path.as_deref()).await else {
        return Ok(plan);
    };
    match check_sources(&plan, &plans) {
        Ok(()) => Ok(plan),
        Err(message) => Err(PlanFaults(vec![PlanFault {
            place: Place { line: 1, column: 1 },
            path: "pipeline".into(),
            message,
            nearest: None,
        }])),
    }
}

fn answer(file: &str, outcome: &Result<Plan, PlanFaults>) -> Value {
    match outcome {
        Ok(plan) => {
            json!({"file": file, "ok": true, "hash": plan.hash(), "steps": count(&plan.pipeline)})
        }
        Err(faults) => json!({"file": file, "ok": false, "faults": faults.0}),
    }
}

fn print(file: &str, outcome: &Result<Plan, PlanFaults>, screen: &Screen) -> Result<(), Failure> {
    let file = shown(file, screen);
    match outcome {
        Ok(plan) => {
            let ok = screen.paint(Paint::Good, "ok");
            let steps = text::count(count(&plan.pipeline), "step");
            let hash = &plan.hash()[..HASH_CHARS];
            screen.print(&format!("{ok}: {file} ({steps}, {hash})"))
        }
        Err(faults) => {
            for fault in &faults.0 {
                screen.print(&line(&file, fault, screen))?;
            }
            Ok(())
        }
    }
}

/// A fault in the form of compilers, `FILE:LINE:COLUMN: ...`, which editors understand.
fn line(file: &str, fault: &PlanFault, screen: &Screen) -> String {
    let place = format!("{file}:{}:{}", fault.place.line, fault.place.column);
    let rest = fault.to_string();
    let position = format!("{}:{}: ", fault.place.line, fault.place.column);
    let rest = rest.strip_prefix(&position).unwrap_or(&rest);
    let rest = shown(rest, screen);
    format!("{}: {rest}", screen.paint(Paint::Bad, &place))
}

/// A text of others: sanitized on a terminal, on one line.
fn shown(text: &str, screen: &Screen) -> String {
    match screen.width {
        Some(_) => Sanitizer::whole(text).replace('\n', " "),
        None => text.replace('\n', " "),
    }
}

fn count(steps: &[kirosu_plan::Step]) -> u64 {
    let inner = steps.iter().map(|step| 1 + count(step.work.steps()));
    inner.sum()
}
