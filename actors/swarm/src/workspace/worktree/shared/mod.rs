//! Watches the state that all worktrees of a repository share while a run works in one of them: settings, hooks, the
//! stash and the person's branches. Git cannot separate it, so changes are reported with advice how to revert them.
//!
//! Nothing is reverted here: other runs and a person work in the repository at the same time, and it is unknown who
//! made a change.

mod compare;
mod identity;

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::time::SystemTime;

use kirosu_providers::{AgentFile, MANY_LINES};

use super::git::{At, Git, GitFault};
use super::inventory::reflog;
use super::name_claim::PREFIXES;
use super::programs;
use super::record::Worktree;
use super::references::{RefList, listed};
use super::repository::Repository;
use super::verify::is_same;
pub(super) use identity::{Identity, Suspect};

/// Files of the git folder that change how git works, besides its settings and hooks.
const FILES: &[&str] = &[
    "info/exclude",
    "info/attributes",
    "info/grafts",
    "objects/info/alternates",
];
/// Maximum size in bytes of a file whose content is compared; of larger ones only size and time count.
const READ_MAX: u64 = 1 << 20;

/// A snapshot of the shared state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SharedState {
    /// Values by scope (`local`, `global`, ...) and key.
    settings: BTreeMap<(String, String), Vec<String>>,
    /// Without those of tasks.
    references: RefList,
    /// Fingerprints of hooks and other files, by name within the git folder.
    files: BTreeMap<String, u64>,
    /// Commits on the stash.
    stash: Vec<String>,
    /// When an entry was last added or removed; also known if the stash is empty again.
    stash_used: Vec<Option<SystemTime>>,
}

impl SharedState {
    /// Reads the present state.
    ///
    /// # Errors
    /// Git cannot read the settings or references.
    pub(super) async fn read(git: &Git, record: &Worktree) -> Result<Self, GitFault> {
        let references = listed(git, &record.common_dir, &[]).await?;
        Self::with(git, record, references).await
    }

    /// Reads the present state, with references that have just been listed.
    ///
    /// # Errors
    /// Git cannot read the settings.
    pub(super) async fn with(
        git: &Git,
        record: &Worktree,
        mut references: RefList,
    ) -> Result<Self, GitFault> {
        references.retain(|name, _| !is_of_a_task(name));
        let at = At::Bare(&record.common_dir);
        let args = ["config", "--list", "--show-scope", "-z"];
        let output = git.stdout(at, &args).await?;
        let common = record.common_dir.clone();
        let read = tokio::task::spawn_blocking(move || (files(&common), stash(&common))).await;
        let (files, (mut stash, stash_used)) = read.unwrap_or_default();
        if record.common_dir.join("reftable").exists() {
            // Only git reads reflogs in tables. It fails if there is no stash.
            let log = ["log", "--walk-reflogs", "--format=%H", "refs/stash", "--"];
            let output = git.run(at, &log).await;
            stash = output.stdout.lines().map(str::to_owned).collect();
        }
        Ok(Self {
            settings: settings(&output),
            references,
            files,
            stash,
            stash_used,
        })
    }

    /// The identity for commits that set none.
    pub(super) fn identity(&self) -> Identity {
        // Later scopes override earlier ones; they come in this order.
        let scopes = ["system", "global", "local", "worktree"];
        let value = |key: &str| {
            let found = scopes.iter().rev().find_map(|scope| {
                let values = self.settings.get(&((*scope).to_owned(), key.to_owned()));
                values.and_then(|values| values.last())
            });
            found.cloned()
        };
        Identity {
            name: value("user.name"),
            email: value("user.email"),
        }
    }
}

/// Compares with the state when the run began; returns a sentence per kind of change. A changed identity is recorded
/// in the repository, so that `apply` does not use it. `tip`: the last commit of the task's branch.
pub(super) async fn changed(
    git: &Git,
    record: &Worktree,
    before: &SharedState,
    tip: &str,
) -> Vec<String> {
    let after = match SharedState::read(git, record).await {
        Ok(after) => after,
        Err(fault) => {
            return vec![format!("cannot compare shared settings: {fault}")];
        }
    };
    if let Err(error) = identity::note(record, &before.identity(), &after.identity()) {
        let folder = record.common_dir.display();
        tracing::warn!(%error, "cannot record a changed identity in {folder}");
    }
    let mut output = Vec::new();
    output.extend(compare::settings(before, &after, &record.common_dir));
    output.extend(compare::files(before, &after, &record.common_dir));
    output.extend(compare::stash(before, &after, &record.repository));
    output.extend(compare::references(git, record, (before, &after), tip).await);
    output
}

/// A setting that all worktrees of a repository share and that an agent may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concern {
    /// The setting and its effect.
    pub what: String,
    /// Advice.
    pub advice: String,
}

