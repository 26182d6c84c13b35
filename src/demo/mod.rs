//! `kirosu demo`: the main job on real input, with nothing installed but this binary and python3.
//!
//! A supervisor starts on a fresh data folder, the text files under a folder are split into tasks, sessions count them
//! (map), one last task that depends on all others adds the counts up (reduce), and meanwhile one session is crashed on
//! purpose, so that its restart and the repeated attempt can be seen.

mod files;
mod report;
mod story;
mod work;

use crate::boot::{self, App, BootError, Role};
use crate::notify::Manager;
use crate::signals::{Cause, Signal, Signals};
use files::{Batch, Found};
use kirosu_config::{Faults, LoadOptions, Settings};
use kirosu_protocol::client::{CallError, Client, ClientOptions};
use kirosu_protocol::task::TYPE_PYTHON;
use kirosu_protocol::verbs::enqueue::NewTask;
use kirosu_protocol::verbs::enqueue_batch::EnqueueBatchParams;
use kirosu_protocol::verbs::get::GetParams;
use kirosu_protocol::verbs::watch::WatchParams;
use kirosu_protocol::{EventKind, Notice, Status, Task, TaskId};
use report::{Report, Summary};
use std::fs::DirBuilder;
use std::io;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use story::Story;

/// Sessions of the demo's pool.
const SESSIONS: u32 = 4;
/// Most tasks that the files are split into.
const TASKS: usize = 16;
/// The demo ends by itself, whatever happens.
const LONGEST: Duration = Duration::from_secs(60);

/// What the user asked for.
#[derive(Debug)]
pub struct DemoArgs {
    /// The folder whose text files are counted; the current one when none.
    pub folder: Option<PathBuf>,
    /// Whether the data folder stays.
    pub keep: bool,
    /// Whether the report is printed as JSON.
    pub json: bool,
}

/// Why the demo did not reach its end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The supervisor could not be started.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// The demo's own settings were refused.
    #[error(transparent)]
    Settings(#[from] Faults),
    /// The hub refused a request or could not be asked.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A file or folder is in the way.
    #[error("{what} {path}: {source}")]
    File {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Nothing to count.
    #[error("there is no text file under {0}; name another folder: kirosu demo FOLDER")]
    NoFiles(PathBuf),
    /// The tasks are Python code.
    #[error(
        "the demo's tasks are Python code, and python3 cannot be started ({0}); install it, on Debian with: apt-get install python3"
    )]
    NoPython(io::Error),
    /// A task failed for good.
    #[error("task {task} ended as {status}: {why}")]
    TaskFailed {
        /// The task.
        task: TaskId,
        /// How it ended.
        status: Status,
        /// Why.
        why: String,
    },
    /// It took too long.
    #[error("the demo was not done after {0:?} and was stopped")]
    TooLong(Duration),
    /// Standard output does not take what is printed.
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
    /// A signal asked for the end.
    #[error("stopped ({0})")]
    Stopped(Cause),
    /// The last task's result is no report.
    #[error("the report cannot be read: {0}")]
    BadReport(serde_json::Error),
}

