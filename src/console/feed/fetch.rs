//! Requests to the hub: one function per topic.

use crate::console::messages::{Interest, Update};
use crate::console::query::TaskFilter;
use crate::console::row::ListRow;
use crate::console::tasks::{LoadedPage, PageRequest, PageStart};
use crate::console::view::View;
use kirosu_protocol::client::{CallError, Client};
use kirosu_protocol::verbs::run_items::RUN_ITEMS_LIMIT_MAX;
use kirosu_protocol::verbs::runs::RUNS_LIMIT_MAX;
use kirosu_protocol::{
    AgentsParams, ApprovalsParams, GetParams, ItemState, Metric, MetricsParams, PoolsParams,
    RunItemsParams, RunParams, RunsParams, ScheduleListParams, Stats, StatsParams, TaskId,
    TreeParams,
};
use std::collections::HashMap;

/// Maximum number of inbox entries that are shown.
const INBOX: u32 = 500;
/// The states of items, in the order in which they are shown.
const ITEM_ORDER: [ItemState; 5] = [
    ItemState::Failed,
    ItemState::Cancelled,
    ItemState::Open,
    ItemState::Waiting,
    ItemState::Done,
];
/// The metric with the number of unfinished tasks by queue and state.
const QUEUE_METRIC: &str = "kirosu_queue_tasks";
/// Tasks per request during a text search.
const SEARCH_STEP: usize = 500;
/// Maximum number of tasks that a text search examines; then it gives up, and the screen shows that.
pub const SEARCH_MOST: usize = 20_000;

/// The window of the task list, or only the counters while another screen is shown.
pub async fn tasks(client: &Client, interest: &Interest) -> Result<Vec<Update>, CallError> {
    if interest.view != View::Tasks {
        let stats = client.request(&StatsParams {}).await?.stats;
        return Ok(vec![Update::Stats(stats)]);
    }
    let (page, stats) = page(client, &interest.page).await?;
    Ok(vec![Update::Page(interest.page.clone(), page, stats)])
}

/// The chosen task, while it is shown.
pub async fn task(client: &Client, interest: &Interest) -> Result<Vec<Update>, CallError> {
    let (View::Task, Some(task_id)) = (interest.view, interest.task) else {
        return Ok(Vec::new());
    };
    let params = GetParams {
        task_id,
        ..GetParams::default()
    };
    Ok(vec![Update::Task(Box::new(client.request(&params).await?))])
}

/// Pools with the depths of their queues, and agents, while they are shown.
pub async fn pools(client: &Client, interest: &Interest) -> Result<Vec<Update>, CallError> {
    if interest.view != View::Pools {
        return Ok(Vec::new());
    }
    let (pools, agents) = (PoolsParams::default(), AgentsParams::default());
    let (pools, agents, metrics) = tokio::try_join!(
        client.request(&pools),
        client.request(&agents),
        client.request(&MetricsParams {}),
    )?;
    Ok(vec![
        Update::Depths(depths(&metrics.metrics)),
        Update::Pools(pools.pools),
        Update::Agents(agents.agents),
    ])
}

/// The number of queued tasks by queue. A queue beyond those that the hub counts on their own is missing.
fn depths(metrics: &[Metric]) -> HashMap<String, u64> {
    let queued = metrics.iter().filter(|it| {
        it.name == QUEUE_METRIC && it.labels.get("state").is_some_and(|it| it == "queued")
    });
    let named = queued.filter_map(|it| Some((it.labels.get("queue")?.clone(), it.value as u64)));
    named.collect()
}

/// The supervision tree, while it is shown.
pub async fn tree(client: &Client, interest: &Interest) -> Result<Vec<Update>, CallError> {
    if interest.view != View::Tree {
        return Ok(Vec::new());
    }
    Ok(vec![Update::Tree(
        client.request(&TreeParams {}).await?.tree,
    )])
}

/// Tasks and permission requests that wait for a person, while they are shown.
pub async fn inbox(client: &Client, interest: &Interest) -> Result<Vec<Update>, CallError> {
    if interest.view != View::Inbox {
        return Ok(Vec::new());
    }
    let params = ApprovalsParams {
        limit: Some(INBOX),
        ..ApprovalsParams::default()
    };
    Ok(vec![Update::Inbox(
        client.request(&params).await?.approvals,
    )])
}

/// Runs of plans, or the opened run, while they are shown.
pub async fn runs(client: &Client, interest: &Interest) -> Result<Vec<Update>, CallError> {
    if interest.view != View::Runs {
        return Ok(Vec::new());
    }
    if let Some(task_id) = interest.run {
        let run = client.request(&RunParams::of(task_id)).await?;
        return Ok(vec![Update::Run(Box::new(run))]);
    }
    let params = RunsParams {
        limit: Some(RUNS_LIMIT_MAX),
        ..RunsParams::default()
    };
    Ok(vec![Update::Runs(client.request(&params).await?.runs)])
}

