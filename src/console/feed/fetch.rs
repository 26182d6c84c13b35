//! Questions to the hub: one function for what each screen shows.

use crate::cli::each::{fence_of, questions};
use crate::console::model::{Act, View};
use crate::console::news::{News, Want};
use crate::console::query::Query;
use crate::console::row::Row;
use crate::console::tasks::{From, Page, PageParams};
use kirosu_protocol::client::{CallError, Client};
use kirosu_protocol::verbs::agents::AgentsParams;
use kirosu_protocol::verbs::answer::AnswerParams;
use kirosu_protocol::verbs::approvals::ApprovalsParams;
use kirosu_protocol::verbs::approve::ApproveParams;
use kirosu_protocol::verbs::cancel::CancelParams;
use kirosu_protocol::verbs::get::GetParams;
use kirosu_protocol::verbs::pools::PoolsParams;
use kirosu_protocol::verbs::reject::RejectParams;
use kirosu_protocol::verbs::retry::{RetryAnswer, RetryParams};
use kirosu_protocol::verbs::stats::StatsParams;
use kirosu_protocol::verbs::tree::TreeParams;
use kirosu_protocol::{Stats, Subject, Target, TaskId};

/// Entries of the inbox that are shown at most.
const INBOX: u32 = 500;
/// Tasks asked for at once while words are searched.
const SEARCH_STEP: usize = 500;
/// Tasks that are searched for words; then the search is given up, and the screen says so.
pub const SEARCH_MOST: usize = 20_000;

/// The window of the list, or the counters alone while another screen is shown.
pub async fn tasks(client: &Client, want: &Want) -> Result<Vec<News>, CallError> {
    if want.view != View::Tasks {
        let stats = client.request(&StatsParams {}).await?.stats;
        return Ok(vec![News::Stats(stats)]);
    }
    let (page, stats) = page(client, &want.page).await?;
    Ok(vec![News::Page(want.page.clone(), page, stats)])
}

/// The chosen task, while it is shown.
pub async fn task(client: &Client, want: &Want) -> Result<Vec<News>, CallError> {
    let (View::Task, Some(task_id)) = (want.view, want.task) else {
        return Ok(Vec::new());
    };
    let ask = GetParams {
        task_id,
        ..GetParams::default()
    };
    Ok(vec![News::Task(Box::new(client.request(&ask).await?))])
}

/// Pools and agents, while they are shown.
pub async fn agents(client: &Client, want: &Want) -> Result<Vec<News>, CallError> {
    if want.view != View::Agents {
        return Ok(Vec::new());
    }
    let (pools, agents) = (PoolsParams::default(), AgentsParams::default());
    let (pools, agents) = tokio::try_join!(client.request(&pools), client.request(&agents))?;
    Ok(vec![News::Pools(pools.pools), News::Agents(agents.agents)])
}

/// The tree, while it is shown.
pub async fn tree(client: &Client, want: &Want) -> Result<Vec<News>, CallError> {
    if want.view != View::Tree {
        return Ok(Vec::new());
    }
    Ok(vec![News::Tree(client.request(&TreeParams {}).await?.tree)])
}

/// What waits for a person, while it is shown.
pub async fn inbox(client: &Client, want: &Want) -> Result<Vec<News>, CallError> {
    if want.view != View::Inbox {
        return Ok(Vec::new());
    }
    let ask = ApprovalsParams {
        limit: Some(INBOX),
        ..ApprovalsParams::default()
    };
    Ok(vec![News::Inbox(client.request(&ask).await?.approvals)])
}

