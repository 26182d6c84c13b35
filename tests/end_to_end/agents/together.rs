//! Second attempts in a pool with worktrees: files and conversation continue together, and a conversation that the program has
//! lost starts again within the same attempt.

use crate::agents::programs::{CLAUDE, CODEX, Program, named};
use crate::agents::world::World;
use crate::agents::{AGENT_PATIENCE, path_with_programs};
use crate::common::{Client, Hub, Setup, until_within};
use serde_json::json;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// One program under a hub, with a trusted pool whose tasks have worktrees.
struct Case {
    program: Program,
    world: World,
    hub: Hub,
    client: Client,
    home: PathBuf,
    /// Holds what attempts leave outside their worktree.
    outside: PathBuf,
}

/// How the first attempt ends.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Killed,
    Timeout,
    /// Killed, and its program loses the conversation.
    Lost,
}

impl Case {
    fn start(program: Program) -> Case {
        let world = World::new(&[program.name]);
        let setup = Setup::new().up();
        let repository = setup.directory.path().join("repository");
        fs::create_dir(&repository).unwrap();
        let git = |args: &[&str]| {
            let person = ["-c", "user.name=ada", "-c", "user.email=ada@example.org"];
            let mut command = Command::new("git");
            let done = command.current_dir(&repository).args(person).args(args);
            assert!(done.status().unwrap().success());
        };
        git(&["init", "-q", "-b", "main"]);
        fs::write(repository.join("README"), "a project\n").unwrap();
        git(&["add", "-A"]);
        git(&["commit", "-qm", "begin"]);
        let home = world.folder().join("home");
        let env = program.environment(&home, &world.url);
        let name = program.name;
        // The second attempt begins late enough that a test can remove what the first one left.
        let settings = format!(
            "[retry]\ninitial = \"3s\"\n[providers.{name}]\nkind = \"command\"\n{}\n\
             [[pool]]\nname = \"p\"\nqueues = [\"p\"]\nsize = 1\nprovider = \"{name}\"\ntrust_all_tools = true\n\
             workspace = \"worktree\"\nworkdir = {}\nenv = {env}\n",
            program.keys,
            json!(repository)
        );
        fs::write(setup.directory.path().join("kirosu.toml"), settings).unwrap();
        let outside = setup.directory.path().join("outside");
        fs::create_dir(&outside).unwrap();
        let hub = setup.environment("PATH", &path_with_programs()).start();
        let client = hub.client();
        Case {
            program,
            world,
            hub,
            client,
            home,
            outside,
        }
    }

    /// Edits in the first attempt, which then ends badly; the second says whether the edit is there.
    fn run(&mut self, end: End) {
        let what = format!("{} {}", self.program.name, end as u8);
        let before = self.world.asked().len();
        let flag = self.outside.join(format!("edited-{}", end as u8));
        let shell = format!(
            "if [ -e edit ]; then echo files-are-there; elif [ -e {0} ]; then echo files-are-new; \
             else touch edit; echo $PPID > {0}; sleep 300; fi",
            flag.display()
        );
        let mut params =
            json!({"queue": "p", "prompt": self.program.call(&shell), "max_attempts": 2});
        if end == End::Timeout {
            params["timeout_seconds"] = 20.into();
        }
        let id = self.client.enqueue_with(params);
        until_within(AGENT_PATIENCE, "the first attempt edits", || {
            flag.exists().then_some(())
        });
        if end != End::Timeout {
            self.kill();
        }
        if end == End::Lost {
            until_within(AGENT_PATIENCE, "the first attempt ends", || {
                let got = self.client.call("get", json!({"task_id": id}));
                got["attempts"][0]["ended_at"].as_f64().map(drop)
            });
            self.lose();
        }
        let got = until_within(AGENT_PATIENCE, "the task ends", || {
            let got = self
                .client
                .call("get", json!({"task_id": id, "output": true}));
            let status = got["task"]["status"].as_str().unwrap_or_default();
            ["done", "failed"].contains(&status).then_some(got)
        });
        let outcome = if end == End::Timeout {
            "timeout"
        } else {
            "crashed"
        };
        assert_eq!(got["attempts"][0]["outcome"], outcome, "{what}: {got:#}");
        assert_eq!(got["task"]["status"], "done", "{what}: {got:#}");
        let result = got["task"]["result"].as_str().unwrap_or_default();
        let asked = &self.world.asked()[before..];
        let turns = asked.iter().filter_map(|it| it["turn"].as_u64()).max();
        let resumed = match turns {
            Some(1) => false,
            Some(2) => true,
            other => panic!("{what}: {other:?} turns in {asked:#?}"),
        };
        eprintln!("{what}: conversation resumed: {resumed}, {}", result.trim());
        let files = if resumed {
            "files-are-there"
        } else {
            "files-are-new"
        };
        if end != End::Lost {
            assert!(result.contains(files), "{what}: {got:#}");
        }
        assert_eq!(resumed, end != End::Lost, "{what}: {got:#}");
        // Its diff holds the work in each case.
        let diff = self.client.call("get", json!({"task_id": id}));
        eprintln!("{what}: {}", diff["task"]["status"]);
        self.world.nothing_is_left(self.hub.pid());
    }

    /// Kills the program itself with SIGKILL.
    fn kill(&self) {
        crate::agents::kill_agent(&self.world, self.hub.pid(), self.program, "command");
    }

    /// Removes all conversations of the program.
    fn lose(&self) {
        let folders: &[&str] = match self.program.name {
            "codex" => &["codex/sessions"],
            "claude" => &["claude/projects"],
            "gemini" => &[".gemini/tmp"],
            "qwen" => &[".qwen/projects", ".qwen/tmp"],
            "opencode" => &[".local/share/opencode"],
            name => panic!("where {name} keeps conversations is unknown"),
        };
        let mut removed = false;
        for folder in folders {
            removed |= fs::remove_dir_all(self.home.join(folder)).is_ok();
        }
        assert!(removed, "{folders:?} in {}", self.home.display());
    }
}

fn holds(program: Program, ends: &[End]) {
    let mut case = Case::start(program);
    for end in ends {
        case.run(*end);
    }
}

#[test]
fn codex_finds_files_and_conversation_together() {
    holds(CODEX, &[End::Killed, End::Lost]);
}

#[test]
fn claude_finds_files_and_conversation_together() {
    holds(CLAUDE, &[End::Killed, End::Timeout]);
}

/// The rest, for `make agents-all`.
#[test]
fn others_find_files_and_conversation_together() {
    let wanted = std::env::var("KIROSU_TEST_AGENTS").unwrap_or_default();
    for program in wanted.split_whitespace().map(named) {
        if !program.resumes || !program.early {
            continue;
        }
        let all = [End::Killed, End::Timeout, End::Lost];
        std::thread::spawn(move || holds(program, &all))
            .join()
            .unwrap();
    }
}
