//! The surroundings of a hub at one level: its settings, a repository, a cgroup.

use super::level::Level;
use crate::agents::programs::{GOOSE, Program};
use crate::agents::user::{NAME_OF_NOBODY, NOBODY, is_root};
use crate::agents::world::World;
use serde_json::json;
use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The children that a task may have.
pub const CHILDREN: u64 = 3;

/// Removes a cgroup and those below it, where they have no process.
pub fn remove(group: &Path) {
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    for path in entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
    {
        remove(&path);
    }
    let _ = fs::remove_dir(group);
}

/// Whether the test can give hubs cgroups.
pub fn can_have_groups() -> bool {
    let cgroups = kirosu_providers::Cgroups::expected();
    let why = cgroups
        .missing()
        .or_else(|| (!is_root()).then_some("the test is not root"));
    why.inspect(|why| eprintln!("not tested: processes that leave their cgroup: {why}"))
        .is_none()
}

/// A cgroup of version 2 for one hub, as systemd delegates one to a service of a user. `None`: the test may make none.
pub fn group(level: Level) -> Option<PathBuf> {
    if !can_have_groups() {
        return None;
    }
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    let mut mounts = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    let mount = mounts.find(|words| words[2] == "cgroup2")?;
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let group = Path::new(mount[1])
        .join(own)
        .join(format!("breakout-{}-{number}", std::process::id()));
    fs::create_dir(&group).ok()?;
    if !level.user {
        for file in ["", "cgroup.procs", "cgroup.subtree_control"] {
            chown(group.join(file), Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
    Some(group)
}

pub fn has_worktree(program: Program, level: Level) -> bool {
    program.name == "codex" && !level.user
}

pub fn settings(
    world: &World,
    program: Program,
    level: Level,
    home: &Path,
    homes: [&PathBuf; 2],
) -> String {
    let mut bounds = String::new();
    if level.sandbox {
        bounds.push_str("sandbox = \"workspace\"\n");
    }
    if level.user {
        bounds.push_str(&format!("user = \"{NAME_OF_NOBODY}\"\n"));
    }
    let folder = match has_worktree(program, level) {
        false => "workspace = \"isolated\"".to_owned(),
        true => format!(
            "workspace = \"worktree\"\nworkdir = {}",
            json!(home.join("repository"))
        ),
    };
    let [own, neighbour] = homes;
    let mut providers = vec![program, GOOSE];
    providers.dedup_by_key(|it| it.name);
    let providers: String = providers
        .iter()
        .map(|it| format!("[providers.{}]\nkind = \"command\"\n{}\n", it.name, it.keys))
        .collect();
    format!(
        "data_dir = {}\n[log]\nfile = {}\n[gateway]\nenabled = true\nport = 0\n[store]\ndurability = \"normal\"\n\
         [children]\ndepth = 1\nper_task = {CHILDREN}\nqueues = [\"tries\", \"kids\"]\n{providers}\
         [[pool]]\nname = \"tries\"\nqueues = [\"tries\"]\nsize = 2\nprovider = \"{}\"\ntrust_all_tools = true\n{folder}\n{bounds}env = {}\n\
         [[pool]]\nname = \"neighbour\"\nqueues = [\"neighbour\"]\nsize = 1\nprovider = \"goose\"\ntrust_all_tools = true\nworkspace = \"isolated\"\n{bounds}env = {}\n\
         [[pool]]\nname = \"spare\"\nsize = 0\nprovider = \"echo\"\nqueues = [\"spare\"]\n",
        json!(home.join("data")),
        json!(home.join("kirosu.log")),
        program.name,
        program.environment(own, &world.url),
        GOOSE.environment(neighbour, &world.url),
    )
}

pub fn make_repository(folder: &Path) {
    fs::create_dir(folder).unwrap();
    let git = |args: &[&str]| {
        let person = ["-c", "user.name=ada", "-c", "user.email=ada@example.org"];
        let mut command = Command::new("git");
        let done = command.current_dir(folder).args(person).args(args);
        assert!(done.status().unwrap().success());
    };
    git(&["init", "-q", "-b", "main"]);
    fs::write(folder.join("README"), "a project\n").unwrap();
    git(&["add", "-A"]);
    git(&["commit", "-qm", "begin"]);
}
