//! How git is called: by arguments, never through a shell; contained and timed like any program; told by flags where it
//! works, so that neither the environment nor a file that an agent can write sends it elsewhere.

use std::fmt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use kirosu_providers::{
    Cancel, Containment, EventSink, Program, ProgramEnd, ProgramExit, ceil_boundary, is_shortage,
};
use tokio::time::{Instant, sleep};

use super::inventory::is_object;
use super::shortage;

/// The longest that one call may take: a checkout of a large repository, with filters that fetch.
const LIMIT: Duration = Duration::from_secs(300);
/// The longest answer in bytes: about two million names of files.
const KEEP: usize = 256 << 20;
/// How long what has to be done after a run is tried again where git cannot be started.
const PATIENCE: Duration = Duration::from_secs(60);
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// Bytes of a complaint that are told on.
const COMPLAINT: usize = 1000;

/// Set in every call. Hooks and watchers of the repository are code that nobody has asked for here; submodules are left
/// alone.
const SETTINGS: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    // A living git holds these for moments.
    "core.filesRefLockTimeout=3000",
    "core.packedRefsTimeout=5000",
    // Answers are text: names that are not are in quotation marks.
    "core.quotePath=true",
    // Answers, and patches for `git apply`, are in one form whatever a person or an agent has set.
    "color.ui=false",
    "color.diff=false",
    "diff.noprefix=false",
    "diff.mnemonicPrefix=false",
    "diff.orderFile=/dev/null",
    "diff.submodule=short",
    "core.editor=true",
    "commit.gpgSign=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "diff.ignoreSubmodules=dirty",
    "advice.addEmbeddedRepo=false",
];

/// Who commits what agents did.
const AUTHOR: (&str, &str) = ("Kirosu", "kirosu@localhost");

