//! `kirosu usage`: shows tokens, cost and budgets.

use super::{Cell, Column, Context, Failure, Paint, Screen, TextTable, task_id, text, time, whole};
use kirosu_protocol::{
    BudgetInfo, BudgetState, Scope, TaskId, UsageAnswer, UsageBy, UsageParams, UsageSum,
};

const EXAMPLES: &str = "\
Examples:
  kirosu usage                              by provider, since the first task
  kirosu usage --by day --since 7d
  kirosu usage --by task --since 2026-11-01 --limit 10
  kirosu usage --tree 42 --by model         a task and all its descendants
  kirosu usage --json | jq .total.cost_usd
~ before a cost means that it is computed from [prices], wholly or in part; + after it, that some attempts have no cost.
In a pipe the columns are: what, attempts, input, cached, written to cache, output, cost.";

/// Shows the tokens and cost of runs, and the state of the budgets
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// One line per provider, pool, model, day or task
    #[arg(long, default_value = "provider", value_name = "WHAT", value_parser = read_by)]
    by: UsageBy,
    /// Only this time: 7d (back from now), or since a day: 2026-11-01 (UTC)
    #[arg(long, value_name = "TIME", value_parser = read_since)]
    since: Option<f64>,
    /// Only this task
    #[arg(long, value_name = "ID", conflicts_with = "tree", value_parser = task_id)]
    task: Option<TaskId>,
    /// Only this task and all its descendants
    #[arg(long, value_name = "ID", value_parser = task_id)]
    tree: Option<TaskId>,
    /// Maximum number of lines; the others are summed up in one
    #[arg(long, default_value_t = 50, value_name = "NUMBER", value_parser = whole::<u32>(1..=100_000, 50))]
    limit: u32,
}

fn read_by(word: &str) -> Result<UsageBy, String> {
    let word = word.trim().to_ascii_lowercase();
    let known = UsageBy::ALL.map(UsageBy::as_str).join(", ");
    UsageBy::ALL
        .into_iter()
        .find(|by| by.as_str() == word)
        .ok_or_else(|| format!("it is one of {known}"))
}

fn read_since(words: &str) -> Result<f64, String> {
    let rule = |_| "write a time back from now (24h, 7d) or a day (2026-11-01)".to_owned();
    if words.contains('-') {
        // Usage is stored by UTC day.
        let day = match words.trim().len() {
            10 => format!("{}T00:00:00Z", words.trim()),
            _ => words.to_owned(),
        };
        return time::read_moment(&day).map_err(rule);
    }
    let back = time::read_span(words).map_err(rule)?;
    Ok((time::now() - back.as_secs_f64()).max(0.0))
}

/// Prints the usage and the budgets.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let params = UsageParams {
        by: args.by,
        since_ms: args.since.map(|at| (at * 1000.0) as i64),
        task_id: args.task,
        tree_id: args.tree,
        limit: Some(args.limit),
    };
    let answer = context.connect().await?.request_idempotent(&params).await?;
    let screen = &context.screen;
    screen.answer(&answer, || {
        match answer.total.attempts {
            0 => screen.note("no attempt has reported what it used")?,
            _ => sums(&answer).print(screen)?,
        }
        if answer.budgets.is_empty() {
            return Ok(());
        }
        screen.raw("\n")?;
        budgets(&answer.budgets, screen).print(screen)
    })
}

/// The rows, the sum of the omitted ones, and the total, so that the column adds up.
fn sums(answer: &UsageAnswer) -> TextTable {
    let name = match answer.by {
        UsageBy::Provider => "PROVIDER",
        UsageBy::Pool => "POOL",
        UsageBy::Model => "MODEL",
        UsageBy::Day => "DAY",
        UsageBy::Task => "TASK",
    };
    let mut table = TextTable::new([
        Column::long(name),
        Column::number("ATTEMPTS"),
        Column::number("INPUT"),
        Column::number("CACHED").unless("0"),
        Column::number("TO CACHE").unless("0"),
        Column::number("OUTPUT"),
        Column::number("COST"),
    ]);
    for row in &answer.rows {
        let key = match row.key.as_str() {
            "" => "(unknown)",
            key => key,
        };
        table.row(line(key, &row.sum, Paint::Plain));
    }
    if answer.more > 0 {
        let rest = answer
            .rows
            .iter()
            .fold(answer.total.clone(), |rest, row| minus(&rest, &row.sum));
        table.row(line(
            &format!("({} more)", answer.more),
            &rest,
            Paint::Plain,
        ));
    }
    table.row(line("total", &answer.total, Paint::Attention));
    table
}

fn line(key: &str, sum: &UsageSum, paint: Paint) -> Vec<Cell> {
    let number = |number: u64| Cell::new(text::grouped(number)).exact(number.to_string());
    vec![
        Cell::new(key).painted(paint),
        number(sum.attempts),
        number(sum.input_tokens),
        number(sum.cache_read_tokens),
        number(sum.cache_write_tokens),
        number(sum.output_tokens),
        cost(sum),
    ]
}

