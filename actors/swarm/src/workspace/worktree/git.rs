//! Calls git: with arguments, never through a shell; contained and with a time limit like any program; with the
//! location as flags, so that neither the environment nor a file that an agent can write redirects it.
//!
//! This is the only place that makes a command line of git. Git runs nothing that a tree brings: hooks, watchers,
//! transports and fetches of missing objects are off, submodules are not entered, and of the programs that settings
//! name only known ones run (`programs.rs`). Settings are passed as variables, because git cuts the key of a `-c`
//! argument at its first `=`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use kirosu_providers::{Cancel, Containment, EventSink, Program, ProgramEnd, ProgramExit};
use tokio::time::{Instant, sleep};

pub use super::git_fault::GitFault;
pub(super) use super::git_fault::fault;
use super::git_fault::fault_at;
use super::git_settings::environment;
use super::inventory::is_object;
use super::programs::{self, ProgramSetting, ProgramsFile};

/// Time limit of one call: a checkout of a large repository, with filters that fetch.
const LIMIT: Duration = Duration::from_secs(300);
/// Maximum size of the output in bytes: about two million file names.
const KEEP: usize = 256 << 20;
/// How long a call that must not be left out after a run is retried if git cannot be started.
const PATIENCE: Duration = Duration::from_secs(60);
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Calls that inspect submodules by starting git there, with the settings of the submodule. A flag prevents it; the
/// setting of its name does not, as `.gitmodules` overrides it.
const ENTERING: [&str; 2] = ["diff", "status"];
const NOT_ENTERING: &str = "--ignore-submodules=dirty";