/// Where a call works.
#[derive(Debug, Clone, Copy)]
pub(super) enum At<'a> {
    /// In a folder, as a person's call would.
    Folder(&'a Path),
    /// On a repository's references and objects alone.
    Bare(&'a Path),
    /// In a working tree whose git folder is known; what its `.git` says does not count.
    Tree {
        git_dir: &'a Path,
        work_tree: &'a Path,
    },
}

/// Why git did not do what it was asked to: one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitFault(pub(super) String);

/// The beginning of the sentence where git was not started for want of something on the machine, or says so itself.
const SHORT: &str = "the machine is short of something that git needs: ";

impl GitFault {
    /// Whether the machine is short of something for now, so that the same call can work later.
    #[must_use]
    pub fn is_shortage(&self) -> bool {
        // A file that could not be written is named with the system's error.
        self.0.starts_with(SHORT) || is_shortage(&std::io::Error::other(self.0.clone()))
    }
}

impl GitFault {
    /// Whether an object is missing that was there a moment ago: another git has removed what no reference had yet.
    pub(super) fn is_of_missing_object(&self) -> bool {
        let words = [
            "nonexistent object",
            "invalid object",
            "unable to read",
            "not a valid object",
        ];
        words.iter().any(|it| self.0.contains(it))
    }

    /// Whether a branch is there that was to be made.
    pub(super) fn is_taken(&self) -> bool {
        self.0.contains("a branch named '") && self.0.contains("already exists")
    }

    /// Whether the files of a worktree could not be written, by `git reset`.
    pub(super) fn is_of_files(&self) -> bool {
        self.0.starts_with("git reset ")
    }
}

impl fmt::Display for GitFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for GitFault {}

impl From<String> for GitFault {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// The git program of this machine.
#[derive(Debug, Clone)]
pub struct Git {
    containment: Containment,
    env: Vec<(String, String)>,
    /// How long a call that cannot be started is tried again.
    patience: Duration,
}

impl Git {
    /// Held as `containment` says.
    #[must_use]
    pub fn new(containment: Containment) -> Self {
        Self {
            containment,
            env: environment(),
            patience: Duration::ZERO,
        }
    }

    /// The same, for what must not be left undone because the machine is short of something for a moment.
    pub(super) fn patient(self) -> Self {
        Self {
            patience: PATIENCE,
            ..self
        }
    }

    /// The same, with one more variable.
    pub(super) fn with(&self, name: &str, value: &Path) -> Self {
        let mut git = self.clone();
        let value = value.to_string_lossy().into_owned();
        git.env.push((name.to_owned(), value));
        git
    }

    /// The same, with more settings, each a key and its value.
    pub(super) fn with_settings(&self, settings: &[(String, String)]) -> Self {
        let mut git = self.clone();
        let mut put = |name: String, value: String| git.env.push((name, value));
        put("GIT_CONFIG_COUNT".to_owned(), settings.len().to_string());
        for (number, (key, value)) in settings.iter().enumerate() {
            put(format!("GIT_CONFIG_KEY_{number}"), key.clone());
            put(format!("GIT_CONFIG_VALUE_{number}"), value.clone());
        }
        git
    }

    /// The same, with every filter of the settings that count at this place switched off.
    ///
    /// # Errors
    /// The settings cannot be read.
    pub(super) async fn without_filters(&self, at: At<'_>) -> Result<Self, GitFault> {
        let args = ["config", "--name-only", "-z", "--get-regexp", r"^filter\."];
        let end = self.run(at, &args).await;
        if !matches!(end.exit, ProgramExit::Code(0 | 1)) {
            return Err(fault(&args, &end));
        }
        let off = |key: &str| match key.ends_with(".required") {
            true => "false".to_owned(),
            false => String::new(),
        };
        let keys = end.stdout.split_terminator('\0');
        let settings: Vec<_> = keys.map(|key| (key.to_owned(), off(key))).collect();
        Ok(self.with_settings(&settings))
    }

    /// The objects that these names stand for, in their order, each `None` where there is none. Names hold no newline.
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

    /// What it prints, without the last newline.
    ///
    /// # Errors
    /// Where it does not exit with 0: what was asked, and its last words. An answer that is too long.
    pub(super) async fn stdout(&self, at: At<'_>, args: &[&str]) -> Result<String, GitFault> {
        self.stdout_with(at, args, b"").await
    }

    /// As [`args`](Self::ask), with bytes for its standard input.
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

    /// Sets or removes one reference, as the arguments of `git update-ref` say, and never another one through it: an agent
    /// may have made the branch of its task a symbolic reference to a branch of the person's.
    ///
    /// # Errors
    /// As [`args`](Self::ask).
    pub(super) async fn update_ref(&self, at: At<'_>, args: &[&str]) -> Result<(), GitFault> {
        let args = [&["update-ref", "--no-deref"], args].concat();
        self.stdout(at, &args).await.map(drop)
    }

    /// As [`args`](Self::ask), for questions that git answers with exit code 1.
    pub(super) async fn holds(&self, at: At<'_>, args: &[&str]) -> Result<bool, GitFault> {
        let end = self.run(at, args).await;
        match end.exit {
            ProgramExit::Code(0) => Ok(true),
            ProgramExit::Code(1) => Ok(false),
            _ => Err(fault(args, &end)),
        }
    }

    /// How it ended.
    pub(super) async fn run(&self, at: At<'_>, args: &[&str]) -> ProgramEnd {
        self.run_with(at, args, b"").await
    }

    /// How it ended, with bytes for its standard input.
    pub(super) async fn run_with(&self, at: At<'_>, args: &[&str], input: &[u8]) -> ProgramEnd {
        let program = Program {
            stdin: input.to_vec(),
            env: self.env.clone(),
            env_pass: Some(vec!["!GIT_*".to_owned()]),
            limit: LIMIT,
            keep: KEEP,
            ..Program::new(command_line(at, args), "/")
        };
        let (begin, log) = (Instant::now(), EventSink::discard());
        loop {
            let end = program.run(&self.containment, &log, Cancel::never()).await;
            let again =
                matches!(end.exit, ProgramExit::Short(_)) && begin.elapsed() < self.patience;
            if !again {
                return end;
            }
            sleep(RETRY_PAUSE).await;
        }
    }
}

/// The same call as a child of this very process, for what must not be ended with it, or prints to a person's terminal.
pub(super) fn plain_command(at: At<'_>, args: &[&str]) -> Command {
    let line = command_line(at, args);
    let mut command = Command::new(&line[0]);
    let set = std::env::vars_os().map(|(name, _)| name);
    for name in set.filter(|name| name.to_string_lossy().starts_with("GIT_")) {
        command.env_remove(name);
    }
    command.args(&line[1..]).envs(environment());
    command
}

/// What makes a call independent of who started this process.
fn environment() -> Vec<(String, String)> {
    let (name, mail) = AUTHOR;
    [
        ("LC_ALL", "C"),
        ("GIT_TERMINAL_PROMPT", "0"),
        // An agent can replace a commit by another one for all worktrees.
        ("GIT_NO_REPLACE_OBJECTS", "1"),
        ("GIT_AUTHOR_NAME", name),
        ("GIT_AUTHOR_EMAIL", mail),
        ("GIT_COMMITTER_NAME", name),
        ("GIT_COMMITTER_EMAIL", mail),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
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
    for setting in SETTINGS {
        line.extend(["-c".to_owned(), (*setting).to_owned()]);
    }
    if let At::Tree { git_dir, .. } = at
        && is_case_sensitive(git_dir)
    {
        line.extend(["-c".to_owned(), "core.ignoreCase=false".to_owned()]);
    }
    line.extend(args.iter().map(|arg| (*arg).to_owned()));
    line
}

/// Whether names that differ only in case are different files, whatever the settings say: those of a repository that came
/// from another system would hide one of two files. As git finds it out.
fn is_case_sensitive(git_dir: &Path) -> bool {
    git_dir.join("HEAD").exists() && git_dir.join("hEAD").symlink_metadata().is_err()
}

/// As [`fault`], for a call that may have written files at this place.
fn fault_at(at: At<'_>, args: &[&str], end: &ProgramEnd) -> GitFault {
    let fault = fault(args, end);
    let place = match at {
        At::Folder(path) | At::Bare(path) => path,
        At::Tree { work_tree, .. } => work_tree,
    };
    match !fault.is_shortage() && shortage::is_full_disk(&end.stderr, place) {
        true => GitFault(format!("{SHORT}disk space: {fault}")),
        false => fault,
    }
}

pub(super) fn fault(args: &[&str], end: &ProgramEnd) -> GitFault {
    if let ProgramExit::Missing(_) = end.exit {
        return GitFault(
            "git is not in PATH; install it (apt install git), or take another workspace than \"worktree\""
                .to_owned(),
        );
    }
    let what = args.first().copied().unwrap_or_default();
    let output = end.stderr.trim();
    let output = &output[ceil_boundary(output, output.len().saturating_sub(COMPLAINT))..];
    let short = match shortage::is_short(end) {
        true => SHORT,
        false => "",
    };
    match output.is_empty() {
        true => GitFault(format!("{short}git {what} {}", end.exit)),
        false => GitFault(format!(
            "{short}git {what} {}: {output}{}",
            end.exit,
            obstacles(output).unwrap_or_default()
        )),
    }
}

/// The way out where git says that a reference keeps another one from being made, which a file system cannot have both.
fn obstacles(output: &str) -> Option<String> {
    let (before, _) = output.split_once("' exists; cannot create '")?;
    let (_, name) = before.rsplit_once('\'')?;
    name.starts_with("refs/").then(|| {
        format!(" (the reference {name} is in the way: git update-ref -d {name} removes it, git branch NAME {name} keeps its commits)")
    })
}
