//! Recorded usage, added up by the requested dimension, and the present budgets.

use crate::row::InputOptions;
use crate::rules::budget::BudgetAccount;
use crate::sql::{self, row};
use diesel::{QueryResult, SqliteConnection, sql_query};
use kirosu_protocol::budget::usd_of;
use kirosu_protocol::{
    BudgetInfo, BudgetState, Scope, TaskId, USAGE_ROWS, UsageAnswer, UsageBy, UsageParams,
    UsageRow, UsageSum,
};

const DAY_MS: i64 = 86_400_000;

/// The sums, in the order `UsageSum` is read. `sum` fails beyond 64 bits; `total` is exact up to 2^53, and never fails.
const SUMS: &str = "CAST(total(attempts) AS INTEGER), CAST(total(input) AS INTEGER), \
    CAST(total(cache_read) AS INTEGER), CAST(total(cache_write) AS INTEGER), CAST(total(output) AS INTEGER), \
    CAST(total(micros) AS INTEGER), CAST(total(estimated) AS INTEGER), CAST(total(unpriced) AS INTEGER)";

row! { UsageRow { key, sum } }

row! {
    UsageSum {
        attempts, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, cost_usd = usd_of,
        estimated_usd = usd_of, unpriced,
    }
}

/// The answer to `usage`.
pub(crate) fn answer(
    conn: &mut SqliteConnection,
    ask: &UsageParams,
    now: i64,
) -> QueryResult<UsageAnswer> {
    let (table, clause) = source(ask);
    let key = match ask.by {
        UsageBy::Provider => "provider",
        UsageBy::Pool => "pool",
        UsageBy::Model => "model",
        UsageBy::Day => "strftime('%Y-%m-%d', day * 86400, 'unixepoch')",
        UsageBy::Task => "CAST(task_id AS TEXT)",
    };
    let order = match ask.by {
        UsageBy::Day => "1",
        _ => "total(micros) DESC, total(input) + total(cache_write) + total(output) DESC, 1",
    };
    let limit = ask.limit.unwrap_or(USAGE_ROWS);
    let grouped = format!(
        "{with} SELECT {key}, {SUMS}, count(*) OVER () FROM {table} {where_} GROUP BY 1 ORDER BY {order} LIMIT {limit}",
        with = clause.with,
        where_ = clause.text,
    );
    let rows: Vec<(UsageRow, u64)> = sql::all(conn, sql_query(grouped))?;
    let all = rows.first().map_or(0, |(_, all)| *all);
    let totals = format!(
        "{with} SELECT {SUMS} FROM {table} {where_}",
        with = clause.with,
        where_ = clause.text,
    );
    Ok(UsageAnswer {
        by: ask.by,
        more: all.saturating_sub(rows.len() as u64),
        rows: rows.into_iter().map(|(row, _)| row).collect(),
        total: sql::first(conn, sql_query(totals))?.unwrap_or_default(),
        budgets: budgets(conn, ask, now)?,
    })
}

/// The rows of recorded usage to add up.
struct Clause {
    with: String,
    text: String,
}

/// The table for a query: sums per day do not know tasks, and sums per task lack pruned ones.
fn source(ask: &UsageParams) -> (&'static str, Clause) {
    let mut with = String::new();
    let mut conditions = Vec::new();
    if let Some(since) = ask.since_ms {
        conditions.push(format!("day >= {}", since.div_euclid(DAY_MS)));
    }
    if let Some(task) = ask.task_id {
        conditions.push(format!("task_id = {task}"));
    }
    if let Some(root) = ask.tree_id {
        // UNION, not UNION ALL: a task that names itself as an ancestor must end the search.
        with = format!(
            "WITH RECURSIVE tree (id) AS (VALUES ({root}) UNION SELECT c.task_id FROM child c JOIN tree t ON c.parent_id = t.id)"
        );
        conditions.push("task_id IN (SELECT id FROM tree)".to_owned());
    }
    let text = match conditions.is_empty() {
        true => String::new(),
        false => format!("WHERE {}", conditions.join(" AND ")),
    };
    let of_tasks = ask.by == UsageBy::Task || ask.task_id.is_some() || ask.tree_id.is_some();
    let table = if of_tasks { "usage_task" } else { "usage_day" };
    (table, Clause { with, text })
}

/// The budgets of a query's scopes.
fn budgets(
    conn: &mut SqliteConnection,
    ask: &UsageParams,
    now: i64,
) -> QueryResult<Vec<BudgetInfo>> {
    let condition = match ask.task_id.or(ask.tree_id) {
        None => "scope NOT LIKE 'task:%' AND scope NOT LIKE 'tree:%'".to_owned(),
        Some(task) => {
            let scopes = scopes_of(conn, task)?;
            let names: Vec<String> = scopes.iter().map(|scope| format!("'{scope}'")).collect();
            format!("scope IN ({})", names.join(", "))
        }
    };
    let text = format!(
        "SELECT scope, tokens, micros, raise_tokens, raise_micros, per, since, used_tokens, used_micros, reserved_tokens, \
         reserved_micros FROM budget WHERE {condition} ORDER BY scope"
    );
    let accounts: Vec<(String, BudgetAccount)> = sql::all(conn, sql_query(text))?;
    let known = accounts.iter().filter_map(|(name, account)| {
        let account = account.at(now);
        Scope::parse(name).map(|scope| info(scope, &account))
    });
    Ok(known.collect())
}

/// A task's own budget, and those of its trees.
fn scopes_of(conn: &mut SqliteConnection, task: TaskId) -> QueryResult<Vec<Scope>> {
    let text = format!("SELECT options FROM task_input WHERE task_id = {task}");
    let options: Option<InputOptions> = sql::first(conn, sql_query(text))?;
    let trees = options
        .map(|options| options.budget_trees)
        .unwrap_or_default();
    let mut scopes = vec![Scope::Task(task), Scope::Tree(task)];
    scopes.extend(
        trees
            .into_iter()
            .filter(|tree| *tree != task)
            .map(Scope::Tree),
    );
    Ok(scopes)
}

fn info(scope: Scope, account: &BudgetAccount) -> BudgetInfo {
    let standing = |limit: Option<u64>, used: u64, reserved: u64, unit: fn(u64) -> f64| {
        limit.map(|limit| BudgetState {
            limit: unit(limit),
            used: unit(used),
            reserved: unit(reserved),
            left: unit(limit.saturating_sub(used.saturating_add(reserved))),
        })
    };
    let BudgetAccount {
        limit,
        used,
        reserved,
        ..
    } = account;
    BudgetInfo {
        scope,
        tokens: standing(limit.tokens, used.tokens, reserved.tokens, |n| n as f64),
        usd: standing(limit.micros, used.micros, reserved.micros, usd_of),
        per_seconds: (account.per > 0).then(|| account.per.unsigned_abs() / 1000),
        resets_at: account.until().map(|ms| ms as f64 / 1000.0),
    }
}
