//! Takes the tasks of the Python version over into a store on which no hub runs (`kirosu db import-legacy`).
//!
//! The source is read twice, a row at a time: first every row is examined, then all are written in one transaction. A crash
//! in the middle leaves nothing behind, so that the import can be started again.

mod row;
mod source;

use crate::backend::StoreFault;
use crate::error::OpenError;
use crate::foreign;
use crate::import::ImportWriter;
use crate::inspect;
use crate::lock::beside;
use crate::options::StoreOptions;
use crate::sql::cold::SelectLabelled;
use kirosu_protocol::{Limits, Status, TaskId};
use row::{LAST_ID, SourceRow, TextLimits, task_of};
use source::LegacyFile;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

/// Rows that cannot be taken and are listed; of further ones only the number is known.
const LISTED: usize = 1000;
/// Different states of the source that are counted one by one.
const STATES: usize = 100;
/// Rows between two reports of progress.
const STRIDE: u64 = 500;

/// The choices of a person for an import.
#[derive(Clone, Copy, Debug, Default)]
pub struct LegacyOptions {
    /// Gives the tasks new ids, so that the store may have tasks; each has the label `legacy:ID` of its old id.
    pub renumber: bool,
    /// Leaves out the rows that cannot be taken.
    pub skip_bad: bool,
    /// Only examines the source.
    pub dry_run: bool,
}

/// An error that prevents an import. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum LegacyError {
    /// A hub has the store, or it cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The source cannot be taken.
    #[error("cannot import {path}: {why}")]
    Unfit {
        /// The source.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// Another process has the source open.
    #[error("cannot import {path}: process {holder} has it open; stop the Python hub first")]
    InUse {
        /// The source.
        path: PathBuf,
        /// The process id.
        holder: i32,
    },
    /// The store has tasks, or had some.
    #[error(
        "nothing was imported: the store {path} has given out ids up to {last_id}, and the tasks keep their ids; import them into a new file with --db, or give them new ids with --renumber"
    )]
    NotEmpty {
        /// The store.
        path: PathBuf,
        /// The highest id.
        last_id: TaskId,
    },
    /// The tasks of this source have been imported before.
    #[error(
        "nothing was imported: the store {path} has the first task of this file already, as task {task_id}"
    )]
    Again {
        /// The store.
        path: PathBuf,
        /// The task.
        task_id: TaskId,
    },
    /// A statement or the commit failed.
    #[error("nothing was imported: {0}")]
    Fault(#[from] StoreFault),
}

impl From<diesel::result::Error> for LegacyError {
    fn from(error: diesel::result::Error) -> LegacyError {
        LegacyError::Fault(error.into())
    }
}

/// Tasks of one state of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacyState {
    /// Their state in the source; `...` for those of further states.
    pub from: String,
    /// Their state in the store.
    pub to: Status,
    /// Their number.
    pub tasks: u64,
}

/// A row that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// The id in the source.
    pub task_id: TaskId,
    /// The reason, as `its prompt is null`.
    pub why: String,
}

/// The result of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LegacyReport {
    /// Whether the tasks were written.
    pub written: bool,
    /// The tasks that were or can be taken.
    pub tasks: u64,
    /// The same by state.
    pub states: Vec<LegacyState>,
    /// Those that were leased: they are queued now, as their leases are gone.
    pub leases_dropped: u64,
    /// The number of rows that cannot be taken.
    pub bad: u64,
    /// The first of these rows.
    pub bad_rows: Vec<BadRow>,
    /// The highest id that was given out afterwards. The same as before if nothing was written.
    pub last_id: TaskId,
}

/// The progress of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegacyProgress {
    /// Whether the rows are being written; before that they are examined.
    pub is_writing: bool,
    /// Rows so far.
    pub rows: u64,
    /// All rows.
    pub of: u64,
}

/// Brings the tasks of a file of the Python version into the store. Blocks while it does. If rows cannot be taken and
/// `skip_bad` is not set, nothing is written and the report lists them.
///
/// # Errors
/// A hub has the store, the source cannot be read, or the store has tasks; nothing was written then.
pub fn import_legacy(
    source: &Path,
    options: &StoreOptions,
    limits: &Limits,
    how: LegacyOptions,
    progress: &mut dyn FnMut(LegacyProgress),
) -> Result<LegacyReport, LegacyError> {
    let store = foreign::real_path(&options.path);
    let real = foreign::real_path(source);
    if real == store {
        return Err(LegacyError::Unfit {
            path: source.to_owned(),
            why: "it is the file of the store; name another file for the store with --db"
                .to_owned(),
        });
    }
    let before = inspect::last_id(&store)?;
    if before > 0 && !how.renumber {
        return Err(LegacyError::NotEmpty {
            path: store,
            last_id: before,
        });
    }
    let mut file = LegacyFile::open(&real, &scratch(&store))?;
    let limits = TextLimits::from(limits);
    let mut report = examine(&mut file, limits, options.lane_limit, source, progress)?;
    report.last_id = before;
    if how.dry_run || (report.bad > 0 && !how.skip_bad) {
        return Ok(report);
    }
    write(&mut file, options, limits, how, &mut report, progress)?;
    Ok(report)
}

