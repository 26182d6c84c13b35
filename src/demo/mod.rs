//! `kirosu demo`: shows the main use on the user's own files. It needs only this binary and python3.
//!
//! A hub and a pool start on a new data folder, and a run of a plan: the text files under a folder are the items of a map,
//! whose tasks count words, some files each, and a reduce adds up the counts. Meanwhile one session is crashed on purpose,
//! to show its restart and the repeated attempt.

mod files;
mod progress_log;
mod report;
mod work;

use crate::boot::{self, App, BootError, Role};
use crate::signals::{Signal, SignalCause, Signals};
use crate::systemd::Manager;
use files::FoundFiles;
use kirosu_config::{ConfigFaults, LoadOptions, Loaded, Settings};
use kirosu_protocol::client::{CallError, Client, ClientOptions};
use kirosu_protocol::{
    EventKind, GetParams, NewTask, Notice, PlanMetadata, SourceParams, Status, TYPE_PLAN, Task,
    TaskId, WatchParams,
};
use progress_log::ProgressLog;
use report::{CountReport, RunSummary};
use std::fs::DirBuilder;
use std::io;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Sessions of the demo's pool.
const SESSIONS: u32 = 4;
/// Maximum number of map tasks.
const TASKS: usize = 16;
/// Files per request that sends items: with the longest paths less than a request may have.
const PIECE: usize = 200;
/// Maximum run time. The demo ends even if it hangs.
const LONGEST: Duration = Duration::from_secs(60);

/// The options of the user.
#[derive(Debug)]
pub struct DemoArgs {
    /// The folder whose text files are counted; `None` means the current one.
    pub folder: Option<PathBuf>,
    /// Whether the data folder is kept.
    pub keep: bool,
    /// Whether the report is printed as JSON.
    pub json: bool,
}

/// The reason why the demo did not finish.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The hub or the pool could not start.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// The demo's own settings have a fault.
    #[error(transparent)]
    Settings(#[from] ConfigFaults),
    /// The hub refused a request or the connection failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A file or folder cannot be used.
    #[error("{what} {path}: {source}")]
    File {
        /// The attempted action.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The folder has no text files.
    #[error("there is no text file under {0}; name another folder: kirosu demo FOLDER")]
    NoFiles(PathBuf),
    /// The agent is Python code, and there is no Python.
    #[error(
        "the demo's agent is Python code, and python3 cannot be started ({0}); install it, on Debian with: apt-get install python3"
    )]
    NoPython(io::Error),
    /// The run failed.
    #[error("run {task} ended as {status}: {why}")]
    TaskFailed {
        /// The run.
        task: TaskId,
        /// Its final status.
        status: Status,
        /// The error of the task.
        why: String,
    },
    /// The maximum run time is over.
    #[error("the demo was not done after {0:?} and was stopped")]
    TooLong(Duration),
    /// Standard output cannot be written.
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
    /// A signal stopped the demo.
    #[error("stopped ({0})")]
    Stopped(SignalCause),
    /// The result of the run is not a report.
    #[error("the report cannot be read: {0}")]
    BadReport(serde_json::Error),
}

/// Runs the demo to its end and stops everything it started.
///
/// # Errors
/// See [`DemoError`].
pub fn run(args: DemoArgs) -> Result<(), DemoError> {
    let folder = args.folder.unwrap_or_else(|| PathBuf::from("."));
    let folder = folder
        .canonicalize()
        .map_err(|source| file_error("cannot read the folder", &folder, source))?;
    check_python()?;
    let found = files::find(&folder)
        .map_err(|source| file_error("cannot read the folder", &folder, source))?;
    if found.files.is_empty() {
        return Err(DemoError::NoFiles(folder));
    }
    let left_out = found.left_out;
    let log = ProgressLog::new(args.json);
    let played = actix_rt::System::new().block_on(play(&folder, found, args.keep, &log));
    log.finish();
    let (report, summary, data) = played?;
    let text = match args.json {
        true => report::json(&report, &summary, left_out) + "\n",
        false => {
            let left_out = left_out.sentence().map(|text| text + "\n");
            let kept = format!("\nThe data is kept in {}.\n", data.path.display());
            let kept = args.keep.then_some(kept);
            report::text(&report, &summary)
                + &left_out.unwrap_or_default()
                + &kept.unwrap_or_default()
        }
    };
    let mut out = io::stdout().lock();
    let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    printed.map_err(DemoError::Output)
}

