//! Writes the results of steps that a task names into its folder, before the run begins.

use std::time::Duration;

use kirosu_protocol::client::CallError;
use kirosu_protocol::run::{ResultFile, StepTask};
use kirosu_protocol::task::{FailureClass, Task};
use kirosu_protocol::{ErrorCode, RunFileAnswer, RunFileParams};
use kirosu_providers::Cancel;
use tokio::time::{Instant, sleep};

use super::job::{NotRun, not_run};
use crate::link::SessionLink;
use crate::options::PoolOptions;
use crate::workspace::{ResultFolder, RunFolder, blocking};

/// Pause before a piece is asked for again.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the hub may be away.
const AWAY: Duration = Duration::from_secs(5 * 60);

/// Writes the files. One that is there already, as another run of the plan had it, stays.
///
/// # Errors
/// A result does not exist any more, or a file cannot be written.
pub(super) async fn write(
    options: &PoolOptions,
    task: &Task,
    place: &mut RunFolder,
    link: &SessionLink,
    cancel: &Cancel,
) -> Result<(), NotRun> {
    let files = StepTask::of(task).map(|of| of.files).unwrap_or_default();
    if files.is_empty() {
        return Ok(());
    }
    let mut cancel = cancel.clone();
    let written = async {
        for file in &files {
            write_one(options, task, place, (link, file)).await?;
        }
        Ok(())
    };
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(NotRun::Cancelled(
            "the run was ended before it began: results of other steps were written for it".to_owned(),
        )),
        written = written => written,
    }
}

async fn write_one(
    options: &PoolOptions,
    task: &Task,
    place: &mut RunFolder,
    (link, file): (&SessionLink, &ResultFile),
) -> Result<(), NotRun> {
    let folder = ResultFolder::open(options, place, file).await;
    let folder = folder.map_err(not_run)?;
    if folder.is_written() {
        return Ok(());
    }
    let mut params = RunFileParams {
        task_id: task.task_id,
        fence: Some(task.fence),
        step: file.step.clone(),
        cursor: None,
    };
    let (mut new, mut version) = (None, None);
    let mut folder = Some(folder);
    loop {
        let piece = read(link, &params).await?;
        if *version.get_or_insert_with(|| piece.version.clone()) != piece.version {
            let step = &file.step;
            return Err(NotRun::Later(format!("the step {step} got another result")));
        }
        let (before, opened, text) = (new.take(), folder.take(), piece.text);
        let last = piece.next.is_none().then_some(piece.version);
        let added = blocking(move || {
            let mut new = match (before, opened) {
                (None, Some(folder)) => folder.begin()?,
                (Some(new), _) => new,
                (None, None) => return Ok(None),
            };
            new.add(&text)?;
            match last {
                Some(version) => new.publish(version).map(|()| None),
                None => Ok(Some(new)),
            }
        });
        new = added.await.map_err(not_run)?;
        match piece.next {
            Some(next) => params.cursor = Some(next),
            None => return Ok(()),
        }
    }
}

/// Reads a piece, also if the hub is away for a time.
async fn read(link: &SessionLink, params: &RunFileParams) -> Result<RunFileAnswer, NotRun> {
    let begin = Instant::now();
    loop {
        let error = match link.client().request(params).await {
            Ok(piece) => return Ok(piece),
            Err(error) => error,
        };
        match error {
            CallError::Refused(refusal) => {
                let why = format!(
                    "the result of the step {} cannot be read: {}",
                    params.step, refusal.message
                );
                return Err(match refusal.code {
                    ErrorCode::NotFound
                    | ErrorCode::UnknownTask
                    | ErrorCode::Forbidden
                    | ErrorCode::InvalidParams => NotRun::Task(FailureClass::BadInput, why),
                    _ => NotRun::Later(why),
                });
            }
            CallError::BadAnswer { .. } => {
                return Err(NotRun::Task(FailureClass::ProviderError, error.to_string()));
            }
            error if begin.elapsed() > AWAY => return Err(NotRun::Later(error.to_string())),
            error => {
                tracing::debug!(%error, "a piece of a result has no answer; it is asked for again");
                sleep(PAUSE).await;
            }
        }
    }
}