/// Runs the demo to its end; leaves nothing running.
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
    let story = Story::new(args.json);
    let played = actix_rt::System::new().block_on(play(&folder, found, args.keep, &story));
    story.finish();
    let (report, summary, data) = played?;
    let text = match args.json {
        true => report::json(&report, &summary, left_out) + "\n",
        false => {
            let left_out = left_out.sentence().map(|text| text + "\n");
            let kept = format!("\nThe data stay in {}.\n", data.path.display());
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

/// Runs the swarm to the report, or to what ends it before: a signal, an output that is closed, the time. Its folder is
/// removed however it ends, unless it is to be kept.
async fn play(
    folder: &Path,
    found: Found,
    keep: bool,
    story: &Story,
) -> Result<(Report, Summary, DataFolder), DemoError> {
    let began = Instant::now();
    // Before the folder is made: a signal that comes from now on does not leave it behind.
    let mut signals = Signals::listen().map_err(BootError::from)?;
    let data = DataFolder::new(keep)?;
    story.say(&format!(
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
        story.say(&sentence);
    }
    let batches = files::split(found.files, TASKS);
    crate::panics::to_log();
    let app = boot::start(
        &settings(folder, &data.path)?,
        Role::HubAndPools,
        Manager::from_environment(),
    )
    .await?;
    let played = tokio::select! {
        played = tokio::time::timeout(LONGEST, tell(&app, batches, story)) => {
            played.unwrap_or(Err(DemoError::TooLong(LONGEST)))
        }
        signal = signals.next() => Err(DemoError::Stopped(match signal {
            Signal::Stop(cause) => cause,
            // The demo has no settings to read again.
            Signal::Reload => Cause::Hangup,
        })),
        error = story.broken() => Err(DemoError::Output(error)),
    };
    app.stop().await;
    let (report, mut summary) = played?;
    summary.seconds = began.elapsed().as_secs_f64();
    Ok((report, summary, data))
}

/// Settings of a file of its own, so that nobody's configuration is touched or read.
fn settings(folder: &Path, data: &Path) -> Result<Settings, DemoError> {
    let path = data.join("kirosu.toml");
    let text = work::settings(folder, data, SESSIONS);
    std::fs::write(&path, text).map_err(|source| file_error("cannot write", &path, source))?;
    let options = LoadOptions {
        file: Some(path),
        here: data.to_owned(),
        ..LoadOptions::default()
    };
    Ok(Settings::load(options)?.settings)
}

/// Enqueues, watches, crashes one session, and waits for the report.
async fn tell(
    app: &App,
    batches: Vec<Batch>,
    story: &Story,
) -> Result<(Report, Summary), DemoError> {
    let Some((endpoint, address)) = app.local.clone().zip(app.address) else {
        return Err(DemoError::Boot(BootError::System(io::Error::other(
            "the demo's hub has no address",
        ))));
    };
    let client = Client::connect(endpoint, ClientOptions::default()).await?;
    let mut notices = client.notifications();
    client.request(&WatchParams::default()).await?;

    let maps = batches
        .iter()
        .map(|batch| python(work::map(batch)))
        .collect();
    let maps = client
        .request(&EnqueueBatchParams { tasks: maps })
        .await?
        .task_ids;
    let reduce = NewTask {
        depends_on: maps.clone(),
        ..python(work::reduce(&maps, address))
    };
    let reduce = client.request(&reduce).await?.task_id;
    story.enqueued(&maps, reduce);

    let mut summary = Summary {
        tasks: maps.len() + 1,
        ..Summary::default()
    };
    let mut crash = Crash::default();
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
        story.tell(&event.what);
        summary.count(&event.what);
        crash.perhaps(app, &event.what, &maps, story);
        if let EventKind::Task {
            task_id, status, ..
        } = event.what
            && status.is_final()
        {
            match status {
                Status::Done if task_id == reduce => break,
                Status::Done => {}
                _ => return Err(failed(&client, task_id).await?),
            }
        }
    }
    let task = client
        .request(&GetParams {
            task_id: reduce,
            ..GetParams::default()
        })
        .await?
        .task;
    let report =
        Report::read(task.result.as_deref().unwrap_or_default()).map_err(DemoError::BadReport)?;
    Ok((report, summary))
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

fn python(prompt: String) -> NewTask {
    NewTask {
        task_type: TYPE_PYTHON.into(),
        ..NewTask::chat(prompt)
    }
}

/// Ends one session in the middle of its second task, on purpose.
#[derive(Debug, Default)]
struct Crash {
    /// Who works on which task.
    at_work: std::collections::HashMap<TaskId, u32>,
    done: usize,
    happened: bool,
}

impl Crash {
    fn perhaps(&mut self, app: &App, what: &EventKind, maps: &[TaskId], story: &Story) {
        match what {
            EventKind::Task {
                task_id,
                status: Status::Leased,
                worker_id: Some(worker),
                ..
            } => {
                if let Some(session) = story::session_of(worker) {
                    self.at_work.insert(*task_id, session);
                }
            }
            EventKind::Task {
                status: Status::Done,
                ..
            } => self.done += 1,
            // It prints, so it is in the middle of its work.
            EventKind::Output { task_id, .. } if !self.happened && self.may(maps, *task_id) => {
                let Some(session) = self.at_work.get(task_id) else {
                    return;
                };
                let Some(swarm) = &app.swarm else { return };
                story.crash(*session, *task_id);
                self.happened = swarm.kill_session(work::POOL, *session).is_ok();
            }
            _ => {}
        }
    }

    /// A few tasks first, so that the reader sees how it goes without a crash; with few tasks, at once.
    fn may(&self, maps: &[TaskId], task: TaskId) -> bool {
        let first = usize::min(2, maps.len().saturating_sub(1));
        maps.contains(&task) && self.done >= first
    }
}

/// A fresh folder, removed at the end unless it is to be kept.
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
            tracing::warn!(path = %self.path.display(), %error, "the demo's folder could not be removed");
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
