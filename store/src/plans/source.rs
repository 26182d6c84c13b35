//! Sources: items of maps that a client has read.

use crate::backend::Result;
use crate::command::enqueue::Requested;
use crate::core::{CommandResult, Core};
use crate::outcome::Outcome;
use crate::sql::plan::{
    BindSource, InsertSource, InsertSourcePiece, SelectSourceItems, SelectSourceRun, SetSourceItems,
};
use kirosu_protocol::{Error, ErrorCode, NewTask, PlanMetadata, SourceId, TaskId};

/// The most runs above one of a step, as in the limits of plans.
const MOST_ABOVE: usize = 8;

impl Core {
    pub(super) fn add_items(
        &mut self,
        source: Option<SourceId>,
        first: i64,
        items: &str,
        count: i64,
    ) -> CommandResult<Outcome> {
        let (id, stored) = match source {
            Some(id) => match self.db.number(SelectSourceItems { id }.into())? {
                Some(stored) => (id, stored),
                None => return Err(unknown_source(id).into()),
            },
            None => {
                let (id, created_at) = (self.plans.next_source, self.now());
                self.plans.next_source += 1;
                self.write(InsertSource {
                    id,
                    items: 0,
                    created_at,
                })?;
                (id, 0)
            }
        };
        if self.db.number(SelectSourceRun { id }.into())? > Some(0) {
            let message = format!("a run has named the source {id}, which takes no further items");
            return Err(Error::new(ErrorCode::WrongState, message).into());
        }
        let after = first.saturating_add(count);
        if after <= stored {
            // This piece is stored already.
            return Ok(Outcome::Source(id, stored));
        }
        if first != stored {
            let message = format!(
                "the source {id} has {stored} items, so that the next piece begins at {stored}, not at {first}"
            );
            return Err(Error::new(ErrorCode::WrongState, message).into());
        }
        self.write(InsertSourcePiece {
            source_id: id,
            first,
            items,
        })?;
        self.write(SetSourceItems { items: after, id })?;
        Ok(Outcome::Source(id, after))
    }

    /// The metadata of a new task of the type `plan`. Refuses sources that do not exist or belong to another run. The run of a step
    /// has its sources from the runs above it, to which they belong.
    pub(crate) fn check_sources(&mut self, task: Requested<'_>) -> CommandResult<()> {
        let new = task.new;
        let metadata = new.metadata.clone().unwrap_or_default();
        if metadata.is_null() {
            return Ok(());
        }
        if !metadata.is_object() {
            // A list would be read as the fields in their order.
            let message = "invalid params: `metadata` of a task of the type plan is an object";
            return Err(Error::invalid_params(message).into());
        }
        let metadata: PlanMetadata = serde_json::from_value(metadata).map_err(|why| {
            let message = format!("invalid params: `metadata` of a task of the type plan: {why}");
            Error::invalid_params(message)
        })?;
        let above = match (task.is_of_step, metadata.sources.is_empty()) {
            (true, false) => self.runs_above(new)?,
            _ => Vec::new(),
        };
        for id in metadata.sources.into_values() {
            match self.db.number(SelectSourceRun { id }.into())? {
                None => return Err(unknown_source(id).into()),
                Some(0) => {}
                Some(run) if above.contains(&run) => {}
                Some(run) => {
                    let message =
                        format!("the source {id} belongs to the run {run}; store the items again");
                    return Err(Error::new(ErrorCode::WrongState, message).into());
                }
            }
        }
        Ok(())
    }

    /// The run that is the parent of a new task, and those above it.
    fn runs_above(&mut self, new: &NewTask) -> Result<Vec<TaskId>> {
        let (mut above, mut next) = (Vec::new(), new.parent_id);
        while let Some(id) = next.filter(|_| above.len() < MOST_ABOVE) {
            above.push(id);
            next = self.task_options(id)?.parent_id;
        }
        Ok(above)
    }

    /// A new task of the type `plan` names its sources. Those of a run above stay with that one.
    pub(crate) fn bind_sources(&mut self, new: &NewTask, run_id: TaskId) -> Result<()> {
        let metadata = new.metadata.clone().unwrap_or_default();
        let metadata: PlanMetadata = serde_json::from_value(metadata).unwrap_or_default();
        for id in metadata.sources.into_values() {
            self.write(BindSource { run_id, id })?;
        }
        Ok(())
    }
}

fn unknown_source(id: SourceId) -> Error {
    let message =
        format!("there is no source {id}: it was never made, or no run had named it for a day");
    Error::new(ErrorCode::WrongState, message)
}
