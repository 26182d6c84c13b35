//! The answers to commands of the conductor.

use super::live_run::LiveRun;
use super::open_runs::live_run;
use super::{Conductor, RETRY_AFTER};
use actix::prelude::*;
use kirosu_protocol::{Error, ErrorCode, TaskId};
use kirosu_store::Outcome;

impl Conductor {
    /// Queued runs were taken.
    pub(super) fn taken(&mut self, ctx: &mut Context<Self>, answer: Result<Outcome, Error>) {
        let limit = self.taking.take();
        let tasks = match answer {
            Ok(Outcome::Leased(tasks)) => tasks,
            Ok(_) => Vec::new(),
            Err(error) => {
                tracing::error!(%error, "queued runs cannot be taken; trying again");
                ctx.run_later(RETRY_AFTER, |conductor, ctx| conductor.take(ctx));
                return;
            }
        };
        let is_full = limit == Some(tasks.len() as u32);
        for task in tasks {
            let run = self.reader().and_then(|store| live_run(store, &task));
            match run {
                Ok(run) => {
                    self.runs.insert(run.id, run);
                    self.note_due(ctx, task.task_id);
                }
                // The scan finds it.
                Err(why) => self.unread(ctx, &why),
            }
        }
        if is_full || self.take_again {
            self.take(ctx);
        }
    }

    /// Reads a run again, whose plan may be another one now.
    pub(super) fn reload(&mut self, ctx: &mut Context<Self>, id: TaskId) {
        let read = self.reader().and_then(|store| {
            let task = store.many(&[id]).map_err(|why| why.to_string())?.pop();
            task.map(|task| live_run(store, &task)).transpose()
        });
        match read {
            Ok(Some(run)) => {
                let unanswered = self.runs.get(&id).map_or(0, |run| run.unanswered);
                self.runs.insert(id, LiveRun { unanswered, ..run });
            }
            Ok(None) => {}
            Err(why) => {
                // The scan reads it anew.
                self.runs.remove(&id);
                self.unread(ctx, &why);
            }
        }
    }

    /// A command of a run was answered.
    pub(super) fn answered(
        &mut self,
        ctx: &mut Context<Self>,
        (id, path): (TaskId, Option<String>),
        answer: Result<Outcome, Error>,
    ) {
        let Some(run) = self.runs.get_mut(&id) else {
            return;
        };
        run.unanswered = run.unanswered.saturating_sub(1);
        match answer {
            Ok(Outcome::Plan(outcome)) => run.is_due |= outcome.applied,
            Ok(_) => run.is_due = true,
            Err(error) if path.is_some() && is_for_good(&error) => {
                // Such a command fails again: its step ends with the reason.
                if let Some(path) = path {
                    run.faults.insert(path, error.message.clone());
                }
                run.is_due = true;
            }
            Err(error) => {
                tracing::warn!(run = id, %error, "a change of a run failed; trying again");
                ctx.run_later(RETRY_AFTER, move |conductor, ctx| {
                    conductor.note_due(ctx, id)
                });
            }
        }
        if run.unanswered == 0 && run.is_due {
            self.note_due(ctx, id);
        }
    }
}

/// Whether a command that was refused with this error would be refused again.
fn is_for_good(error: &Error) -> bool {
    matches!(
        error.code,
        ErrorCode::InvalidParams | ErrorCode::TooLarge | ErrorCode::WrongState
    )
}