/// The folder for a copy of the source: next to the store, or in the nearest folder that exists.
fn scratch(store: &Path) -> PathBuf {
    let name = beside(Path::new(store.file_name().unwrap_or_default()), ".legacy");
    let folder = store.ancestors().skip(1).find(|folder| folder.is_dir());
    folder.unwrap_or(Path::new(".")).join(name)
}

/// Examines every row and counts them.
fn examine(
    file: &mut LegacyFile,
    limits: TextLimits,
    most_types: usize,
    source: &Path,
    progress: &mut dyn FnMut(LegacyProgress),
) -> Result<LegacyReport, LegacyError> {
    let mut report = LegacyReport::default();
    let mut states: BTreeMap<(String, Status), u64> = BTreeMap::new();
    let mut types = HashSet::new();
    let (of, mut rows) = (file.rows, 0);
    file.visit(limits, |row: SourceRow| {
        if rows % STRIDE == 0 {
            progress(LegacyProgress {
                is_writing: false,
                rows,
                of,
            });
        }
        rows += 1;
        let task_id = row.id;
        let (status, task) = match task_of(row, limits) {
            Ok(taken) => taken,
            Err(why) => {
                report.bad += 1;
                if report.bad_rows.len() < LISTED {
                    report.bad_rows.push(BadRow { task_id, why });
                }
                return Ok(());
            }
        };
        report.tasks += 1;
        let status = status.trim().to_ascii_lowercase();
        report.leases_dropped += u64::from(status == "leased");
        let key = (status, task.row.state);
        let key = match states.len() < STATES || states.contains_key(&key) {
            true => key,
            false => ("...".to_owned(), key.1),
        };
        *states.entry(key).or_default() += 1;
        if !types.contains(&task.task_type) {
            types.insert(task.task_type);
        }
        match types.len() > most_types {
            false => Ok(()),
            true => Err(LegacyError::Unfit {
                path: source.to_owned(),
                why: format!("its tasks have more than {most_types} different types"),
            }),
        }
    })?;
    report.states = states
        .into_iter()
        .map(|((from, to), tasks)| LegacyState { from, to, tasks })
        .collect();
    Ok(report)
}

/// Writes every row that can be taken.
fn write(
    file: &mut LegacyFile,
    options: &StoreOptions,
    limits: TextLimits,
    how: LegacyOptions,
    report: &mut LegacyReport,
    progress: &mut dyn FnMut(LegacyProgress),
) -> Result<(), LegacyError> {
    let mut writer = ImportWriter::open(options)?;
    let before = writer.last_id();
    if before > 0 && !how.renumber {
        // A hub has run since the first look.
        return Err(LegacyError::NotEmpty {
            path: options.path.clone(),
            last_id: before,
        });
    }
    let (of, last_id) = (file.rows, file.last_id);
    let (mut rows, mut taken) = (0, 0);
    file.visit(limits, |row: SourceRow| {
        if rows % STRIDE == 0 {
            progress(LegacyProgress {
                is_writing: true,
                rows,
                of,
            });
        }
        rows += 1;
        let Ok((_, mut task)) = task_of(row, limits) else {
            return Ok(());
        };
        if how.renumber {
            let label = format!("legacy:{}", task.row.id);
            if taken == 0 {
                refuse_again(&mut writer, &label, task.row.created_at, &options.path)?;
            }
            task.row.id = writer.last_id() + 1;
            task.input.options.labels.push(label);
        }
        taken += 1;
        writer.add(task).map_err(LegacyError::from)
    })?;
    if taken != report.tasks {
        return Err(LegacyError::Fault(StoreFault::value(
            "the source has changed meanwhile; stop whatever writes to it",
        )));
    }
    if !how.renumber {
        // A greater one is that of a row that was not taken, and none could follow it.
        writer.give_out(last_id.min(LAST_ID));
    }
    report.last_id = writer.last_id();
    writer.commit()?;
    report.written = true;
    Ok(())
}

/// Refuses a source whose first task is in the store already.
fn refuse_again(
    writer: &mut ImportWriter,
    label: &str,
    created_at: i64,
    store: &Path,
) -> Result<(), LegacyError> {
    let found: Option<TaskId> =
        crate::sql::first(&mut writer.db.conn, SelectLabelled { label, created_at })?;
    match found {
        None => Ok(()),
        Some(task_id) => Err(LegacyError::Again {
            path: store.to_owned(),
            task_id,
        }),
    }
}