fn check_python() -> Result<(), DemoError> {
    let mut python = std::process::Command::new("python3");
    python
        .arg("-c")
        .arg("")
        .stdin(std::process::Stdio::null())
        .status()
        .map_err(DemoError::NoPython)?;
    Ok(())
}

/// Runs the swarm until the report is ready, or a signal, a closed output or the time limit ends it. The data folder is
/// removed in every case, unless it is to be kept.
async fn play(
    folder: &Path,
    found: FoundFiles,
    keep: bool,
    log: &ProgressLog,
) -> Result<(CountReport, RunSummary, DataFolder), DemoError> {
    let began = Instant::now();
    // The signal handlers are set up before the folder is created, so that a signal cannot leave it behind.
    let mut signals = Signals::listen().map_err(BootError::from)?;
    let data = DataFolder::new(keep)?;
    log.print(&format!(
        "{}{} text files under {}, {} sessions, data in {}",
        if found.left_out.more {
            "the first "
        } else {
            ""
        },
        found.files.len(),
        folder.display(),
        SESSIONS,
        data.path.display()
    ));
    if let Some(sentence) = found.left_out.sentence() {
        log.print(&sentence);
    }
    let batch = found.files.len().div_ceil(TASKS);
    let files = files::dealt(found.files, batch);
    crate::panics::to_log();
    let app = boot::start(
        &settings(folder, &data.path)?,
        Role::HubAndPools,
        Manager::from_environment(),
    )
    .await?;
    let played = tokio::select! {
        played = tokio::time::timeout(LONGEST, run_plan(&app, &files, batch, log)) => {
            played.unwrap_or(Err(DemoError::TooLong(LONGEST)))
        }
        signal = signals.next() => Err(DemoError::Stopped(match signal {
            Signal::Stop(cause) => cause,
            // The demo has no settings file that could be read again.
            Signal::Reload => SignalCause::Hangup,
        })),
        error = log.output_failed() => Err(DemoError::Output(error)),
    };
    app.stop().await;
    let (report, mut summary) = played?;
    summary.seconds = began.elapsed().as_secs_f64();
    Ok((report, summary, data))
}

/// Settings of a file of their own, so that the user's configuration is not read.
fn settings(folder: &Path, data: &Path) -> Result<Loaded, DemoError> {
    let path = data.join("kirosu.toml");
    let texts = [
        (data.join(work::AGENT), work::AGENT_CODE.to_owned()),
        (path.clone(), work::settings(folder, data, SESSIONS)),
    ];
    for (path, text) in texts {
        std::fs::write(&path, text).map_err(|source| file_error("cannot write", &path, source))?;
    }
    let options = LoadOptions {
        file: Some(path),
        here: data.to_owned(),
        ..LoadOptions::default()
    };
    Ok(Settings::load(options)?)
}

/// Starts the run, watches its tasks, crashes one session, and waits for the report.
async fn run_plan(
    app: &App,
    files: &[PathBuf],
    batch: usize,
    log: &ProgressLog,
) -> Result<(CountReport, RunSummary), DemoError> {
    let Some(endpoint) = app.local.clone() else {
        return Err(DemoError::Boot(BootError::System(io::Error::other(
            "the demo's hub has no address",
        ))));
    };
    let client = Client::connect(endpoint, ClientOptions::default()).await?;
    let mut notices = client.notifications();
    client.request(&WatchParams::default()).await?;

    let run = start(&client, files, batch).await?;
    let mut tasks = DemoTasks {
        maps: files.len().div_ceil(batch.max(1)),
        seen: Vec::new(),
    };
    log.started(run, files.len(), tasks.maps);

    let mut summary = RunSummary::default();
    let mut crash = PlannedCrash::default();
    loop {
        let notice = match notices.recv().await {
            Ok(notification) => notification.notice(),
            Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => continue,
            Err(_) => {
                return Err(DemoError::Call(CallError::Closed {
                    endpoint: client.endpoint().to_owned(),
                }));
            }
        };
        let Some(Notice::Event(event)) = notice else {
            continue;
        };
        if let EventKind::Task {
            task_id, status, ..
        } = &event.what
        {
            if *task_id == run {
                match status {
                    Status::Done => break,
                    status if status.is_final() => return Err(failed(&client, run).await?),
                    _ => continue,
                }
            }
            tasks.see(*task_id);
        }
        log.event(&event.what);
        summary.count(&event.what);
        crash.crash_once(app, &event.what, &tasks, log);
    }
    summary.tasks = tasks.seen.len();
    let task = client
        .request(&GetParams {
            task_id: run,
            ..GetParams::default()
        })
        .await?
        .task;
    let report = CountReport::read(task.result.as_deref().unwrap_or_default())
        .map_err(DemoError::BadReport)?;
    Ok((report, summary))
}

