//! The sentences about changes of shared state.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::SharedState;
use crate::workspace::worktree::git::{At, Git};
use crate::workspace::worktree::inventory::list;
use crate::workspace::worktree::record::Worktree;

/// Characters shown of an object name.
const SHORT: usize = 12;

fn short(commit: &str) -> &str {
    commit.get(..SHORT).unwrap_or(commit)
}

/// An argument for a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./@:+=,%".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// Values of other keys can be secrets.
fn is_shown(key: &str) -> bool {
    key.starts_with("user.") || key.starts_with("core.")
}

pub(super) fn settings(before: &SharedState, after: &SharedState, common: &Path) -> Option<String> {
    let keys: BTreeSet<_> = before
        .settings
        .keys()
        .chain(after.settings.keys())
        .collect();
    let mut changes = Vec::new();
    for place in keys {
        let (scope, key) = place;
        let (old, new) = (before.settings.get(place), after.settings.get(place));
        if old == new {
            continue;
        }
        let git = match scope.as_str() {
            "global" | "system" => format!("git config --{scope}"),
            _ => format!("git --git-dir={} config", quoted(&common.to_string_lossy())),
        };
        changes.push(match (old.map(Vec::as_slice), is_shown(key)) {
            (None, true) => {
                let new = new.map(|it| it.join(", ")).unwrap_or_default();
                format!("{key} was set to {new:?} ({git} --unset-all {key} takes it back)")
            }
            (Some([old]), true) => {
                let new = new.map_or("nothing".to_owned(), |it| format!("{:?}", it.join(", ")));
                let old_quoted = quoted(old);
                format!("{key} was changed from {old:?} to {new} ({git} {key} {old_quoted} takes it back)")
            }
            _ => format!("{key} was changed"),
        });
    }
    (!changes.is_empty()).then(|| {
        format!(
            "git settings that all worktrees and your checkout share changed during this run: {}",
            list(&changes)
        )
    })
}

pub(super) fn files(before: &SharedState, after: &SharedState, common: &Path) -> Option<String> {
    let names = changed_names(&before.files, &after.files);
    (!names.is_empty()).then(|| {
        format!(
            "files of git that all worktrees and your checkout share changed during this run: {} in {}; look at them before you use git there",
            list(&names),
            common.display()
        )
    })
}

fn changed_names<T: PartialEq>(
    before: &BTreeMap<String, T>,
    after: &BTreeMap<String, T>,
) -> Vec<String> {
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let changed = names
        .into_iter()
        .filter(|it| before.get(*it) != after.get(*it));
    changed.cloned().collect()
}

pub(super) fn stash(
    before: &SharedState,
    after: &SharedState,
    repository: &Path,
) -> Option<String> {
    if before.stash == after.stash && before.stash_used == after.stash_used {
        return None;
    }
    let without = |these: &[String], those: &[String]| -> Vec<String> {
        let rest = these.iter().filter(|it| !those.contains(it));
        rest.map(|it| short(it).to_owned()).collect()
    };
    let new = without(&after.stash, &before.stash);
    let gone = without(&before.stash, &after.stash);
    let mut parts = Vec::new();
    if !new.is_empty() {
        parts.push(format!("new {}", list(&new)));
    }
    if !gone.is_empty() {
        parts.push(format!("gone {}", list(&gone)));
    }
    if parts.is_empty() {
        parts.push("used, with the same entries before and after".to_owned());
    }
    Some(format!(
        "the stash, which all worktrees and your checkout share, changed during this run: {}; runs that stash side by side take each other's changes, so look at the diff of this task (git -C {} stash list; git stash apply COMMIT gets an entry back)",
        parts.join(", "),
        quoted(&repository.to_string_lossy())
    ))
}

