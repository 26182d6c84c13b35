//! The chosen task's output as it comes, over a connection of its own: a watch ends only with its connection, and nobody
//! wants to be told what all the tasks print that were ever looked at.

use super::{Line, PAUSE, Told};
use crate::cli::connect::Hub;
use crate::cli::events::{Events, Heard};
use crate::cli::failure::Failure;
use crate::cli::logs::{Piece, Position};
use crate::console::model::View;
use crate::console::news::{News, Output, Want};
use kirosu_protocol::verbs::get::GetParams;
use kirosu_protocol::verbs::watch::WatchParams;
use kirosu_protocol::{EventKind, TaskId};
use tokio::sync::watch;
use tokio::time::sleep;

/// Follows the task that is on the screen, for ever.
pub async fn run(line: Line, mut want: watch::Receiver<Want>) {
    let shown = |want: &Want| want.task.filter(|_| want.view == View::Task);
    loop {
        let task = shown(&want.borrow_and_update());
        let changed = want.wait_for(|want| shown(want) != task);
        let Some(task) = task else {
            if changed.await.is_err() {
                return;
            }
            continue;
        };
        tokio::select! {
            changed = changed => if changed.is_err() {
                return;
            },
            () = follow(&line, task) => {}
        }
    }
}

/// Follows one task until nobody listens.
async fn follow(line: &Line, task: TaskId) {
    let hub = line.another();
    while !line.news.is_closed() {
        line.stands(&hub).await;
        // The link tells of a broken connection.
        let _ = follow_once(line, &hub, task).await;
        sleep(PAUSE).await;
    }
}

async fn follow_once(line: &Line, hub: &Hub, task_id: TaskId) -> Result<(), Failure> {
    let ask = WatchParams {
        task_id: Some(task_id),
        kinds: vec!["output".into()],
        ..WatchParams::default()
    };
    let mut events = Events::start(hub, ask).await?;
    let mut at = whole(line, hub, task_id).await?;
    loop {
        let Heard::Event(event) = events.next().await? else {
            at = whole(line, hub, task_id).await?;
            continue;
        };
        let EventKind::Output {
            fence, chunk, text, ..
        } = event.what
        else {
            continue;
        };
        let cut = false;
        let output = match at.piece(fence, chunk) {
            Piece::Known => continue,
            Piece::Gap => {
                at = whole(line, hub, task_id).await?;
                continue;
            }
            Piece::NewAttempt => Output::Whole { fence, text, cut },
            Piece::Next => Output::More(text),
        };
        (at.fence, at.chunk) = (fence, chunk + 1);
        line.tell(Told::News(News::Output(task_id, output).into()))
            .await;
    }
}

/// Reads all of the newest attempt's output, and how far that is.
async fn whole(line: &Line, hub: &Hub, task_id: TaskId) -> Result<Position, Failure> {
    let (output, at) = read(hub, task_id).await?;
    line.tell(Told::News(News::Output(task_id, output).into()))
        .await;
    Ok(at)
}

/// All of the newest attempt's output, and where it ends.
pub async fn read(hub: &Hub, task_id: TaskId) -> Result<(Output, Position), Failure> {
    let ask = GetParams {
        task_id,
        output: true,
        ..GetParams::default()
    };
    let answer = hub.insist(&ask).await?;
    let newest = answer.output.into_iter().flatten().next_back();
    let newest = newest.unwrap_or_default();
    let at = Position {
        fence: newest.fence,
        chunk: newest.next_chunk.unwrap_or(0),
        ..Position::default()
    };
    let output = Output::Whole {
        fence: newest.fence,
        text: newest.text,
        cut: newest.cut,
    };
    Ok((output, at))
}
