//! A repository, a hub with a pool on it, and an agent that runs its prompt as a shell script.

use crate::common::{Hub, Setup, until};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// Ends with its standard input.
pub struct LivingGit(Child);

impl Drop for LivingGit {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// A repository, and the hub's files.
pub struct Field {
    pub setup: Setup,
}

impl Field {
    pub fn new() -> Field {
        let field = Field {
            setup: Setup::new().up(),
        };
        field.git("init -q -b main .");
        field.git("config user.name Person");
        field.git("config user.email person@example.org");
        field
    }

    pub fn repository(&self) -> PathBuf {
        let path = self.setup.directory.path().join("repo");
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    pub fn file(self, name: &str, text: &str) -> Field {
        let path = self.repository().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.repository().join(name)).unwrap()
    }

    /// The trimmed output of git.
    pub fn git(&self, words: &str) -> String {
        let output = git(&self.repository(), words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {words}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Commits all there is; the new commit.
    pub fn commit(&self, message: &str) -> String {
        self.git("add -A");
        self.git(&format!("commit -q -m {message}"));
        self.git("rev-parse HEAD")
    }

    /// A git that is at work in the repository until it is dropped.
    pub fn living_git(&self) -> LivingGit {
        let child = Command::new("git")
            .args(["hash-object", "--stdin"])
            .current_dir(self.repository())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let comm = format!("/proc/{}/comm", child.id());
        until("git has started", || {
            (std::fs::read_to_string(&comm).ok()?.trim() == "git").then_some(())
        });
        LivingGit(child)
    }

    /// Names of the folders that the pool has.
    pub fn worktrees(&self) -> Vec<String> {
        let pool = self.setup.directory.path().join("data/workspaces/p");
        let mut names: Vec<String> = std::fs::read_dir(pool)
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.path().is_dir())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// `kirosu up` with a pool on the repository; keys of the pool, one a line.
    pub fn start(&self, pool: &str) -> Agents {
        self.start_in("", pool)
    }

    pub fn start_in(&self, folder: &str, pool: &str) -> Agents {
        let hub = self.configured(folder, pool).start();
        Agents { hub }
    }

    pub fn configured(&self, folder: &str, pool: &str) -> Setup {
        let workdir = self.repository().join(folder);
        let data = self.setup.directory.path().join("data");
        let own = pool.lines();
        own.fold(self.setup.clone(), |setup, key| {
            setup.set(&format!("pool.p.{key}"))
        })
        .set(&format!("data_dir={}", data.display()))
        .set("providers.shell.kind=command")
        .set("providers.shell.command=[\"sh\", \"-e\"]")
        .set("pool.p.provider=shell")
        .set("pool.p.workspace=worktree")
        .set(&format!("pool.p.workdir={}", workdir.display()))
        .set("lease.session_grace=1s")
        .set("retry.initial=10ms")
    }
}

/// Git as a person has it, with nothing of this machine's settings.
pub fn git(dir: &Path, words: &str) -> Output {
    let output = Command::new("git")
        .args(words.split_whitespace())
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output();
    output.expect("git is missing: apt install git")
}

/// The hub with its pool.
pub struct Agents {
    pub hub: Hub,
}

impl Agents {
    pub fn enqueue(&self, params: Value) -> i64 {
        let mut params = params;
        if params["max_attempts"].is_null() {
            params["max_attempts"] = json!(1);
        }
        self.hub.client().enqueue_with(params)
    }

    /// Runs a script as a task, which must end well.
    pub fn done(&self, script: &str) -> i64 {
        let id = self.enqueue(json!({ "prompt": script }));
        let task = self.ended(id);
        assert_eq!(task["status"], "done", "{task}");
        id
    }

    /// The task once it has ended, or as it is after a minute.
    pub fn ended(&self, id: i64) -> Value {
        for _ in 0..3 {
            // Shorter than a client waits for an answer.
            let wait = json!({"task_ids": [id], "timeout_seconds": 20});
            self.hub.client().call("wait", wait);
            let task = self.get(id);
            if matches!(
                task["status"].as_str(),
                Some("done" | "failed" | "cancelled")
            ) {
                return task;
            }
        }
        self.get(id)
    }

    pub fn get(&self, id: i64) -> Value {
        let got = self
            .hub
            .client()
            .call("get", json!({ "task_id": id, "output": true }));
        let mut task = got["task"].clone();
        task["attempt_list"] = got["attempts"].clone();
        task["printed"] = got["output"].clone();
        task
    }

    /// A verb of the command line, with the settings of the hub.
    pub fn run(&self, words: &str) -> Output {
        let directory = self.hub.setup.directory.path();
        let mut command = Command::new(env!("CARGO_BIN_EXE_kirosu"));
        command
            .args(words.split_whitespace())
            .arg("--set")
            .arg(format!("data_dir={}", directory.join("data").display()))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", directory)
            .env("KIRO_SWARM_PORT", self.hub.port.to_string())
            .current_dir(directory)
            .output()
            .expect("the binary starts")
    }

    /// The output of a verb, which must succeed.
    pub fn cli(&self, words: &str) -> String {
        let output = self.run(words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kirosu {words}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub fn json(&self, words: &str) -> Value {
        let text = self.cli(&format!("{words} --json"));
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"))
    }

    /// The error of a verb, which must fail with 1.
    pub fn refused(&self, words: &str) -> String {
        let output = self.run(words);
        assert_eq!(output.status.code(), Some(1), "kirosu {words}: {output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Waits until the hub's log holds a text.
    pub fn logged(&self, text: &str) {
        until(text, || self.hub.log().contains(text).then_some(()));
    }
}
