//! Programs that git's settings name: filters, merge drivers, signature checkers, pagers.
//!
//! # Theory of operation
//!
//! Git runs these programs when it reads or writes files. The settings of the system and of the user are that
//! person's, and apply as always. Those of a repository can be written by agents, so a program that they name is used
//! only if it is *known*: it was there before the first run, or appeared while no run worked in the repository. A
//! setting that appeared during a run is *refused* until it is gone again while no run works there. Known and refused
//! settings are in a file of the data folder, which is not in the repository.
//!
//! A setting that is not known is overridden in the call of git: by the known one, else by that of the user or the
//! system, else by a harmless value. Other programs (hooks, file system watchers, transports) are off in every call
//! (`git.rs`), and repositories within the work tree are never entered with their own settings (`stage.rs`,
//! `inventory/submodule.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use kirosu_providers::{AgentFile, MANY_LINES};
use serde::{Deserialize, Serialize};

use super::git::{At, Git, GitFault};
use super::inventory::git_dir_of;
use super::record::WorktreeState;
use super::status::find;
use super::verify::link_file;

/// The call that lists the settings that name programs, for [`parse`].
pub(super) const LIST: &[&str] = &[
    "config",
    "--show-scope",
    "-z",
    "--get-regexp",
    r"^(filter\..*|merge\..*\.driver|hook\..*\.command|gpg\..*|core\.pager|pager\..*)$",
];

/// Git's own merge of texts, in the place of a driver.
const MERGE: &str = "git merge-file --marker-size=%L %A %O %B || exit 1";

/// Calls that run no program of the settings, whatever these are: they neither read files of the work tree nor write
/// the index, which reads changed files again.
const PLAIN: &[&str] = &[
    "cat-file",
    "commit-tree",
    "config",
    "for-each-ref",
    "ls-files",
    "ls-tree",
    "merge-base",
    "rev-list",
    "rev-parse",
    "symbolic-ref",
    "update-ref",
];

/// Whether git may run a program of the settings in this call.
pub(super) fn may_run(args: &[&str]) -> bool {
    args.first().is_none_or(|verb| !PLAIN.contains(verb))
}

/// A setting that names a program, or says how it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProgramSetting {
    /// Whether it is of the system or the user, and not of the repository.
    is_persons: bool,
    key: String,
    value: String,
}

/// Reads the output of [`LIST`], without the settings of the call itself.
pub(super) fn parse(output: &str) -> Vec<ProgramSetting> {
    let mut found = Vec::new();
    let mut parts = output.split('\0');
    while let (Some(scope), Some(entry)) = (parts.next(), parts.next()) {
        let (key, value) = entry.split_once('\n').unwrap_or((entry, "true"));
        if scope != "command" {
            found.push(ProgramSetting {
                is_persons: matches!(scope, "system" | "global"),
                key: key.to_owned(),
                value: value.to_owned(),
            });
        }
    }
    found
}

/// Settings of one repository, by key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KnownPrograms {
    known: BTreeMap<String, String>,
    refused: BTreeSet<(String, String)>,
}

/// The repository's own settings, the one that applies of each key.
fn own(listed: &[ProgramSetting]) -> BTreeMap<String, String> {
    let own = listed.iter().filter(|it| !it.is_persons);
    own.map(|it| (it.key.clone(), it.value.clone())).collect()
}

impl KnownPrograms {
    /// The settings that a call needs so that only known programs run.
    pub(super) fn overrides(&self, listed: &[ProgramSetting]) -> Vec<(String, String)> {
        let persons = |key: &str| {
            let found = listed.iter().rfind(|it| it.is_persons && it.key == key);
            found.map(|it| it.value.clone())
        };
        let unknown = own(listed).into_iter();
        let unknown = unknown.filter(|(key, value)| self.known.get(key) != Some(value));
        unknown
            .map(|(key, _)| {
                let known = self.known.get(&key).cloned();
                let value = known.or_else(|| persons(&key));
                let value = value.unwrap_or_else(|| harmless(&key).to_owned());
                (key, value)
            })
            .collect()
    }

    /// Takes the settings over that are there while no run works in the repository.
    fn adopt(&mut self, listed: &[ProgramSetting]) {
        let own = own(listed);
        self.refused
            .retain(|(key, value)| own.get(key) == Some(value));
        let mut known = BTreeMap::new();
        for (key, value) in own {
            match self.refused.contains(&(key.clone(), value.clone())) {
                false => drop(known.insert(key, value)),
                // The value before it stays known.
                true => known.extend(self.known.remove_entry(&key)),
            }
        }
        self.known = known;
    }

    /// Refuses the settings that appeared during a run; returns the keys of new ones.
    fn refuse(&mut self, listed: &[ProgramSetting]) -> Vec<String> {
        let unknown = own(listed).into_iter();
        let unknown = unknown.filter(|(key, value)| self.known.get(key) != Some(value));
        let mut keys = Vec::new();
        for setting in unknown {
            let key = setting.0.clone();
            if self.refused.insert(setting) {
                keys.push(key);
            }
        }
        keys
    }

