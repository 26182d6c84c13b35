//! Writes tasks with their history into a store without a hub, in one transaction: all of them, or none.
//!
//! The rows are written by the statements of the hub's writer, and only the counters of lanes are in memory. SQLite writes
//! what exceeds its cache to the log, so neither memory nor the time of a row depends on the number of tasks.

use crate::backend::{Backend, Changes, Result, TaskChange};
use crate::command::long_text::{DividedTexts, divide};
use crate::counters::Counters;
use crate::error::OpenError;
use crate::lanes::Lanes;
use crate::open;
use crate::options::StoreOptions;
use crate::row::{Flags, LaneId, LongInput, TaskInput, TaskRow};
use crate::sql::attempt::InsertAttempt;
use crate::sql::cold::{InsertLabel, PutNote};
use crate::sql::counter::{AddMinute, SelectLaneOf};
use crate::sql::long_text::SelectLastText;
use crate::sqlite::SqliteBackend;
use kirosu_protocol::{Fence, Status, TaskId};

/// An ended attempt.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ImportedAttempt {
    pub fence: Fence,
    pub outcome: String,
    pub worker: Option<String>,
    pub started_at: i64,
    pub ended_at: i64,
    pub result: Option<String>,
    pub error: Option<String>,
}

/// Result and error of a task that ended without an attempt.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ImportedNote {
    pub result: Option<String>,
    pub error: Option<String>,
}

/// A task with its history.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ImportedTask {
    /// Its lane is found by queue and type.
    pub row: TaskRow,
    pub queue: String,
    pub task_type: String,
    pub input: TaskInput,
    pub attempts: Vec<ImportedAttempt>,
    pub note: Option<ImportedNote>,
}

/// The store into which tasks are written. Without [`commit`](ImportWriter::commit) nothing of them stays.
pub(crate) struct ImportWriter {
    pub db: SqliteBackend,
    lanes: Lanes,
    counters: Counters,
    last_id: TaskId,
    last_text: i64,
    /// The first Unix minute for `completed_last_hour`.
    first_minute: i64,
}

impl ImportWriter {
    /// Locks the store and brings its schema up to date.
    ///
    /// # Errors
    /// A hub has it, it is not a store, or it cannot be written.
    pub fn open(options: &StoreOptions) -> Result<ImportWriter, OpenError> {
        let path = options.path.as_path();
        let what = "its counters cannot be read";
        let mut db = SqliteBackend::open(options)?;
        if db.is_read_only() {
            return Err(open::database(path, what)("the disk is full"));
        }
        let first_minute = Counters::first_minute(options.now_ms);
        let loaded = db.load(first_minute).map_err(open::database(path, what))?;
        let last_text = db
            .number(SelectLastText {}.into())
            .map_err(open::database(path, what))?;
        let counters = Counters::load(&loaded);
        Ok(ImportWriter {
            last_id: loaded.last_id.max(counters.last_id()),
            counters,
            lanes: Lanes::load(loaded),
            last_text: last_text.unwrap_or(0),
            first_minute,
            db,
        })
    }

    /// The highest id that was given out; 0 means that the store never had a task.
    pub fn last_id(&self) -> TaskId {
        self.last_id
    }

    /// Ids up to this one count as given out.
    pub fn give_out(&mut self, id: TaskId) {
        self.last_id = self.last_id.max(id);
    }

    /// Writes a task.
    ///
    /// # Errors
    /// The disk or a statement failed; the writer is of no use then.
    pub fn add(&mut self, task: ImportedTask) -> Result<()> {
        let ImportedTask {
            mut row,
            queue,
            task_type,
            mut input,
            attempts,
            note,
        } = task;
        let task_id = row.id;
        row.lane = self.lane(&queue, &task_type)?;
        self.add_input_texts(&mut row, &mut input)?;
        for attempt in &attempts {
            self.add_attempt(&mut row, attempt)?;
        }
        if let Some(note) = &note {
            self.add_note(&mut row, note)?;
        }
        for label in &input.options.labels {
            self.db.write(InsertLabel { label, task_id }.into())?;
            row.flags.set(Flags::HAS_LABELS);
        }
        self.db.apply(&Changes {
            tasks: vec![TaskChange {
                row: &row,
                saved: None,
                input: Some(&input),
            }],
            ..Changes::default()
        })?;
        self.count(&row)?;
        self.give_out(task_id);
        Ok(())
    }

