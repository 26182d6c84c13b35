//! `--dry-run`: checks everything, counts the items and estimates the size of the prompts. Sends nothing.

use super::estimate::{self, Collecting, StepEstimate};
use super::history::{self, PlanHistory, StepUsage};
use super::saved::{self, ItemsDigest};
use super::{PreparedRun, send};
use crate::cli::show::table::{Cell, Column, TextTable};
use crate::cli::{Context, Failure, Paint, Screen, sources, text};
use kirosu_plan::{NamedPlans, Over, PipelineWork, PlanUse, RenderLimits, Step, Work, evaluate};
use kirosu_protocol::TaskId;
use serde_json::{Value, json};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// Characters of a prompt that are printed as text.
const PROMPT_CHARS: usize = 1500;
/// The most runs below that are estimated.
const BELOW: usize = 1000;

/// Estimates the run and prints it.
///
/// # Errors
/// A source cannot be read or has too many items, a prompt cannot be rendered, or standard output fails.
pub async fn run(run: &PreparedRun, context: &Context) -> Result<u8, Failure> {
    let mut counting = RunEstimate {
        run,
        plans: NamedPlans::new(&run.nested),
        all: Vec::new(),
        digest: ItemsDigest::default(),
        below: 0,
    };
    let top = PlanUse::top(Arc::new(run.plan.clone()), run.inputs.clone());
    counting.steps(&top, &top.plan.pipeline, None).await?;
    let RunEstimate {
        mut all, digest, ..
    } = counting;
    let hash = run.plan.hash();
    let id = saved::save(run, digest.hex());
    let history = history::of(run.plan.name.as_deref(), context).await;
    for estimate in &mut all {
        estimate.history = history.steps.get(&estimate.step).cloned();
    }
    let total = Totals::of(&all);
    let limits = limits(run, &total, &all);
    let screen = &context.screen;
    if screen.json {
        screen.json(&json!({
            "dry_run": true, "id": id, "name": run.plan.name, "hash": hash, "steps": all,
            "tasks": total.tasks, "prompt_tokens": total.tokens, "is_all": total.is_all, "limits": limits,
            "history": history, "tokens": total.used, "tokens_p90": total.used_p90, "usd": total.usd, "usd_p90": total.usd_p90,
        }))?;
        return Ok(0);
    }
    print(&all, &total, &limits, screen)?;
    print_history(&total, &history, screen)?;
    match id {
        Some(id) => screen.note(&format!(
            "nothing was sent; `kirosu run-pipeline --id {id}` starts this run, with these inputs and items"
        ))?,
        None => screen.note("nothing was sent; without --dry-run the run starts")?,
    }
    Ok(0)
}

/// The sums of all steps.
struct Totals {
    tasks: u64,
    tokens: u64,
    /// Whether every step is known.
    is_all: bool,
    /// Tokens by the history of the plan: with the median of each step, and with what nine of ten tasks used. `None` without one.
    used: Option<u64>,
    used_p90: Option<u64>,
    /// The cost by the same.
    usd: Option<f64>,
    usd_p90: Option<f64>,
}

impl Totals {
    fn of(steps: &[StepEstimate]) -> Totals {
        let times = |it: &StepEstimate| it.passes.unwrap_or(1);
        let tasks = steps.iter().map(|it| it.tasks.unwrap_or(0) * times(it));
        let tokens = steps
            .iter()
            .map(|it| it.prompt_tokens.unwrap_or(0) * times(it));
        let known = |it: &StepEstimate| match it.kind {
            "loop" | "race" | "approve" => true,
            _ => it.tasks == Some(0) || (it.tasks.is_some() && it.prompt_tokens.is_some()),
        };
        Totals {
            tasks: tasks.sum(),
            tokens: tokens.sum(),
            is_all: steps.iter().all(known),
            used: by_history(steps, |it| Some(it.tokens as f64)).map(|sum| sum as u64),
            used_p90: by_history(steps, |it| Some(it.tokens_p90 as f64)).map(|sum| sum as u64),
            usd: by_history(steps, |it| it.usd),
            usd_p90: by_history(steps, |it| it.usd_p90),
        }
    }
}

/// The sum over all steps that have a history; `None` if none has.
fn by_history(steps: &[StepEstimate], of: impl Fn(&StepUsage) -> Option<f64>) -> Option<f64> {
    let known = steps.iter().filter_map(|it| {
        // A step whose number of tasks depends on others counts once.
        let tasks = it.tasks.unwrap_or(1) * it.passes.unwrap_or(1);
        Some(of(it.history.as_ref()?)? * tasks as f64)
    });
    known.reduce(|sum, one| sum + one)
}

