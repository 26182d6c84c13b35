//! A person with a repository and a pool of agents on it, the steps that the person takes, and the search at the end.

use super::agent::{file, script};
use super::{LEDGER, Marks, python};
use crate::workspaces::field::{Agents, Field, git};
use fastrand::Rng;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Further waits for the end of a task, each of a minute.
const WAITS: u32 = 4;

/// Marks, and where each was found.
type Found = BTreeMap<String, BTreeSet<String>>;

/// One sequence's surroundings and what is known of them.
pub struct World {
    rng: Rng,
    marks: Marks,
    field: Field,
    agents: Option<Agents>,
    tasks: Vec<i64>,
    discarded: BTreeSet<i64>,
    /// Attempts, by task and fence, whose marks were taken.
    taken: BTreeSet<(i64, i64)>,
    /// Marks that must be found in the end, with who left them.
    required: BTreeMap<String, String>,
    /// All that Kirosu printed.
    printed: String,
    /// Events in their order.
    story: Vec<String>,
    faults: Vec<String>,
}

impl World {
    pub fn new(rng: Rng) -> World {
        let field = Field::new();
        let mut world = World {
            rng,
            marks: Marks::default(),
            field,
            agents: None,
            tasks: Vec::new(),
            discarded: BTreeSet::new(),
            taken: BTreeSet::new(),
            required: BTreeMap::new(),
            printed: String::new(),
            story: Vec::new(),
            faults: Vec::new(),
        };
        world.furnish();
        world
    }

    fn root(&self) -> PathBuf {
        self.field.setup.directory.path().to_owned()
    }