/// The location of a call.
#[derive(Debug, Clone, Copy)]
pub(super) enum At<'a> {
    /// In a folder, like a person's call.
    Folder(&'a Path),
    /// On a repository's references and objects alone.
    Bare(&'a Path),
    /// In a working tree with a known git folder; its `.git` is ignored.
    Tree {
        git_dir: &'a Path,
        work_tree: &'a Path,
    },
}

/// The git program of this machine.
#[derive(Debug, Clone)]
pub struct Git {
    containment: Containment,
    env: Vec<(String, String)>,
    /// Settings in addition to those of every call.
    settings: Vec<(String, String)>,
    /// The programs that settings of repositories may name. `None`: no such program runs.
    known: Option<ProgramsFile>,
    /// Whether only the settings of the git folder apply, none of the system or the user.
    is_alone: bool,
    cancel: Cancel,
    /// How long a call that cannot be started is retried.
    patience: Duration,
}

impl Git {
    /// Runs git within this containment.
    #[must_use]
    pub fn new(containment: Containment) -> Self {
        Self {
            containment,
            env: Vec::new(),
            settings: Vec::new(),
            known: None,
            is_alone: false,
            cancel: Cancel::never(),
            patience: Duration::ZERO,
        }
    }

    /// Lets programs run that settings of repositories name, if they are known in this folder of worktrees.
    #[must_use]
    pub fn knowing(self, workspaces: &Path) -> Self {
        Self {
            known: Some(ProgramsFile::of(workspaces)),
            ..self
        }
    }

    /// Without settings of the system and the user, for a git folder that Kirosu has made; until it is cancelled.
    pub(crate) fn alone(containment: Containment, cancel: Cancel) -> Self {
        let mut git = Self::new(containment);
        (git.is_alone, git.cancel) = (true, cancel);
        for (name, value) in [
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
        ] {
            git.env.push((name.to_owned(), value.to_owned()));
        }
        git
    }

    /// Retries calls that cannot be started, for work that must not be left out for a short lack of a resource.
    pub(super) fn patient(self) -> Self {
        Self {
            patience: PATIENCE,
            ..self
        }
    }

    /// Adds a variable.
    pub(super) fn with(&self, name: &str, value: &Path) -> Self {
        let mut git = self.clone();
        let value = value.to_string_lossy().into_owned();
        git.env.push((name.to_owned(), value));
        git
    }

    /// Adds a setting.
    pub(crate) fn with_setting(mut self, key: &str, value: String) -> Self {
        self.settings.push((key.to_owned(), value));
        self
    }

    /// Disables every filter and every other program in the settings that apply at this location.
    ///
    /// # Errors
    /// The settings cannot be read.
    pub(super) async fn without_programs(&self, at: At<'_>) -> Result<Self, GitFault> {
        let mut git = self.clone();
        git.settings
            .extend(programs::all_off(&self.programs(at).await?));
        Ok(git)
    }

    /// The programs that settings name at this location.
    ///
    /// # Errors
    /// The settings cannot be read.
    pub(super) async fn programs(&self, at: At<'_>) -> Result<Vec<ProgramSetting>, GitFault> {
        let end = self.call(at, programs::LIST, b"", &[]).await;
        match end.exit {
            ProgramExit::Code(0 | 1) => Ok(programs::parse(&end.stdout)),
            _ => Err(fault(programs::LIST, &end)),
        }
    }

    /// The settings of a call at this location, in which only known programs run.
    ///
    /// # Errors
    /// The end of the call that reads the settings.
    async fn guarded(&self, at: At<'_>) -> Result<Vec<(String, String)>, ProgramEnd> {
        let end = self.call(at, programs::LIST, b"", &[]).await;
        if !matches!(end.exit, ProgramExit::Code(0 | 1)) {
            return Err(end);
        }
        let listed = programs::parse(&end.stdout);
        if listed.is_empty() {
            return Ok(Vec::new());
        }
        let known = self.known.as_ref().map(|file| file.known(at, &listed));
        Ok(known.unwrap_or_default().overrides(&listed))
    }

    /// The call as a child of this process, for calls that must not end with it, or that print to a person's terminal.
    ///
    /// # Errors
    /// The settings cannot be read.
    pub(super) async fn plain(&self, at: At<'_>) -> Result<PlainGit, GitFault> {
        let settings = self.guarded(at).await;
        let settings = settings.map_err(|end| fault(programs::LIST, &end))?;
        Ok(PlainGit { settings })
    }

    /// The objects that these names refer to, in order, `None` for a name without one. Names contain no newline.
    ///
    /// # Errors
    /// The repository cannot be read.
    pub(super) async fn objects<const N: usize>(
        &self,
        at: At<'_>,
        names: [&str; N],
    ) -> Result<[Option<String>; N], GitFault> {
        let args = ["cat-file", "--batch-check=%(objectname)"];
        let input = names.join("\n") + "\n";
        let output = self.stdout_with(at, &args, input.as_bytes()).await?;
        let mut lines = output.split('\n');
        Ok(names.map(|_| {
            let line = lines.next().unwrap_or_default();
            is_object(line).then(|| line.to_owned())
        }))
    }

    /// Returns standard output without the last newline.
    ///
    /// # Errors
    /// Git did not exit with 0 (with the call and its last output), or the output is too long.
    pub(super) async fn stdout(&self, at: At<'_>, args: &[&str]) -> Result<String, GitFault> {
        self.stdout_with(at, args, b"").await
    }

    /// Like [`stdout`](Self::stdout), with bytes for standard input.
    pub(super) async fn stdout_with(
        &self,
        at: At<'_>,
        args: &[&str],
        input: &[u8],
    ) -> Result<String, GitFault> {
        let end = self.run_with(at, args, input).await;
        match end.is_good() {
            true if end.stdout.len() >= KEEP => Err(GitFault(format!(
                "the answer of git {} is longer than {} MiB",
                args.first().copied().unwrap_or_default(),
                KEEP >> 20
            ))),
            true => Ok(end.stdout),
            false => Err(fault_at(at, args, &end)),
        }
    }

    /// Sets or removes one reference, with the arguments of `git update-ref`, and never another one through it: an
    /// agent may have made the branch of its task a symbolic reference to a branch of the person's.
    ///
    /// # Errors
    /// As [`stdout`](Self::stdout).
    pub(super) async fn update_ref(&self, at: At<'_>, args: &[&str]) -> Result<(), GitFault> {
        let args = [&["update-ref", "--no-deref"], args].concat();
        self.stdout(at, &args).await.map(drop)
    }

    /// Runs a call that answers with exit code 0 (true) or 1 (false).
    ///
    /// # Errors
    /// Any other end.
    pub(super) async fn holds(&self, at: At<'_>, args: &[&str]) -> Result<bool, GitFault> {
        let end = self.run(at, args).await;
        match end.exit {
            ProgramExit::Code(0) => Ok(true),
            ProgramExit::Code(1) => Ok(false),
            _ => Err(fault(args, &end)),
        }
    }

    /// Returns the end of the call.
    pub(super) async fn run(&self, at: At<'_>, args: &[&str]) -> ProgramEnd {
        self.run_with(at, args, b"").await
    }

    /// Returns the end of the call, with bytes for standard input.
    pub(super) async fn run_with(&self, at: At<'_>, args: &[&str], input: &[u8]) -> ProgramEnd {
        let settings = match !self.is_alone && programs::may_run(args) {
            true => self.guarded(at).await,
            false => Ok(Vec::new()),
        };
        match settings {
            Ok(settings) => self.call(at, args, input, &settings).await,
            Err(end) => end,
        }
    }

    async fn call(
        &self,
        at: At<'_>,
        args: &[&str],
        input: &[u8],
        guards: &[(String, String)],
    ) -> ProgramEnd {
        let settings = [guards, &self.settings].concat();
        let program = Program {
            stdin: input.to_vec(),
            env: [environment(&settings), self.env.clone()].concat(),
            env_pass: Some(vec!["!GIT_*".to_owned()]),
            limit: LIMIT,
            keep: KEEP,
            ..Program::new(command_line(at, args), "/")
        };
        let (begin, log) = (Instant::now(), EventSink::discard());
        loop {
            let end = program
                .run(&self.containment, &log, self.cancel.clone())
                .await;
            let again =
                matches!(end.exit, ProgramExit::Short(_)) && begin.elapsed() < self.patience;
            if !again {
                return end;
            }
            sleep(RETRY_PAUSE).await;
        }
    }
}

/// Git as a plain child of this process.
#[derive(Debug, Clone, Default)]
pub(super) struct PlainGit {
    settings: Vec<(String, String)>,
}

impl PlainGit {
    /// The command, with a clean environment.
    pub(super) fn command(&self, at: At<'_>, args: &[&str]) -> Command {
        let line = command_line(at, args);
        let mut command = Command::new(&line[0]);
        let set = std::env::vars_os().map(|(name, _)| name);
        for name in set.filter(|name| name.to_string_lossy().starts_with("GIT_")) {
            command.env_remove(name);
        }
        command.args(&line[1..]).envs(environment(&self.settings));
        command
    }
}

/// Program and arguments of a call.
fn command_line(at: At<'_>, args: &[&str]) -> Vec<String> {
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let mut line = vec!["git".to_owned()];
    match at {
        At::Folder(dir) => line.extend(["-C".to_owned(), path(dir)]),
        At::Bare(git_dir) => line.push(format!("--git-dir={}", path(git_dir))),
        At::Tree { git_dir, work_tree } => line.extend([
            "-C".to_owned(),
            path(work_tree),
            format!("--git-dir={}", path(git_dir)),
            format!("--work-tree={}", path(work_tree)),
        ]),
    }
    if let At::Tree { git_dir, .. } = at
        && is_case_sensitive(git_dir)
    {
        line.extend(["-c".to_owned(), "core.ignoreCase=false".to_owned()]);
    }
    let settings = args.chunks(2).take_while(|it| it[0] == "-c").count() * 2;
    for (number, arg) in args.iter().enumerate() {
        line.push((*arg).to_owned());
        if number == settings && ENTERING.contains(arg) {
            line.push(NOT_ENTERING.to_owned());
        }
    }
    line
}

/// Whether names that differ only in case are different files, whatever the settings say: those of a repository from
/// another system would hide one of two files. Tested as git does.
fn is_case_sensitive(git_dir: &Path) -> bool {
    git_dir.join("HEAD").exists() && git_dir.join("hEAD").symlink_metadata().is_err()
}