/// The first items of the opened step, those that failed first, while they are shown.
pub async fn items(client: &Client, interest: &Interest) -> Result<Vec<Update>, CallError> {
    let (View::Runs, Some(run), Some(request)) = (interest.view, interest.run, &interest.items)
    else {
        return Ok(Vec::new());
    };
    let mut items = Vec::new();
    let mut more = false;
    for state in ITEM_ORDER {
        let mut cursor = None;
        while items.len() < request.most {
            let left = (request.most - items.len()).min(RUN_ITEMS_LIMIT_MAX as usize);
            let params = RunItemsParams {
                task_id: run,
                step: Some(request.step.clone()),
                state: Some(state),
                limit: Some(left as u32),
                cursor,
                ..RunItemsParams::default()
            };
            let page = client.request(&params).await?;
            items.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        // Whether further states have items is found when they are requested.
        more = items.len() >= request.most;
    }
    Ok(vec![Update::Items(run, request.clone(), items, more)])
}

/// The schedules, while they are shown.
pub async fn schedules(client: &Client, interest: &Interest) -> Result<Vec<Update>, CallError> {
    if interest.view != View::Schedules {
        return Ok(Vec::new());
    }
    let answer = client.request(&ScheduleListParams {}).await?;
    Ok(vec![Update::Schedules(answer.schedules)])
}

/// A window of the list, with the counters.
async fn page(client: &Client, params: &PageRequest) -> Result<(LoadedPage, Stats), CallError> {
    let from = match params.from {
        PageStart::Above(id) => match above(client, params, id).await? {
            Some(below) => PageStart::Below(below),
            None => PageStart::Newest,
        },
        from => from,
    };
    collect(client, &params.query, from, params.rows).await
}

/// Rows from a position on, page by page, because a filter may leave few rows of each page.
async fn collect(
    client: &Client,
    query: &TaskFilter,
    from: PageStart,
    rows: usize,
) -> Result<(LoadedPage, Stats), CallError> {
    let step = match query.words.is_empty() {
        true => rows,
        false => SEARCH_STEP,
    };
    let mut before = match from {
        PageStart::Below(id) => Some(id),
        PageStart::Newest | PageStart::Above(_) => None,
    };
    let mut page = LoadedPage {
        from,
        ..LoadedPage::default()
    };
    let mut searched = 0;
    loop {
        let answer = client.request(&query.params(step as u32, before)).await?;
        searched += answer.tasks.len();
        let found = answer.tasks.iter().filter(|task| query.matches(task));
        page.rows.extend(found.map(ListRow::from));
        before = answer.next;
        if page.rows.len() >= rows || before.is_none() || searched >= SEARCH_MOST {
            page.more = before.is_some() || page.rows.len() > rows;
            let given_up = page.rows.len() < rows && before.is_some();
            page.searched = given_up.then_some(searched);
            page.rows.truncate(rows);
            return Ok((page, answer.stats));
        }
    }
}

/// The number below which a window ends right above the task `id`; `None` if the newest window serves as well.
///
/// The hub lists only downwards, so the number is searched for: first outwards, then by bisection. Only a filter or the
/// retention leaves gaps between numbers, so a few steps are enough.
async fn above(
    client: &Client,
    params: &PageRequest,
    id: TaskId,
) -> Result<Option<TaskId>, CallError> {
    let newest = client.request(&params.query.params(1, None)).await?;
    let newest = newest.tasks.first().map_or(0, |task| task.task_id);
    let mut step = params.rows.max(1) as TaskId;
    // Below `low` there are too few tasks above `id`, below `high` there are enough.
    let (mut low, mut high) = (id + 1, id + 1 + step);
    while !full(client, params, id, high).await? {
        if high > newest {
            return Ok(None);
        }
        step *= 2;
        (low, high) = (high, high + step);
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        match full(client, params, id, middle).await? {
            true => high = middle,
            false => low = middle,
        }
    }
    Ok(Some(high))
}

/// Whether a window below `before` is full of tasks above `id`.
async fn full(
    client: &Client,
    params: &PageRequest,
    id: TaskId,
    before: TaskId,
) -> Result<bool, CallError> {
    let (page, _) = collect(client, &params.query, PageStart::Below(before), params.rows).await?;
    let lowest = page.rows.last().map_or(0, |row| row.id);
    Ok(page.rows.len() == params.rows && lowest > id)
}