    /// The keys of settings that are not used.
    fn unused(&self, listed: &[ProgramSetting]) -> Vec<String> {
        let unknown = own(listed).into_iter();
        let unknown = unknown.filter(|(key, value)| self.known.get(key) != Some(value));
        unknown.map(|(key, _)| key).collect()
    }
}

/// A value with which no program of a person or an agent runs.
fn harmless(key: &str) -> &'static str {
    let (section, last) = (
        key.split('.').next().unwrap_or_default(),
        key.rsplit('.').next().unwrap_or_default(),
    );
    match (section, last) {
        ("filter", "required") => "false",
        ("filter", _) => "",
        ("merge", _) => MERGE,
        ("hook", _) => "true",
        ("core" | "pager", _) => "cat",
        _ => "false",
    }
}

/// All settings off, known or not.
pub(super) fn all_off(listed: &[ProgramSetting]) -> Vec<(String, String)> {
    let keys: BTreeSet<&str> = listed.iter().map(|it| it.key.as_str()).collect();
    let off = keys
        .into_iter()
        .map(|key| (key.to_owned(), harmless(key).to_owned()));
    off.collect()
}

/// The git folder that all worktrees of the repository share, whose settings apply at this location.
fn common_dir(at: At<'_>) -> Option<PathBuf> {
    let git_dir = match at {
        At::Folder(dir) => dir.ancestors().find_map(git_dir_of)?,
        At::Bare(git_dir) | At::Tree { git_dir, .. } => git_dir.to_owned(),
    };
    let common = link_file(&git_dir.join("commondir"), &git_dir).unwrap_or(git_dir);
    common.canonicalize().ok()
}

/// The file with the known settings of all repositories, by their git folders.
#[derive(Debug, Clone)]
pub(super) struct ProgramsFile(PathBuf);

type Repositories = BTreeMap<PathBuf, KnownPrograms>;

impl ProgramsFile {
    pub(super) fn of(workspaces: &Path) -> Self {
        Self(workspaces.join(".programs.json"))
    }

    /// Those of the repository at this location; `None` if it is new. Blocks.
    ///
    /// # Errors
    /// The file cannot be read: no program is known then.
    fn get(&self, at: At<'_>) -> io::Result<Option<KnownPrograms>> {
        match common_dir(at) {
            Some(common) => Ok(self.read()?.remove(&common)),
            None => Ok(None),
        }
    }

    /// Those of the repository at this location, which has these settings. All settings of a repository without an entry
    /// are known: no run of this version has worked there. With a warning, none is known if the file cannot be read.
    /// Blocks.
    pub(super) fn known(&self, at: At<'_>, listed: &[ProgramSetting]) -> KnownPrograms {
        match self.get(at) {
            Ok(Some(found)) => found,
            Ok(None) => KnownPrograms {
                known: own(listed),
                ..KnownPrograms::default()
            },
            Err(error) => {
                tracing::warn!(file = %self.0.display(), %error, "cannot read which filters of repositories are known, so none is used");
                KnownPrograms::default()
            }
        }
    }