/// The estimates so far.
struct RunEstimate<'a> {
    run: &'a PreparedRun,
    plans: NamedPlans<'a>,
    all: Vec<StepEstimate>,
    digest: ItemsDigest,
    /// Runs of plans below.
    below: usize,
}

impl RunEstimate<'_> {
    /// Estimates the steps of a list, those in loops, races and runs below after the step around them.
    fn steps<'s>(
        &'s mut self,
        place: &'s PlanUse,
        list: &'s [Step],
        passes: Option<u64>,
    ) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + 's>> {
        Box::pin(async move {
            let values = estimate::context(place);
            for step in list {
                let mut estimate = self.one(place, step, &values).await?;
                estimate.passes = passes;
                self.all.push(estimate);
                match &step.work {
                    Work::Pipeline(work) => {
                        if let Some(below) = self.below(place, step, work)? {
                            self.steps(&below, &below.plan.pipeline, passes).await?;
                        }
                    }
                    Work::Loop(work) => {
                        let inner = passes.unwrap_or(1).saturating_mul(work.max);
                        self.steps(place, &work.steps, Some(inner)).await?;
                    }
                    work => self.steps(place, work.steps(), passes).await?,
                }
            }
            Ok(())
        })
    }

    fn below(
        &mut self,
        place: &PlanUse,
        step: &Step,
        work: &PipelineWork,
    ) -> Result<Option<PlanUse>, Failure> {
        self.below += 1;
        match self.below > BELOW {
            true => Err(Failure::Local(format!(
                "the run has more than {BELOW} runs of plans below it, too many for an estimate"
            ))),
            false => Ok(place.below(step, work, &self.plans)),
        }
    }

    async fn one(
        &mut self,
        place: &PlanUse,
        step: &Step,
        values: &Value,
    ) -> Result<StepEstimate, Failure> {
        let key = place.key(&step.id);
        let mut collecting = Collecting::new(step, place, values);
        let most = place.plan.limits.items;
        match &step.work {
            Work::Map(map) => {
                let list = match &map.over {
                    Over::List(items) => Some(items.clone()),
                    Over::Expression(expression) => listed(expression, values, (place, step))?,
                    Over::Source(_) => {
                        let source = self.run.sources.iter().find(|source| source.key == key);
                        let Some(source) = source else {
                            return collecting.end();
                        };
                        let mut pieces = sources::pieces(source.source.clone());
                        while let Some(piece) = pieces.recv().await {
                            for item in piece? {
                                self.digest.add(&key, &item);
                                collecting.item(map, item)?;
                            }
                            send::check(&key, collecting.items(), most)?;
                        }
                        None
                    }
                };
                for item in list.into_iter().flatten() {
                    collecting.item(map, item)?;
                }
                send::check(&key, collecting.items(), most)?;
                collecting.end()
            }
            Work::Reduce(reduce) => {
                let mut estimate = collecting.end()?;
                let of = place.key(&reduce.of);
                let of = self.all.iter().find(|it| it.step == of);
                estimate.items = of.and_then(|it| it.items);
                estimate.tasks = match &reduce.into {
                    Some(_) => Some(0),
                    None => estimate
                        .items
                        .map(|items| estimate::reduce_tasks(items, reduce.arity)),
                };
                Ok(estimate)
            }
            // The task of the run below; its steps follow.
            Work::Pipeline(_) => Ok(StepEstimate {
                tasks: Some(1),
                prompt_tokens: Some(0),
                ..collecting.end()?
            }),
            _ => collecting.end(),
        }
    }
}

/// The list that an expression returns; `None` if it names something that exists only later.
fn listed(
    expression: &str,
    values: &Value,
    (place, step): (&PlanUse, &Step),
) -> Result<Option<Vec<Value>>, Failure> {
    let failed = |why: &str| {
        let at = format!("cannot read the items of the step {}", place.key(&step.id));
        Failure::local(at, why)
    };
    match evaluate(expression, values, &RenderLimits::default()) {
        Ok(Value::Array(items)) => Ok(Some(items)),
        Ok(_) => Err(failed(&format!("{expression} is not a list"))),
        Err(_) if place.is_later(expression, true) => Ok(None),
        Err(why) => Err(failed(&why.to_string())),
    }
}