    /// Commits all tasks, and copies the log into the file.
    ///
    /// # Errors
    /// The commit failed.
    pub fn commit(mut self) -> Result<()> {
        self.counters.set_last_id(self.last_id);
        self.db.commit(&Changes {
            tasks: Vec::new(),
            lanes: self.lanes.changes(),
            counters: self.counters.changes(),
            last_id: self.last_id,
        })?;
        if let Err(error) = self.db.checkpoint() {
            tracing::warn!(%error, "the log of the store could not be copied into its file; the next start does that");
        }
        Ok(())
    }

    fn lane(&mut self, queue: &str, task_type: &str) -> Result<LaneId> {
        if let Some(id) = self.lanes.find(queue, task_type) {
            return Ok(id);
        }
        if self.lanes.has_absent() {
            let query = SelectLaneOf { queue, task_type };
            if let Some(row) = self.db.lane(query.into())? {
                return Ok(self.lanes.come_back(row));
            }
        }
        Ok(self.lanes.make(queue, task_type))
    }

    /// Counts a task, as the hub's writer counts each one that is added or done.
    fn count(&mut self, row: &TaskRow) -> Result<()> {
        self.lanes.count(row.lane, row.state, 1);
        let (Status::Done, Some(at)) = (row.state, row.finished_at) else {
            return Ok(());
        };
        let (took, minute) = (at - row.created_at, Counters::minute(at));
        match self.lanes.task_done(row.lane, row.id, took, minute) {
            Some((minute, done)) if minute >= self.first_minute => {
                self.db.write(AddMinute { minute, done }.into()).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Stores the pieces of a row's texts, if they are long. Returns the id of these texts, to which the row refers.
    fn add_pieces(&mut self, row: &mut TaskRow, texts: DividedTexts<'_>) -> Result<Option<i64>> {
        let Some(long) = texts.long else {
            return Ok(None);
        };
        self.last_text = long.id;
        self.db.write(long.into())?;
        for piece in texts.pieces {
            self.db.write(piece.into())?;
        }
        row.flags.set(Flags::HAS_LONG_TEXTS);
        Ok(Some(self.last_text))
    }

    fn add_input_texts(&mut self, row: &mut TaskRow, input: &mut TaskInput) -> Result<()> {
        let texts = [Some(&*input.prompt), input.system_prompt.as_deref()];
        let divided = divide(texts, self.last_text + 1);
        let [prompt, system_prompt] = divided.row.map(|text| text.map_or(0, str::len));
        if let Some(text) = self.add_pieces(row, divided)? {
            input.prompt.truncate(prompt);
            if let Some(text) = &mut input.system_prompt {
                text.truncate(system_prompt);
            }
            input.long = Some(LongInput { text, whole: None });
        }
        Ok(())
    }

    fn add_attempt(&mut self, row: &mut TaskRow, attempt: &ImportedAttempt) -> Result<()> {
        let texts = [attempt.result.as_deref(), attempt.error.as_deref()];
        let divided = divide(texts, self.last_text + 1);
        let [result, error] = divided.row;
        let text_id = self.add_pieces(row, divided)?;
        let attempt = InsertAttempt {
            task_id: row.id,
            fence: attempt.fence,
            outcome: &attempt.outcome,
            worker: attempt.worker.as_deref(),
            started_at: attempt.started_at,
            ended_at: attempt.ended_at,
            result,
            error,
            usage: None,
            provider: None,
            text_id,
        };
        self.db.write(attempt.into()).map(drop)
    }

    fn add_note(&mut self, row: &mut TaskRow, note: &ImportedNote) -> Result<()> {
        let texts = [note.result.as_deref(), note.error.as_deref()];
        let divided = divide(texts, self.last_text + 1);
        let [result, error] = divided.row;
        let text_id = self.add_pieces(row, divided)?;
        let note = PutNote {
            task_id: row.id,
            result,
            error,
            text_id,
        };
        self.db.write(note.into()).map(drop)
    }
}