/// Branches, tags and the like that were moved or removed so that commits lost their reference, or that this run
/// moved to its own commits; and new branches.
pub(super) async fn references(
    git: &Git,
    record: &Worktree,
    (before, after): (&SharedState, &SharedState),
    tip: &str,
) -> Vec<String> {
    let at = At::Bare(&record.common_dir);
    let (mut new, mut moved, mut replaced) = (Vec::new(), Vec::new(), Vec::new());
    for name in changed_names(&before.references, &after.references) {
        let shown = name.strip_prefix("refs/heads/").unwrap_or(&name);
        let (old, now) = (before.references.get(&name), after.references.get(&name));
        if let Some(object) = name.strip_prefix("refs/replace/") {
            replaced.push(match (old, now) {
                (None, Some(now)) => {
                    format!(
                        "{object} by {} (git replace -d {object} takes it back)",
                        short(now)
                    )
                }
                (Some(old), None) => {
                    format!(
                        "{object} no longer by {old} (git replace {object} {old} takes it back)"
                    )
                }
                _ => format!(
                    "{object} by another one than before (git replace -d {object} removes it)"
                ),
            });
            continue;
        }
        match (old, now) {
            (None, Some(_))
                if name.starts_with("refs/tags/") || name.starts_with("refs/notes/") => {}
            (None, Some(now)) => new.push(format!("{shown} at {}", short(now))),
            (Some(old), None) => moved.push(format!("{shown} is gone, it was at {old}")),
            (Some(old), Some(now)) => {
                let is_in = async |one: &str, other: &str| {
                    let args = ["merge-base", "--is-ancestor", one, other];
                    git.holds(at, &args).await.unwrap_or(false)
                };
                let forward = is_in(old, now).await;
                // A person who commits moves a branch forward, too.
                if !forward || (is_in(now, tip).await && !is_in(now, &record.base).await) {
                    moved.push(format!("{shown} was at {old}, and is at {}", short(now)));
                }
            }
            (None, None) => {}
        }
    }
    let mut output = Vec::new();
    if !replaced.is_empty() {
        output.push(format!(
            "objects of the repository were replaced by others during this run, for all worktrees and your checkout: {}; kirosu's own calls of git go by the objects themselves",
            list(&replaced)
        ));
    }
    if !moved.is_empty() {
        output.push(format!(
            "branches of the repository changed during this run: {}; git branch NAME COMMIT brings one back under another name",
            list(&moved)
        ));
    }
    if !new.is_empty() {
        output.push(format!(
            "new branches of the repository since this run began: {}; apply does not take them along",
            list(&new)
        ));
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(key: &str, value: &str) -> SharedState {
        let mut shared = SharedState::default();
        let place = ("local".to_owned(), key.to_owned());
        shared.settings.insert(place, vec![value.to_owned()]);
        shared
    }

    #[test]
    fn a_changed_setting_is_shown_with_the_way_back_and_no_secret_is_shown() {
        let common = Path::new("/r/.git");
        let (ada, bot) = (with("user.name", "Ada L"), with("user.name", "Bot"));
        let output = settings(&ada, &bot, common).unwrap();
        assert!(
            output.contains("git --git-dir=/r/.git config user.name 'Ada L'"),
            "{output}"
        );
        let output = settings(&SharedState::default(), &with("core.bare", "true"), common).unwrap();
        assert!(output.contains("--unset-all core.bare"), "{output}");
        let output = settings(
            &with("remote.o.url", "a"),
            &with("remote.o.url", "https://secret@x"),
            common,
        );
        assert!(!output.unwrap().contains("secret"));
        assert_eq!(settings(&ada, &ada, common), None);
    }

    #[test]
    fn a_stash_that_was_used_is_seen_when_it_is_empty_again() {
        let entry = |time| SharedState {
            stash_used: vec![
                None,
                Some(std::time::UNIX_EPOCH + std::time::Duration::from_secs(time)),
            ],
            ..SharedState::default()
        };
        assert!(stash(&entry(1), &entry(2), Path::new("/r")).is_some());
        assert_eq!(stash(&entry(1), &entry(1), Path::new("/r")), None);
    }
}