/// The limits that the run would meet, and those that are missing.
fn limits(run: &PreparedRun, total: &Totals, all: &[StepEstimate]) -> Vec<String> {
    let limits = &run.plan.limits;
    let mut met = Vec::new();
    // Runs below have a limit of their own.
    let own = all.iter().filter(|it| !it.is_below);
    let own: u64 = own
        .map(|it| it.tasks.unwrap_or(0) * it.passes.unwrap_or(1))
        .sum();
    if own > limits.tasks {
        met.push(format!(
            "limits.tasks is {}, and the run needs at least {}: it would fail",
            text::grouped(limits.tasks),
            text::count(own, "task")
        ));
    }
    match limits.tokens {
        Some(most) if total.tokens > most => met.push(format!(
            "limits.tokens is {}, and the prompts alone have about {}: the run would wait for a person",
            text::grouped(most),
            text::grouped(total.tokens)
        )),
        None if limits.usd.is_none() => met.push(
            "the plan has no budget: limits.tokens and limits.usd are not set".to_owned(),
        ),
        _ => {}
    }
    met
}

fn print(
    all: &[StepEstimate],
    total: &Totals,
    limits: &[String],
    screen: &Screen,
) -> Result<(), Failure> {
    let mut table = TextTable::new([
        Column::text("STEP"),
        Column::text("KIND"),
        Column::number("ITEMS"),
        Column::number("TASKS"),
        Column::number("PROMPT TOKENS"),
        Column::text("PASSES"),
    ]);
    let number = |it: Option<u64>| it.map_or_else(|| "?".to_owned(), text::grouped);
    for it in all {
        let is_list = matches!(it.kind, "map" | "reduce");
        let has_tasks = !matches!(it.kind, "loop" | "race" | "approve");
        let shown = |it, is: bool| Cell::new(if is { number(it) } else { String::new() });
        table.row([
            Cell::new(it.step.as_str()),
            Cell::new(it.kind),
            shown(it.items, is_list),
            shown(it.tasks, has_tasks),
            shown(it.prompt_tokens, has_tasks && it.tasks != Some(0)),
            Cell::new(it.passes.map(|n| format!("up to {n}")).unwrap_or_default()),
        ]);
    }
    table.print(screen)?;
    for it in all {
        for shown in &it.prompts {
            let key = shown.key.as_ref();
            let key = key.map(|key| format!(", {}", text::one_line(key)));
            let title = format!("== prompt of {}{}", it.step, key.unwrap_or_default());
            screen.print(&format!("\n{}", screen.paint(Paint::Bold, &title)))?;
            let prompt = kirosu_protocol::text::counted(&shown.prompt, PROMPT_CHARS);
            screen.print_untrusted(&prompt)?;
        }
    }
    let least = if total.is_all { "" } else { "at least " };
    screen.print(&format!(
        "\nin all {least}{}, whose prompts have {least}about {} tokens (characters / 4); answers and tools come on top",
        text::count(total.tasks, "task"),
        text::grouped(total.tokens)
    ))?;
    for line in limits {
        screen.print(&screen.paint(Paint::Attention, line))?;
    }
    Ok(())
}

/// Prints the usage that earlier runs of this plan suggest.
fn print_history(total: &Totals, history: &PlanHistory, screen: &Screen) -> Result<(), Failure> {
    let (Some(used), Some(most)) = (total.used, total.used_p90) else {
        return Ok(());
    };
    let cost = match (total.usd, total.usd_p90) {
        (Some(usd), Some(most)) => format!(", {usd:.2} to {most:.2} USD"),
        _ => String::new(),
    };
    let runs: Vec<String> = history.runs.iter().map(TaskId::to_string).collect();
    screen.print(&format!(
        "by earlier runs of this plan ({}): at least {} to {} tokens{cost}, with the median and with what nine of ten tasks of each step used",
        runs.join(", "),
        text::grouped(used),
        text::grouped(most)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(kind: &'static str, tasks: Option<u64>, tokens: Option<u64>) -> StepEstimate {
        StepEstimate {
            step: kind.into(),
            kind,
            tasks,
            prompt_tokens: tokens,
            ..StepEstimate::default()
        }
    }

    #[test]
    fn totals_count_passes_and_name_what_is_unknown() {
        let mut inner = step("task", Some(1), Some(10));
        inner.passes = Some(4);
        let all = [
            step("map", Some(5), Some(50)),
            step("loop", None, None),
            inner,
        ];
        let total = Totals::of(&all);
        assert_eq!((total.tasks, total.tokens, total.is_all), (9, 90, true));
        let total = Totals::of(&[step("map", None, None)]);
        assert!(!total.is_all);
    }
}
