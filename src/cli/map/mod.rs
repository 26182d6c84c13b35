//! `kirosu map`: runs one prompt for each of many items, and merges the results if asked to.

mod build;
mod results;

pub(super) use build::literal;

use super::enqueue::context::ContextArgs;
use super::enqueue::read;
use super::follow::report;
use super::launch::{LaunchArgs, PreparedRun};
use super::run_pipeline::{Launched, launched};
use super::{Context, Failure, time, whole};
use kirosu_plan::limits::{BATCH_MAX, CONCURRENCY_MAX, PLAN_BYTES};
use std::path::{Path, PathBuf};
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  kirosu map --files 'docs/**/*.md' --prompt 'Summarise {{ item.path }}: {{ item.text }}'
  kirosu map --files 'src/**/*.rs' --prompt-file review.txt \\
      --reduce 'One report: {% for r in results %}{{ r.key }}: {{ r.result }}{% endfor %}'
  kirosu map --lines urls.txt --prompt 'Is {{ item }} a shop?' --tolerate 2% --sample 5
  kirosu map --csv people.csv --key '{{ item.email }}' --prompt 'Greet {{ item.name }}'
  jq -c .[] issues.json | kirosu map --stdin jsonl --batch 20 --prompt '{{ items | tojson }}'
  kirosu map --lines urls.txt --prompt 'Check {{ item }}' --dry-run

Put globs and templates in single quotes. A file is {path, text}, a line a text, a line of JSON
any value, a row of CSV a table by its heading. Without --reduce a JSON line per item is printed,
{key, result} or {key, error, class}, in the order of the items. Templates: docs/plans.md

Exit codes: 0 done, 1 refused, 2 wrong usage, 3 items failed or the run was cancelled, 4 the time
of --wait-timeout ran out, 130 Ctrl-C: the run goes on.";

/// Runs one prompt for each of many files, lines or rows
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Prints the run's number and does not wait
    #[arg(long)]
    detach: bool,
    /// Gives up waiting after this time; the run goes on
    #[arg(long, value_name = "TIME", conflicts_with = "detach", value_parser = time::read_span)]
    wait_timeout: Option<Duration>,
    #[command(flatten)]
    source: ItemArgs,
    #[command(flatten)]
    prompts: PromptArgs,
    #[command(flatten)]
    context: ContextArgs,
    #[command(flatten)]
    tasks: TaskArgs,
    #[command(flatten)]
    launch: LaunchArgs,
}

/// The items: one of these.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(required = true, multiple = false)]
#[command(next_help_heading = "The items")]
struct ItemArgs {
    /// Files that match a glob, such as 'docs/**/*.{md,txt}'
    #[arg(long, value_name = "GLOB")]
    files: Option<String>,
    /// Lines of a text file
    #[arg(long, value_name = "FILE")]
    lines: Option<String>,
    /// Values of a file of JSON lines
    #[arg(long, value_name = "FILE")]
    jsonl: Option<String>,
    /// Rows of a CSV file with a heading
    #[arg(long, value_name = "FILE")]
    csv: Option<String>,
    /// Standard input, in this form: lines, jsonl or csv
    #[arg(long, value_name = "FORM", value_parser = ["lines", "jsonl", "csv"], hide_possible_values = true)]
    stdin: Option<String>,
}

/// The prompts, as text or as files.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "The prompts")]
struct PromptArgs {
    /// Template of the prompt for an item
    #[arg(long, value_name = "TEMPLATE", required_unless_present = "prompt_file")]
    prompt: Option<String>,
    /// Reads that template from a file
    #[arg(long, value_name = "FILE", conflicts_with = "prompt")]
    prompt_file: Option<PathBuf>,
    /// Template of a prompt that merges `results`, in groups until one result is left
    #[arg(long, value_name = "TEMPLATE")]
    reduce: Option<String>,
    /// Reads that template from a file
    #[arg(long, value_name = "FILE", conflicts_with = "reduce")]
    reduce_file: Option<PathBuf>,
}

/// The tasks of the items.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "The tasks")]
struct TaskArgs {
    /// Pool whose sessions run the tasks
    #[arg(long, value_name = "NAME")]
    pool: Option<String>,
    /// Provider to use
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Model to use
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Instructions that frame each prompt
    #[arg(long, visible_alias = "system-prompt", value_name = "TEXT")]
    system: Option<String>,
    /// Template of an item's name in results, which is unique [default: the path of a file, else #1, #2, ...]
    #[arg(long, value_name = "TEMPLATE")]
    key: Option<String>,
    /// Items per task; above 1 the prompt has `items` instead of `item`
    #[arg(long, value_name = "NUMBER", value_parser = whole::<u64>(1..=BATCH_MAX as i64, 10))]
    batch: Option<u64>,
    /// With --batch: a result is a JSON list with one element per item
    #[arg(long, requires = "batch")]
    each: bool,
    /// Runs this number of items first, the others when these are done
    #[arg(long, value_name = "NUMBER", value_parser = whole::<u64>(1..=i64::MAX, 3))]
    sample: Option<u64>,
    /// Items that may fail until no further one starts: a number or a percentage, such as 2% [default: 100%]
    #[arg(long, value_name = "NUMBER|PERCENT")]
    tolerate: Option<String>,
    /// The most tasks at once [default: twice the sessions that can take them]
    #[arg(long, value_name = "NUMBER", value_parser = whole::<u64>(1..=CONCURRENCY_MAX as i64, 20))]
    concurrency: Option<u64>,
    /// File with the JSON schema of a result
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
}

/// Runs the map, waits unless asked not to, and prints the results.
///
/// # Errors
/// A flag or an item is faulty, the hub refuses or cannot be reached, or standard output fails.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let prompt = template(&args.prompts.prompt, &args.prompts.prompt_file).await?;
    let reduce = template(&args.prompts.reduce, &args.prompts.reduce_file).await?;
    let has_reduce = reduce.is_some();
    let schema = match &args.tasks.schema {
        Some(path) => Some(schema(path).await?),
        None => None,
    };
    let prompts = MapPrompts {
        context: args.context.text().await?,
        prompt: prompt.unwrap_or_default(),
        reduce,
    };
    let file = build::plan(args, prompts, schema)?;
    let prepared = PreparedRun::of(file, &[]).await?;
    let waits = (!args.detach).then_some(args.wait_timeout);
    let (run, hub) = match launched(&prepared, &args.launch, None, waits, context).await? {
        Launched::Over(code) => return Ok(code),
        Launched::Ended(run, hub) => (*run, hub),
    };
    match has_reduce && !context.screen.json {
        true => report::print(run, &hub, context).await,
        false => results::print(run, has_reduce, &hub, context).await,
    }
}

/// The templates of the prompts.
struct MapPrompts {
    /// A text before each prompt of an item. It is no template.
    context: Option<String>,
    prompt: String,
    reduce: Option<String>,
}

/// The template that is given as text or as file.
async fn template(
    text: &Option<String>,
    file: &Option<PathBuf>,
) -> Result<Option<String>, Failure> {
    match file {
        Some(file) => read(file, PLAN_BYTES as u64).await.map(Some),
        None => Ok(text.clone()),
    }
}

async fn schema(path: &Path) -> Result<serde_json::Value, Failure> {
    let text = read(path, PLAN_BYTES as u64).await?;
    let tried = || format!("cannot use {} as schema, it is not JSON", path.display());
    serde_json::from_str(&text).map_err(|why| Failure::local(tried(), why))
}
