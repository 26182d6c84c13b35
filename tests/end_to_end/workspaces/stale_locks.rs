//! Locks of what all worktrees share, which a dead git left: old ones that no process can hold are removed.

use crate::workspaces::field::Field;
use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

const LOCKS: [&str; 3] = ["packed-refs.lock", "config.lock", "HEAD.lock"];

/// Creates locks that are `age` seconds old.
fn locks(field: &Field, seconds: u64) -> Vec<PathBuf> {
    let folder = field.repository().join(".git");
    let made = SystemTime::now() - Duration::from_secs(seconds);
    let paths = LOCKS.map(|name| folder.join(name));
    for path in &paths {
        File::create(path).unwrap().set_modified(made).unwrap();
    }
    paths.to_vec()
}

fn there(locks: &[PathBuf]) -> usize {
    locks.iter().filter(|it| it.exists()).count()
}

#[test]
fn old_locks_of_the_repository_keep_neither_tasks_nor_people() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    field.git("pack-refs --all");
    let stale = locks(&field, 600);
    let hub = field.start("");
    let id = hub.done("echo two > a.txt");
    assert_eq!(there(&stale), 0);
    let stale = locks(&field, 600);
    hub.cli(&format!("apply {id}"));
    assert_eq!(there(&stale), 0);
    let stale = locks(&field, 600);
    let removed = hub.cli("workspaces --prune");
    assert!(removed.starts_with("removed 1 worktree"), "{removed}");
    assert_eq!(there(&stale), 0);
}

#[test]
fn a_lock_that_is_young_or_may_be_held_stays() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    let hub = field.start("");
    let id = hub.done("echo two > a.txt");
    let young = locks(&field, 5);
    let said = hub.refused(&format!("apply {id}"));
    assert!(said.contains("HEAD.lock"), "{said}");
    assert_eq!(there(&young), 3);
    // Old ones, one of which a process that is no git has open.
    let old = locks(&field, 600);
    let open = File::open(&old[2]).unwrap();
    let said = hub.refused(&format!("apply {id}"));
    assert!(said.contains("HEAD.lock") && old[2].exists(), "{said}");
    drop(open);
    // A git that started after the locks were made cannot hold them.
    let living = field.living_git();
    hub.cli(&format!("apply {id}"));
    assert!(!old[2].exists());
    drop(living);
}
