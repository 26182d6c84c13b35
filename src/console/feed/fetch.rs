//! Requests to the hub: one function per topic.

use crate::cli::each::fence_of;
use crate::console::messages::{Interest, Update};
use crate::console::model::{RunAction, TaskAction, View};
use crate::console::query::TaskFilter;
use crate::console::row::ListRow;
use crate::console::tasks::{LoadedPage, PageRequest, PageStart};
use kirosu_protocol::client::{CallError, Client};
use kirosu_protocol::verbs::runs::RUNS_LIMIT_MAX;
use kirosu_protocol::{
    AgentsParams, AnswerParams, ApprovalsParams, ApproveParams, CancelParams, GetParams,
    PoolsParams, RejectParams, RetryAnswer, RetryParams, RunParams, RunPauseParams,
    RunResumeParams, RunRetryParams, RunsParams, Stats, StatsParams, Subject, Target, TaskId,
    TreeParams,
};

/// Maximum number of inbox entries that are shown.
const INBOX: u32 = 500;
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

/// Pools and agents, while they are shown.
pub async fn agents(client: &Client, interest: &Interest) -> Result<Vec<Update>, CallError> {
    if interest.view != View::Agents {
        return Ok(Vec::new());
    }
    let (pools, agents) = (PoolsParams::default(), AgentsParams::default());
    let (pools, agents) = tokio::try_join!(client.request(&pools), client.request(&agents))?;
    Ok(vec![
        Update::Pools(pools.pools),
        Update::Agents(agents.agents),
    ])
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

async fn steer(client: &Client, act: RunAction, task_id: TaskId, by: Option<String>) -> Update {
    let (outcome, done) = match act {
        RunAction::Pause => {
            let params = RunPauseParams { task_id };
            (client.request(&params).await.map(drop), "paused")
        }
        RunAction::Resume => {
            let params = RunResumeParams {
                task_id,
                ..RunResumeParams::default()
            };
            (client.request(&params).await.map(drop), "goes on")
        }
        RunAction::Raise => {
            let params = ApproveParams {
                subject: Subject::Task(task_id),
                by,
                ..ApproveParams::default()
            };
            (
                client.request(&params).await.map(drop),
                "goes on with a greater budget",
            )
        }
        RunAction::Retry => {
            let params = RunRetryParams {
                task_id,
                ..RunRetryParams::default()
            };
            let outcome = client.request(&params).await;
            (outcome.map(drop), "repeats what failed")
        }
        RunAction::Cancel => {
            let params = CancelParams {
                target: Target::Task(task_id),
                by,
                reason: None,
            };
            (client.request(&params).await.map(drop), "cancelled")
        }
    };
    Update::Acted(match outcome {
        Ok(()) => Ok(format!("run {task_id} {done}")),
        Err(why) => Err(why.to_string()),
    })
}

/// Carries out a confirmed action. The result is a message for the user.
pub async fn act(client: &Client, act: TaskAction, subject: Subject, by: Option<String>) -> Update {
    let fence = match act {
        TaskAction::Approve | TaskAction::Reject => fence_of(subject, client).await,
        TaskAction::Cancel | TaskAction::Retry | TaskAction::Run(_) => None,
    };
    let (outcome, done) = match (act, subject) {
        (TaskAction::Approve, _) => {
            let params = ApproveParams {
                subject,
                fence,
                by,
                ..ApproveParams::default()
            };
            (client.request(&params).await.map(|_| ()), "approved")
        }
        (TaskAction::Reject, _) => {
            let params = RejectParams {
                subject,
                fence,
                by,
                ..RejectParams::default()
            };
            (client.request(&params).await.map(|_| ()), "rejected")
        }
        (TaskAction::Cancel, Subject::Task(task_id)) => {
            let params = CancelParams {
                target: Target::Task(task_id),
                by,
                reason: None,
            };
            (client.request(&params).await.map(|_| ()), "cancelled")
        }
        (TaskAction::Retry, Subject::Task(task_id)) => {
            let outcome = client.request(&RetryParams::task(task_id)).await;
            if let Ok(RetryAnswer {
                error: Some(why), ..
            }) = &outcome
            {
                return Update::Acted(Err(format!("{subject} failed again: {why}")));
            }
            (outcome.map(|_| ()), "queued again")
        }
        (TaskAction::Run(act), Subject::Task(task_id)) => {
            return steer(client, act, task_id, by).await;
        }
        (TaskAction::Cancel | TaskAction::Retry | TaskAction::Run(_), Subject::Approval(_)) => {
            let why = "a permission request can only be approved or rejected";
            return Update::Acted(Err(why.to_owned()));
        }
    };
    Update::Acted(match outcome {
        Ok(_) => Ok(format!("{subject} {done}")),
        Err(why) => Err(why.to_string()),
    })
}

/// Sends an answer to a `human` task. The result is a message for the user.
pub async fn answer(client: &Client, params: AnswerParams) -> Update {
    Update::Acted(match client.request(&params).await {
        Ok(_) => Ok(format!("{} answered", Subject::Task(params.task_id))),
        Err(why) => Err(why.to_string()),
    })
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