/// Carries out what was confirmed; a sentence on what came of it.
pub async fn act(client: &Client, act: Act, subject: Subject, by: Option<String>) -> News {
    let fence = match act {
        Act::Approve | Act::Reject => fence_of(&questions(&[subject], client).await, subject),
        Act::Cancel | Act::Retry => None,
    };
    let (outcome, done) = match (act, subject) {
        (Act::Approve, _) => {
            let ask = ApproveParams {
                subject,
                fence,
                by,
                ..ApproveParams::default()
            };
            (client.request(&ask).await.map(|_| ()), "approved")
        }
        (Act::Reject, _) => {
            let ask = RejectParams {
                subject,
                fence,
                by,
                ..RejectParams::default()
            };
            (client.request(&ask).await.map(|_| ()), "rejected")
        }
        (Act::Cancel, Subject::Task(task_id)) => {
            let ask = CancelParams {
                target: Target::Task(task_id),
                by,
                reason: None,
            };
            (client.request(&ask).await.map(|_| ()), "cancelled")
        }
        (Act::Retry, Subject::Task(task_id)) => {
            let outcome = client.request(&RetryParams::task(task_id)).await;
            if let Ok(RetryAnswer {
                error: Some(why), ..
            }) = &outcome
            {
                return News::Acted(Err(format!("{subject} failed again: {why}")));
            }
            (outcome.map(|_| ()), "queued again")
        }
        (Act::Cancel | Act::Retry, Subject::Approval(_)) => {
            let why = "a tool question can be approved or rejected";
            return News::Acted(Err(why.to_owned()));
        }
    };
    News::Acted(match outcome {
        Ok(_) => Ok(format!("{subject} {done}")),
        Err(why) => Err(why.to_string()),
    })
}

/// Sends an answer to a `human` task; a sentence on the outcome.
pub async fn answer(client: &Client, ask: AnswerParams) -> News {
    News::Acted(match client.request(&ask).await {
        Ok(_) => Ok(format!("{} answered", Subject::Task(ask.task_id))),
        Err(why) => Err(why.to_string()),
    })
}

/// A window of the list, with the counters.
async fn page(client: &Client, ask: &PageParams) -> Result<(Page, Stats), CallError> {
    let from = match ask.from {
        From::Above(id) => match above(client, ask, id).await? {
            Some(below) => From::Below(below),
            None => From::Newest,
        },
        from => from,
    };
    collect(client, &ask.query, from, ask.rows).await
}

/// The rows from a place on: page by page, as a filter may leave little of each.
async fn collect(
    client: &Client,
    query: &Query,
    from: From,
    rows: usize,
) -> Result<(Page, Stats), CallError> {
    let step = match query.words.is_empty() {
        true => rows,
        false => SEARCH_STEP,
    };
    let mut before = match from {
        From::Below(id) => Some(id),
        From::Newest | From::Above(_) => None,
    };
    let mut page = Page {
        from,
        ..Page::default()
    };
    let mut searched = 0;
    loop {
        let answer = client.request(&query.ask(step as u32, before)).await?;
        searched += answer.tasks.len();
        let found = answer.tasks.iter().filter(|task| query.finds(task));
        page.rows.extend(found.map(Row::from));
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

/// The number below which a window ends right above the task `id`; none: the newest window is as good.
///
/// The hub lists downwards only, so the number is searched for: first outwards, then by halves. Numbers are dense but for
/// what a filter or the retention leaves out, so few steps do.
async fn above(client: &Client, ask: &PageParams, id: TaskId) -> Result<Option<TaskId>, CallError> {
    let newest = client.request(&ask.query.ask(1, None)).await?;
    let newest = newest.tasks.first().map_or(0, |task| task.task_id);
    let mut step = ask.rows.max(1) as TaskId;
    // Below `low` there are too few above `id`, below `high` enough.
    let (mut low, mut high) = (id + 1, id + 1 + step);
    while !full(client, ask, id, high).await? {
        if high > newest {
            return Ok(None);
        }
        step *= 2;
        (low, high) = (high, high + step);
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        match full(client, ask, id, middle).await? {
            true => high = middle,
            false => low = middle,
        }
    }
    Ok(Some(high))
}

/// Whether a window below `before` is full of tasks above `id`.
async fn full(
    client: &Client,
    ask: &PageParams,
    id: TaskId,
    before: TaskId,
) -> Result<bool, CallError> {
    let (page, _) = collect(client, &ask.query, From::Below(before), ask.rows).await?;
    let lowest = page.rows.last().map_or(0, |row| row.id);
    Ok(page.rows.len() == ask.rows && lowest > id)
}