/// Returns settings of the repository around a folder that prevent people from working in their checkout, or under
/// their own name.
///
/// # Errors
/// There is no repository.
pub async fn concerns(git: &Git, workspaces: &Path, dir: &Path) -> Result<Vec<Concern>, GitFault> {
    let repository = Repository::around(git, dir).await?;
    let common = &repository.common;
    let at = At::Bare(common);
    let place = common.display();
    let mut found = Vec::new();
    let bare = ["config", "--type=bool", "--get", "core.bare"];
    if git.run(at, &bare).await.stdout == "true" {
        found.push(Concern {
            what: format!("core.bare is set in {place}, so that git does not work in the checkout"),
            advice: format!("git --git-dir={place} config core.bare false"),
        });
    }
    let end = git.run(at, &["config", "--get", "core.worktree"]).await;
    // A submodule has it too, for its own folder.
    if end.is_good() && !is_same(&common.join(&end.stdout), &repository.top) {
        found.push(Concern {
            what: format!(
                "core.worktree in {place} names {}, which is not the checkout",
                end.stdout
            ),
            advice: format!("git --git-dir={place} config --unset-all core.worktree"),
        });
    }
    let unused = programs::unused(git, workspaces, common).await?;
    if !unused.is_empty() {
        found.push(Concern {
            what: format!("programs that settings in {place} name are not used by Kirosu, because they appeared while a run worked there: {}", unused.join(", ")),
            advice: "unset them; if they are yours, set them again while no task runs in the repository".to_owned(),
        });
    }
    let identity = Identity::of(git, at).await;
    if let Some(suspect) = Suspect::of(common, &identity) {
        found.push(Concern {
            what: format!("git's identity was changed from {} to {} while task {} ran", suspect.before, suspect.after, suspect.task_id),
            advice: format!("git config user.name and user.email set it back; if you changed it, delete {place}/kirosu-identity.json"),
        });
    }
    Ok(found)
}

fn is_of_a_task(name: &str) -> bool {
    if name.starts_with("refs/kirosu/") {
        return true;
    }
    let branch = name.strip_prefix("refs/heads/").unwrap_or_default();
    PREFIXES.iter().any(|prefix| branch.starts_with(prefix))
}

/// Parses `git config --list --show-scope -z`, without the settings of this process.
fn settings(output: &str) -> BTreeMap<(String, String), Vec<String>> {
    let mut found: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    let mut parts = output.split_terminator('\0');
    while let (Some(scope), Some(entry)) = (parts.next(), parts.next()) {
        if scope == "command" {
            continue;
        }
        let (key, value) = entry.split_once('\n').unwrap_or((entry, "true"));
        let key = (scope.to_owned(), key.to_owned());
        found.entry(key).or_default().push(value.to_owned());
    }
    found
}

fn files(common: &Path) -> BTreeMap<String, u64> {
    let hooks = fs::read_dir(common.join("hooks"))
        .into_iter()
        .flatten()
        .flatten();
    let hooks = hooks.map(|entry| format!("hooks/{}", entry.file_name().to_string_lossy()));
    let names = hooks.filter(|name| !name.ends_with(".sample"));
    let names = names.chain(FILES.iter().map(|name| (*name).to_owned()));
    let prints = names.filter_map(|name| Some((name.clone(), fingerprint(&common.join(name))?)));
    prints.collect()
}

fn fingerprint(path: &Path) -> Option<u64> {
    use std::os::unix::fs::PermissionsExt as _;
    let found = path.symlink_metadata().ok()?;
    let mut hasher = DefaultHasher::new();
    found.permissions().mode().hash(&mut hasher);
    found.len().hash(&mut hasher);
    if found.is_symlink() {
        fs::read_link(path).ok().hash(&mut hasher);
    } else if found.is_file() && found.len() <= READ_MAX {
        let content = AgentFile::at(path).and_then(|it| it.all(READ_MAX));
        content.ok().hash(&mut hasher);
    } else {
        found.modified().ok().hash(&mut hasher);
    }
    Some(hasher.finish())
}

/// Commits on the stash, and when its files last changed. The folder of the reflog changes when the stash is begun
/// and when its last entry is removed.
fn stash(common: &Path) -> (Vec<String>, Vec<Option<SystemTime>>) {
    let log = common.join("logs/refs/stash");
    let text = AgentFile::at(&log).and_then(|it| it.beginning(MANY_LINES));
    let text = text.unwrap_or_default();
    let lines = String::from_utf8_lossy(&text).into_owned();
    let entries = lines.lines().filter_map(|line| {
        let name = line.split(' ').nth(1)?;
        reflog(&format!("{name} ")).pop()
    });
    let changed = |path: &Path| path.metadata().and_then(|it| it.modified()).ok();
    let used = vec![changed(&log), changed(&common.join("logs/refs"))];
    (entries.collect(), used)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_with_their_scope() {
        let output = "global\0user.name\nAda\0local\0core.bare\0local\0remote.a.fetch\nx\0local\0remote.a.fetch\ny\0\
                    command\0gc.auto\n0\0";
        let found = settings(output);
        let of = |scope: &str, key: &str| found.get(&(scope.to_owned(), key.to_owned()));
        assert_eq!(of("local", "core.bare").unwrap(), &["true"]);
        assert_eq!(of("local", "remote.a.fetch").unwrap(), &["x", "y"]);
        assert_eq!(found.len(), 3);
        let shared = SharedState {
            settings: found,
            ..SharedState::default()
        };
        assert_eq!(shared.identity().name.as_deref(), Some("Ada"));
    }
}