    fn read(&self) -> io::Result<Repositories> {
        match AgentFile::at(&self.0).and_then(|it| it.all(MANY_LINES)) {
            Ok(text) => Ok(serde_json::from_slice(&text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Repositories::new()),
            Err(error) => Err(error),
        }
    }

    /// Changes the entry of a repository, one process at a time. Blocks.
    fn change<T>(
        &self,
        common: &Path,
        change: impl FnOnce(&mut KnownPrograms) -> T,
    ) -> io::Result<T> {
        let mut options = File::options();
        let options = options.write(true).create(true).truncate(false);
        let lock = options.open(self.0.with_extension("lock"))?;
        lock.lock()?;
        let mut all = self.read()?;
        let entry = all.entry(common.to_owned()).or_default();
        let before = entry.clone();
        let changed = change(entry);
        if *entry != before || before == KnownPrograms::default() {
            let new = self.0.with_extension("json.new");
            fs::write(&new, serde_json::to_vec(&all)?)?;
            fs::rename(new, &self.0)?;
        }
        drop(lock);
        Ok(changed)
    }
}

/// Takes over the programs that the settings of a repository name, unless a run works there now.
///
/// # Errors
/// The settings cannot be read, or the file of known ones cannot be written.
pub(super) async fn adopt(git: &Git, workspaces: &Path, common: &Path) -> Result<(), GitFault> {
    let listed = git.programs(At::Bare(common)).await?;
    let (workspaces, common) = (workspaces.to_owned(), common.to_owned());
    let adopting = move || {
        let Some(real) = common_dir(At::Bare(&common)) else {
            return Ok(());
        };
        let file = ProgramsFile::of(&workspaces);
        let before = file.get(At::Bare(&common))?;
        let is_current = |it: &KnownPrograms| it.known == own(&listed) && it.refused.is_empty();
        if before.as_ref().is_some_and(is_current) {
            return Ok(());
        }
        // A repository without an entry has had no run, or none of a version that knew this file.
        let is_busy = before.is_some()
            && find(&workspaces, None).iter().any(|record| {
                record.state == WorktreeState::Running
                    && common_dir(At::Bare(&record.common_dir)).as_ref() == Some(&real)
            });
        match is_busy {
            true => Ok(()),
            false => {
                fs::create_dir_all(&workspaces)?;
                file.change(&real, |entry| entry.adopt(&listed))
            }
        }
    };
    blocking(adopting).await
}

/// Refuses the programs that appeared in the settings of a repository while a run worked there; returns a sentence
/// about new ones.
///
/// # Errors
/// As [`adopt`].
pub(super) async fn refuse(
    git: &Git,
    workspaces: &Path,
    common: &Path,
) -> Result<Option<String>, GitFault> {
    let listed = git.programs(At::Bare(common)).await?;
    if own(&listed).is_empty() {
        return Ok(None);
    }
    let (workspaces, common) = (workspaces.to_owned(), common.to_owned());
    let refusing = move || {
        let file = ProgramsFile::of(&workspaces);
        let Some(real) = common_dir(At::Bare(&common)) else {
            return Ok(Vec::new());
        };
        let known = file.known(At::Bare(&common), &listed);
        match known.unused(&listed).is_empty() {
            true => Ok(Vec::new()),
            false => file.change(&real, |entry| entry.refuse(&listed)),
        }
    };
    let keys = blocking(refusing).await?;
    Ok((!keys.is_empty()).then(|| {
        format!(
            "programs that git's settings name since this run began are not used by Kirosu: {}; if you set them, unset them, and set them again while no task runs in the repository",
            keys.join(", ")
        )
    }))
}

/// The settings of the repository at this location that name programs which are not used.
///
/// # Errors
/// The settings cannot be read.
pub(super) async fn unused(
    git: &Git,
    workspaces: &Path,
    common: &Path,
) -> Result<Vec<String>, GitFault> {
    let listed = git.programs(At::Bare(common)).await?;
    // A repository without an entry has had no run.
    let known = ProgramsFile::of(workspaces).get(At::Bare(common));
    Ok(match known {
        Ok(Some(known)) => known.unused(&listed),
        _ => Vec::new(),
    })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, GitFault> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.unwrap_or_else(|why| Err(why.into()));
    done.map_err(|error| {
        GitFault(format!(
            "cannot record which filters of the repository are known: {error}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn settings_are_read_with_their_owner() {
        let found = parse(
            "global\0filter.a=b.clean\ncat\0local\0filter.x.required\0command\0core.pager\ncat\0",
        );
        assert_eq!(found.len(), 2);
        assert_eq!(
            (found[0].key.as_str(), found[0].is_persons),
            ("filter.a=b.clean", true)
        );
        assert_eq!(
            (found[1].value.as_str(), found[1].is_persons),
            ("true", false)
        );
    }

    #[test]
    fn only_what_appears_without_a_run_is_known() {
        let at_first = parse("local\0filter.lfs.clean\nlfs\0");
        let mut programs = KnownPrograms::default();
        programs.adopt(&at_first);
        assert_eq!(programs.overrides(&at_first), []);

        let planted = parse(
            "global\0filter.g.smudge\nmine\0local\0filter.lfs.clean\nevil\0local\0filter.a=b.clean\nevil\0\
             local\0filter.g.smudge\nevil\0local\0merge.m.driver\nevil\0local\0gpg.program\nevil\0worktree\0filter.a=b.required\ntrue\0",
        );
        let wanted = [
            pair("filter.a=b.clean", ""),
            pair("filter.a=b.required", "false"),
            pair("filter.g.smudge", "mine"),
            pair("filter.lfs.clean", "lfs"),
            pair("gpg.program", "false"),
            pair("merge.m.driver", MERGE),
        ];
        assert_eq!(programs.overrides(&planted), wanted);
        assert_eq!(programs.refuse(&planted).len(), 6);
        assert_eq!(programs.refuse(&planted), Vec::<String>::new());
        // It stays refused when the run has ended ...
        programs.adopt(&planted);
        assert_eq!(programs.unused(&planted).len(), 6);
        assert_eq!(programs.overrides(&planted), wanted);
        // ... until it is gone, and set again.
        programs.adopt(&[]);
        programs.adopt(&planted);
        assert_eq!(programs.overrides(&planted), []);
    }

    #[test]
    fn a_call_runs_programs_unless_it_is_known_not_to() {
        assert!(may_run(&["add", "--all"]) && may_run(&["-c", "a=b", "merge"]) && may_run(&[]));
        // It writes the index.
        assert!(may_run(&["write-tree"]));
        assert!(!may_run(&["rev-parse", "HEAD"]));
    }
}