/// A cost, with marks for estimated and unknown parts.
fn cost(sum: &UsageSum) -> Cell {
    if sum.unpriced == sum.attempts {
        return Cell::new("");
    }
    let about = if sum.estimated_usd > 0.0 { "~" } else { "" };
    let more = if sum.unpriced > 0 { "+" } else { "" };
    let usd = dollars(sum.cost_usd);
    Cell::new(format!("{about}${usd}{more}")).exact(format!("{about}{:.6}{more}", sum.cost_usd))
}

/// Two decimals; four for less than a dollar.
fn dollars(usd: f64) -> String {
    match usd.abs() {
        small if small < 1.0 => format!("{usd:.4}"),
        _ => format!("{usd:.2}"),
    }
}

fn minus(all: &UsageSum, one: &UsageSum) -> UsageSum {
    UsageSum {
        attempts: all.attempts.saturating_sub(one.attempts),
        input_tokens: all.input_tokens.saturating_sub(one.input_tokens),
        cache_read_tokens: all.cache_read_tokens.saturating_sub(one.cache_read_tokens),
        cache_write_tokens: all
            .cache_write_tokens
            .saturating_sub(one.cache_write_tokens),
        output_tokens: all.output_tokens.saturating_sub(one.output_tokens),
        cost_usd: (all.cost_usd - one.cost_usd).max(0.0),
        estimated_usd: (all.estimated_usd - one.estimated_usd).max(0.0),
        unpriced: all.unpriced.saturating_sub(one.unpriced),
    }
}

fn budgets(budgets: &[BudgetInfo], screen: &Screen) -> TextTable {
    let mut table = TextTable::new([
        Column::text("BUDGET"),
        Column::number("USED"),
        Column::number("RESERVED").unless("0"),
        Column::number("LEFT"),
        Column::number("LIMIT"),
        Column::text("IN"),
        Column::text("FULL AGAIN"),
    ]);
    for budget in budgets {
        let tokens = budget.tokens.map(|tokens| (tokens, "tokens"));
        let usd = budget.usd.map(|usd| (usd, "usd"));
        for (standing, unit) in tokens.into_iter().chain(usd) {
            table.row(standing_line(budget, standing, unit, screen));
        }
    }
    table
}

fn standing_line(
    budget: &BudgetInfo,
    standing: BudgetState,
    unit: &str,
    screen: &Screen,
) -> Vec<Cell> {
    let whose = match &budget.scope {
        Scope::Tree(id) => format!("task {id} and its descendants"),
        Scope::Task(id) => format!("task {id}"),
        other => other.to_string().replacen(':', " ", 1),
    };
    let amount = |amount: f64| match unit {
        "usd" => Cell::new(match amount {
            0.0 => "0".to_owned(),
            amount => format!("${}", dollars(amount)),
        })
        .exact(format!("{amount:.6}")),
        _ => Cell::new(text::grouped(amount as u64)).exact(format!("{amount:.0}")),
    };
    let used_up = standing.used >= standing.limit;
    let paint = if used_up {
        Paint::Attention
    } else {
        Paint::Plain
    };
    let resets = budget.resets_at.map(|at| match screen.width {
        Some(_) => time::ago(at, time::now()),
        None => time::stamp(at),
    });
    vec![
        Cell::new(whose).exact(budget.scope.to_string()),
        amount(standing.used).painted(paint),
        amount(standing.reserved),
        amount(standing.left),
        amount(standing.limit),
        Cell::new(unit),
        Cell::new(resets.unwrap_or_else(|| match used_up {
            true => "when a person approves".to_owned(),
            false => String::new(),
        })),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use kirosu_protocol::UsageRow;

    #[test]
    fn the_table_adds_up_with_the_omitted_rows() {
        let sum = |attempts, cost_usd, estimated_usd, unpriced| UsageSum {
            attempts,
            input_tokens: 1000 * attempts,
            cost_usd,
            estimated_usd,
            unpriced,
            ..UsageSum::default()
        };
        let answer = UsageAnswer {
            by: UsageBy::Task,
            rows: vec![UsageRow {
                key: "7".into(),
                sum: sum(2, 1.5, 0.0, 0),
            }],
            more: 3,
            total: sum(6, 1.75, 0.25, 1),
            budgets: Vec::new(),
        };
        let table = sums(&answer).render(Some(100), false);
        let expected = "\
TASK      ATTEMPTS  INPUT  OUTPUT       COST
7                2   2000       0      $1.50
(3 more)         4   4000       0  ~$0.2500+
total            6   6000       0    ~$1.75+
";
        assert_eq!(table, expected);
    }
}