    /// A repository with a submodule, ignored files and a history; a folder outside that links lead to.
    fn furnish(&mut self) {
        let root = self.root();
        for folder in ["ledgers", "outside", "lib.src"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        let lib = root.join("lib.src");
        for words in [
            "init -q -b main .",
            "config user.name L",
            "config user.email l@x",
        ] {
            assert!(git(&lib, words).status.success());
        }
        self.write(&lib.join("l.txt"), false);
        for words in ["add -A", "commit -q -m lib"] {
            assert!(git(&lib, words).status.success());
        }
        self.write(&root.join("outside/precious"), false);
        let repository = self.field.repository();
        for name in ["a.txt", "b.txt", "src/c.txt"] {
            self.write(&repository.join(name), false);
        }
        fs::write(
            repository.join(".gitignore"),
            "*.log\nbuild/\ntarget/\nsecret\n",
        )
        .unwrap();
        if self.rng.bool() {
            let add = format!(
                "-c protocol.file.allow=always submodule --quiet add {} lib",
                lib.display()
            );
            assert!(git(&repository, &add).status.success());
        }
        self.field.commit("start");
        for name in ["secret", "note.txt"] {
            if self.rng.bool() {
                self.write(&repository.join(name), true);
            }
        }
    }

    /// Writes a new mark, which must be found again from now on.
    fn write(&mut self, path: &Path, append: bool) {
        let mark = self.marks.new_mark();
        // A folder or a link that an agent's work put there is left alone.
        if path.is_dir() || path.is_symlink() || fs::create_dir_all(path.parent().unwrap()).is_err()
        {
            return;
        }
        let before = if append {
            fs::read(path).unwrap_or_default()
        } else {
            Vec::new()
        };
        let text = [before, format!("{mark}\n").into_bytes()].concat();
        if fs::write(path, text).is_ok() {
            self.required
                .insert(mark, format!("the person, in {}", path.display()));
        }
    }

    pub fn live(&mut self) -> Vec<String> {
        let size = self.rng.u8(1..3);
        self.agents = Some(self.field.start(&format!("size={size}")));
        for _ in 0..self.rng.usize(1..4) {
            self.run_tasks();
            for _ in 0..self.rng.usize(1..5) {
                self.step();
            }
        }
        self.probe();
        self.search();
        std::mem::take(&mut self.faults)
    }

    fn agents(&self) -> &Agents {
        self.agents.as_ref().unwrap()
    }

    /// One or two tasks, to their ends.
    fn run_tasks(&mut self) {
        let root = self.root();
        let mut ids = Vec::new();
        for _ in 0..self.rng.usize(1..3) {
            let attempts = self.rng.u32(1..3);
            let script = script(&mut self.rng, &mut self.marks, attempts, &root);
            let params = json!({ "prompt": script, "max_attempts": attempts });
            let id = self.agents().enqueue(params);
            self.story.push(format!("task {id}:\n{script}"));
            ids.push(id);
        }
        for id in ids {
            self.end_of(id);
            self.tasks.push(id);
        }
    }

    fn end_of(&mut self, id: i64) {
        // A machine that is busy with other work takes longer than one wait.
        let mut task = self.agents().ended(id);
        for _ in 0..WAITS {
            if !matches!(task["status"].as_str(), Some("done" | "failed")) {
                task = self.agents().ended(id);
            }
        }
        self.story.push(format!(
            "task {id} ended: {} {}",
            task["status"], task["error"]
        ));
        if !["done", "failed"].iter().any(|it| task["status"] == *it) {
            self.faults.push(format!("task {id} has no end: {task}"));
        }
        self.printed.push_str(&task.to_string());
        self.take_ledgers(id);
    }

    /// Requires the marks that the attempts of a task left behind, without those that a further attempt found and wrote
    /// over.
    fn take_ledgers(&mut self, id: i64) {
        let folder = self.root().join("ledgers");
        let fences = fs::read_dir(&folder).unwrap().filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.strip_prefix(&format!("{id}-"))?.parse::<i64>().ok()
        });
        let mut fences: Vec<i64> = fences.collect();
        // Work that a person discarded stays discarded when the task is retried.
        fences.retain(|fence| self.taken.insert((id, *fence)));
        fences.sort_unstable();
        let of_task = format!("attempt {id}-");
        for fence in fences {
            let marks = |name: String| fs::read_to_string(folder.join(name)).map(|it| found(&it));
            let left = marks(format!("{id}-{fence}")).unwrap();
            let begun = marks(format!("begin-{id}-{fence}")).unwrap_or_default();
            for mark in begun.keys().filter(|it| !left.contains_key(*it)) {
                if self
                    .required
                    .get(mark)
                    .is_some_and(|by| by.starts_with(&of_task))
                {
                    self.required.remove(mark);
                }
            }
            for mark in left.into_keys() {
                self.required
                    .entry(mark)
                    .or_insert_with(|| format!("{of_task}{fence}"));
            }
        }
    }

    /// One step of the person's.
    fn step(&mut self) {
        let task = self.tasks[self.rng.usize(..self.tasks.len())];
        let repository = self.field.repository();
        let name = file(&mut self.rng);
        match self.rng.u8(..16) {
            0..=2 => self.apply(task),
            3 => self.discard(task),
            4..=5 => {
                self.cli("workspaces --prune");
            }
            6 => self.retry(task),
            7 => self.edit_worktree(task),
            8 => self.write(&repository.join(name), true),
            9 => {
                self.write(&repository.join(name), true);
                self.git("add -A");
                self.git("commit -q -m mine");
            }
            // Git also overwrites ignored files when a branch that it checks out or merges tracks them.
            10 => self.git_that_destroys("reset -q --hard HEAD~1"),
            11 => self.git_that_destroys(&format!("checkout -q kirosu/task-{task}")),
            12 => self.git_that_destroys("checkout -q main"),
            13 => self.git(&format!("branch kirosu/task-{}/old", task + 1)),
            14 => self.git_that_destroys(&format!("merge -q --no-edit kirosu/task-{task}")),
            _ => self.write(&repository.join("secret"), true),
        }
    }

    /// A verb of Kirosu; whether it succeeded.
    fn cli(&mut self, words: &str) -> bool {
        let output = self.agents().run(words);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        self.story
            .push(format!("kirosu {words}: {}\n{said}", output.status));
        self.printed.push_str(&said);
        output.status.success()
    }

    /// Git of the person's, which may fail.
    fn git(&mut self, words: &str) {
        let output = git(
            &self.field.repository(),
            &format!("-c core.bare=false {words}"),
        );
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        self.story
            .push(format!("git {words}: {} {said}", output.status));
    }

    /// Marks that the person's own git throws away are not required any more.
    fn git_that_destroys(&mut self, words: &str) {
        let before = self.all_places();
        self.git(words);
        let after = self.all_places();
        for mark in before.keys().filter(|mark| !after.contains_key(*mark)) {
            self.required.remove(mark);
        }
    }

    /// `apply --check` and `apply` must agree.
    fn apply(&mut self, task: i64) {
        let possible = self.cli(&format!("apply {task} --check"));
        let applied = self.cli(&format!("apply {task}"));
        if possible != applied {
            let fault = format!("apply {task}: --check says {possible}, apply says {applied}");
            self.faults.push(fault);
        }
    }

    /// The person does not want what this task did.
    fn discard(&mut self, task: i64) {
        let force = if self.rng.bool() { " --force" } else { "" };
        if !self.cli(&format!("discard {task}{force}")) {
            return;
        }
        self.discarded.insert(task);
        let of_task = format!("attempt {task}-");
        let worktree = format!("worktree of {task}");
        self.required
            .retain(|_, by| !by.starts_with(&of_task) && *by != worktree);
    }

    fn retry(&mut self, task: i64) {
        if self.cli(&format!("retry {task}")) {
            self.discarded.remove(&task);
            self.end_of(task);
        }
    }

    fn edit_worktree(&mut self, task: i64) {
        let path = self.root().join(format!("data/workspaces/p/task-{task}"));
        if !path.is_dir() || path.is_symlink() {
            return;
        }
        let name = file(&mut self.rng);
        self.write(&path.join(name), true);
        if let Some(by) = self.required.get_mut(&format!("KM{:06}", self.marks.0)) {
            *by = format!("worktree of {task}");
        }
        self.story
            .push(format!("the person edits {name} in the worktree of {task}"));
        if self.rng.bool() {
            let output = git(
                &path,
                "-c user.name=P -c user.email=p@x commit -q -a -m review",
            );
            self.story
                .push(format!("and commits there: {}", output.status));
        }
    }

    /// Whatever happened to other tasks, the pool goes on.
    fn probe(&mut self) {
        let id = self
            .agents()
            .enqueue(json!({ "prompt": "true", "max_attempts": 1 }));
        let task = self.agents().ended(id);
        if task["status"] != "done" {
            let pools = self.agents().json("pool list");
            self.faults
                .push(format!("the pool does not go on: {task} {pools}"));
        }
    }

    /// Where marks are found now.
    fn all_places(&self) -> Found {
        let root = self.root();
        let words = root.join("printed");
        fs::write(&words, &self.printed).unwrap();
        let places = ["repo", "data/workspaces", "outside", "lib.src"].map(|it| root.join(it));
        let output = Command::new(python())
            .arg("-B")
            .arg(LEDGER)
            .arg("--commits")
            .arg(words)
            .args(places)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        found(&String::from_utf8_lossy(&output.stdout))
    }

    /// Every required mark is somewhere, and the place has been named.
    fn search(&mut self) {
        for id in self.tasks.clone() {
            self.cli(&format!("logs {id}"));
        }
        self.cli("workspaces --json");
        let places = self.all_places();
        let workspaces = self.root().join("data/workspaces");
        for (mark, by) in std::mem::take(&mut self.required) {
            let Some(found) = places.get(&mark) else {
                self.faults.push(format!("{mark} of {by} is gone"));
                continue;
            };
            let named =
                found
                    .iter()
                    .any(|place| match Path::new(place).strip_prefix(&workspaces) {
                        // POOL/FOLDER/..., the folder is what Kirosu names.
                        Ok(inside) => {
                            let folder: PathBuf = inside.components().take(2).collect();
                            self.printed
                                .contains(&*workspaces.join(folder).to_string_lossy())
                        }
                        Err(_) => true,
                    });
            if !named {
                self.faults.push(format!(
                    "{mark} of {by} is in {found:?}, which was not named"
                ));
            }
        }
    }

    pub fn story(&self) -> String {
        self.story.join("\n")
    }
}

fn found(text: &str) -> Found {
    let mut found = Found::new();
    for line in text.lines() {
        if let Some((mark, place)) = line.split_once('\t') {
            found
                .entry(mark.to_owned())
                .or_default()
                .insert(place.to_owned());
        }
    }
    found
}
