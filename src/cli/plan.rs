//! `kirosu plan`: checks and draws plans. Needs no hub.

use super::enqueue::read;
use super::{Context, Failure, Paint, Screen, text};
use crate::terminal::sanitizer::Sanitizer;
use clap::{Subcommand, ValueEnum};
use kirosu_plan::limits::PLAN_BYTES;
use kirosu_plan::{Plan, PlanFault, PlanFaults, PlanFormat, compile, mermaid, schema, tree};
use kirosu_protocol::text::nearest;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

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

/// Plans of this folder that are known by their names.
const FOLDER: &str = ".kirosu/plans";
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

/// The format of a plan.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum GivenFormat {
    /// YAML
    Yaml,
    /// JSON
    Json,
    /// TOML
    Toml,
}

impl GivenFormat {
    fn format(self) -> PlanFormat {
        match self {
            GivenFormat::Yaml | GivenFormat::Json => PlanFormat::Yaml,
            GivenFormat::Toml => PlanFormat::Toml,
        }
    }
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
            let source = Source::open(file, *format).await?;
            let plan = source.compile().map_err(|faults| Failure::Plan {
                file: source.shown.clone(),
                faults,
            })?;
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
        let source = Source::open(file, format).await?;
        let outcome = source.compile();
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

fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}

/// The text of a plan.
struct Source {
    /// The file, or `-`.
    shown: String,
    text: String,
    format: PlanFormat,
    /// The name of the file, for a plan without a name.
    name: Option<String>,
}

impl Source {
    /// Reads a plan from a file, by its name, or from standard input.
    ///
    /// # Errors
    /// It cannot be found or read.
    async fn open(file: &Path, format: Option<GivenFormat>) -> Result<Source, Failure> {
        let path = match is_stdin(file) {
            true => file.to_owned(),
            false => find(file)?,
        };
        let ending = path.extension().and_then(|ending| ending.to_str());
        let by_ending = PlanFormat::of_ending(ending.unwrap_or_default());
        let name = path.file_stem().and_then(|name| name.to_str());
        Ok(Source {
            shown: path.display().to_string(),
            text: read(&path, PLAN_BYTES as u64).await?,
            format: format.map_or(by_ending, GivenFormat::format),
            name: name.filter(|_| !is_stdin(file)).map(str::to_owned),
        })
    }

    fn compile(&self) -> Result<Plan, PlanFaults> {
        let mut plan = compile(&self.text, self.format)?;
        plan.name = plan.name.or_else(|| self.name.clone());
        Ok(plan)
    }
}

/// The file of a plan: a bare name is that of a plan in [`FOLDER`].
fn find(file: &Path) -> Result<PathBuf, Failure> {
    let name = file.to_str().unwrap_or_default();
    let is_bare = !name.is_empty() && !name.contains(['/', '.']);
    if !is_bare {
        return Ok(file.to_owned());
    }
    let paths =
        PlanFormat::ENDINGS.map(|ending| Path::new(FOLDER).join(format!("{name}.{ending}")));
    let mut found = paths.into_iter().filter(|path| path.exists());
    match (found.next(), found.next()) {
        (Some(path), None) => Ok(path),
        (Some(one), Some(other)) => Err(Failure::Local(format!(
            "the name {name} is that of {} and {}: give the file",
            one.display(),
            other.display()
        ))),
        (None, _) => {
            let known = known();
            let near = nearest(name, known.iter().map(String::as_str));
            let near = near.map(|near| format!("; did you mean {near}?"));
            let endings = PlanFormat::ENDINGS.join(", .");
            Err(Failure::Local(format!(
                "there is no plan {name}: no {FOLDER}/{name} with the ending .{endings}{}",
                near.unwrap_or_else(|| format!("; a file here is ./{name}"))
            )))
        }
    }
}

/// The names of the plans in [`FOLDER`]; empty if it cannot be read.
fn known() -> Vec<String> {
    let entries = std::fs::read_dir(FOLDER).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let plans = paths.filter(|path| {
        let ending = path.extension().and_then(|ending| ending.to_str());
        ending.is_some_and(|ending| PlanFormat::ENDINGS.contains(&ending))
    });
    plans
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect()
}