/// Sends the files as items, and starts the run of the plan.
async fn start(client: &Client, files: &[PathBuf], batch: usize) -> Result<TaskId, DemoError> {
    let (mut source_id, mut first) = (None, 0);
    for piece in files.chunks(PIECE) {
        let params = SourceParams {
            source_id,
            first,
            items: piece
                .iter()
                .map(|path| path.to_string_lossy().into())
                .collect(),
        };
        let source = client.request(&params).await?;
        (source_id, first) = (Some(source.source_id), source.items);
    }
    let sources = source_id.map(|id| (work::MAP.to_owned(), id));
    let metadata = PlanMetadata {
        sources: sources.into_iter().collect(),
        ..PlanMetadata::default()
    };
    let plan = NewTask {
        task_type: TYPE_PLAN.into(),
        metadata: serde_json::to_value(&metadata).ok(),
        ..NewTask::chat(work::plan(batch))
    };
    Ok(client.request(&plan).await?.task_id)
}

/// The tasks of the run.
struct DemoTasks {
    /// The number of map tasks, which are the first ones.
    maps: usize,
    /// In the order of their first events.
    seen: Vec<TaskId>,
}

impl DemoTasks {
    fn see(&mut self, task: TaskId) {
        if !self.seen.contains(&task) {
            self.seen.push(task);
        }
    }

    fn is_map(&self, task: TaskId) -> bool {
        let place = self.seen.iter().position(|it| *it == task);
        place.is_some_and(|place| place < self.maps)
    }
}

async fn failed(client: &Client, task: TaskId) -> Result<DemoError, DemoError> {
    let Task { status, error, .. } = client
        .request(&GetParams {
            task_id: task,
            ..GetParams::default()
        })
        .await?
        .task;
    Ok(DemoError::TaskFailed {
        task,
        status,
        why: error.unwrap_or_default(),
    })
}

/// Crashes one session in the middle of its second task.
#[derive(Debug, Default)]
struct PlannedCrash {
    /// The session that runs each task.
    at_work: std::collections::HashMap<TaskId, u32>,
    done: usize,
    happened: bool,
}

impl PlannedCrash {
    fn crash_once(&mut self, app: &App, what: &EventKind, tasks: &DemoTasks, log: &ProgressLog) {
        match what {
            EventKind::Task {
                task_id,
                status: Status::Leased,
                worker_id: Some(worker),
                ..
            } => {
                if let Some(session) = progress_log::session_of(worker) {
                    self.at_work.insert(*task_id, session);
                }
            }
            EventKind::Task {
                status: Status::Done,
                ..
            } => self.done += 1,
            // The task has printed something, so it is running.
            EventKind::Output { task_id, .. }
                if !self.happened && self.is_late_enough(tasks, *task_id) =>
            {
                let Some(session) = self.at_work.get(task_id) else {
                    return;
                };
                let Some(swarm) = &app.swarm else { return };
                log.crash(*session, *task_id);
                self.happened = swarm.kill_session(work::POOL, *session).is_ok();
            }
            _ => {}
        }
    }

    /// A few tasks finish first, so that the user sees runs without a crash. If there are few tasks, one is enough.
    fn is_late_enough(&self, tasks: &DemoTasks, task: TaskId) -> bool {
        let first = usize::min(2, tasks.maps.saturating_sub(1));
        tasks.is_map(task) && self.done >= first
    }
}

/// A new folder that is removed when it is dropped, unless it is to be kept.
struct DataFolder {
    path: PathBuf,
    keep: bool,
}

impl DataFolder {
    fn new(keep: bool) -> Result<DataFolder, DemoError> {
        let name = format!(
            "kirosu-demo-{}-{:x}",
            std::process::id(),
            crate::options::now_ms()
        );
        let path = std::env::temp_dir().join(name);
        // Private, whatever the umask.
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|source| file_error("cannot make the folder", &path, source))?;
        Ok(DataFolder { path, keep })
    }
}

impl Drop for DataFolder {
    fn drop(&mut self) {
        if !self.keep
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the demo's data folder");
        }
    }
}

fn file_error(what: &'static str, path: &Path, source: io::Error) -> DemoError {
    DemoError::File {
        what,
        path: path.to_owned(),
        source,
    }
}
