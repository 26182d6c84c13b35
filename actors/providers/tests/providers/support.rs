//! A fixture per test: an instance name, a work folder, and the final search through /proc.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use kirosu_providers::{
    Cancel, CancelHandle, Containment, EventSink, EventStream, Finished, Job, Provider,
    ProviderOptions, RunEvent, RunFailure, RunnerCommand, build,
};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// No single wait of a test is longer.
pub const BOUND: Duration = Duration::from_secs(30);

pub struct Fixture {
    pub containment: Containment,
    pub workdir: TempDir,
}

impl Fixture {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self::named(&format!("test-{}-{number}", std::process::id()))
    }

    pub fn named(instance: &str) -> Self {
        let runner = RunnerCommand {
            program: PathBuf::from(env!("CARGO_BIN_EXE_kirosu-runner")),
            args: Vec::new(),
        };
        let mut containment = Containment::new(runner, instance);
        containment.grace = Duration::from_millis(300);
        Self {
            containment,
            workdir: tempfile::tempdir().unwrap(),
        }
    }

    pub fn provider(&self, options: &ProviderOptions) -> Arc<dyn Provider> {
        build(options, &self.containment).unwrap()
    }

    /// A `command` provider for a shell script.
    pub fn shell(&self, script: &str) -> Arc<dyn Provider> {
        self.command(&["sh", "-c", script])
    }

    pub fn command(&self, argv: &[&str]) -> Arc<dyn Provider> {
        self.provider(&ProviderOptions {
            name: "test".to_owned(),
            kind: "command".to_owned(),
            argv: argv.iter().map(|it| (*it).to_owned()).collect(),
            ..ProviderOptions::default()
        })
    }

    pub fn python(&self) -> Arc<dyn Provider> {
        self.provider(&ProviderOptions {
            name: "py".to_owned(),
            kind: "python".to_owned(),
            ..ProviderOptions::default()
        })
    }

    pub fn job(&self, prompt: impl Into<String>) -> Job {
        Job::new(prompt, self.workdir.path())
    }

    /// Runs a job to its end without reading events.
    pub async fn run(&self, provider: &dyn Provider, job: Job) -> Result<Finished, RunFailure> {
        let run = provider.run(job, EventSink::discard(), Cancel::never());
        tokio::time::timeout(BOUND, run)
            .await
            .expect("the run ends")
    }

    /// Starts a run and returns when it printed `word`.
    pub async fn run_until(&self, provider: Arc<dyn Provider>, job: Job, word: &str) -> Running {
        let (sink, events) = EventSink::channel(64);
        let (handle, cancel) = Cancel::pair();
        let task = tokio::spawn(async move { provider.run(job, sink, cancel).await });
        let mut running = Running {
            task,
            handle,
            events,
        };
        running.wait_for(word).await;
        running
    }

    /// Processes of this instance that are alive.
    pub fn alive(&self) -> Vec<i32> {
        let entry = format!("KIROSU_INSTANCE={}", self.containment.instance);
        processes(|pid| holds(pid, "environ", &entry))
    }

    /// Fails when a process of this instance is alive.
    pub fn assert_empty(&self) {
        assert_eq!(self.alive(), Vec::<i32>::new(), "left-over processes");
    }
}

pub struct Running {
    pub task: JoinHandle<Result<Finished, RunFailure>>,
    pub handle: CancelHandle,
    /// Kept so that the channel stays open.
    pub events: EventStream,
}

impl Running {
    /// Returns when the program printed `word`.
    pub async fn wait_for(&mut self, word: &str) {
        let mut printed = String::new();
        while !printed.contains(word) {
            let event = tokio::time::timeout(BOUND, self.events.recv()).await;
            match event.expect("the program prints in time") {
                Some(RunEvent::Text { text }) => printed.push_str(&text),
                Some(_) => {}
                None => panic!("the run ended before it printed {word}"),
            }
        }
    }

    pub async fn cancel(self) -> RunFailure {
        self.handle.cancel();
        self.end().await.expect_err("a cancelled run fails")
    }

    pub async fn end(self) -> Result<Finished, RunFailure> {
        let Self {
            task,
            handle,
            mut events,
            ..
        } = self;
        let drain = async { while events.recv().await.is_some() {} };
        let both = async { tokio::join!(task, drain).0 };
        let ended = tokio::time::timeout(BOUND, both).await;
        drop(handle);
        ended.expect("the run ends").expect("and does not panic")
    }
}

/// The living processes that satisfy a condition.
pub fn processes(condition: impl Fn(i32) -> bool) -> Vec<i32> {
    let entries = fs::read_dir("/proc").unwrap();
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|&pid| !is_dead(pid) && condition(pid))
        .collect()
}

/// Whether a NUL-separated file of a process contains exactly this entry.
pub fn holds(pid: i32, file: &str, entry: &str) -> bool {
    fs::read(format!("/proc/{pid}/{file}")).is_ok_and(|raw| {
        raw.split(|&byte| byte == 0)
            .any(|it| it == entry.as_bytes())
    })
}

fn is_dead(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().unwrap_or_default();
    state.is_empty() || state.starts_with('Z')
}

/// Waits until a condition holds.
pub async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < BOUND, "never came: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
