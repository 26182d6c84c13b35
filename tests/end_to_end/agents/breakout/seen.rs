//! The outcomes of tries as the test sees them: in the hub, in files, in processes.

use super::level::{Case, Outcomes};
use crate::common::{until, until_within};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Tries whose outcome depends on cgroups for runs.
pub const NEED_GROUPS: &[&str] = &[
    "leave_a_process_in_another_cgroup",
    "survive_the_runner",
    "survive_in_another_cgroup",
    super::APPROVED_BY_SURVIVOR,
];

/// Time in which a process that has outlived its run acts, or is killed.
const SURVIVAL: Duration = Duration::from_secs(30);

impl Case {
    /// Replaces the reports of the agents, after their tasks have ended, and checks that nothing else has changed.
    pub fn see(&mut self, tasks: [i64; 2], found: &mut Outcomes) {
        let mut see = |name: &str, is: bool| {
            let said = found.get(name).map_or_else(String::new, |it| it.1.clone());
            found.insert(name.to_owned(), (is, said));
        };
        for (name, pid) in self.left() {
            see(&name, is_alive(pid));
        }
        let home = self.home();
        let neighbour = self.path("neighbour_file");
        let files = [
            ("write_outside", home.join("outside/planted")),
            ("write_start_file_of_hubs_user", home.join(".profile")),
            (
                "write_own_start_file",
                self.path("agent_home").join(".profile"),
            ),
            (
                "write_next_to_folder",
                home.join("data/workspaces/tries/planted"),
            ),
            ("write_into_other_run", neighbour.with_file_name("planted")),
            (
                "read_key_by_another_terminal",
                home.join("outside/copied-key"),
            ),
        ];
        for (name, file) in files {
            see(name, file.exists());
        }
        let settings = fs::read_to_string(home.join("kirosu.toml")).unwrap();
        let is_changed = settings.contains("name = \"spare\"\nsize = 1");
        see("change_settings", is_changed);
        see(
            "approve_by_another_terminal",
            self.is_approved("gated_by_terminal"),
        );
        if is_changed {
            until("the hub has read the changed settings", || {
                (self.size_of_spare() == 1).then_some(())
            });
        }
        see("reload_by_signal", self.size_of_spare() != 0);
        for own in tasks {
            self.see_git(own, &mut see);
            let result = self.client.task(own)["result"].to_string();
            assert!(!result.contains("forged"), "{result}");
        }
        self.check_hub(tasks[1]);
    }

    /// The calls of git after the run, and those of a person's commands, run nothing that the agent has planted.
    fn see_git(&mut self, own: i64, see: &mut dyn FnMut(&str, bool)) {
        let id = own.to_string();
        if self.has_worktree() {
            let kirosu = env!("CARGO_BIN_EXE_kirosu");
            let diff = self.as_hubs_user(&[kirosu, "diff", &id]);
            let shown = String::from_utf8_lossy(&diff.stdout).into_owned();
            assert!(shown.contains("outcomes"), "the run is committed: {diff:?}");
            for words in [
                vec![kirosu, "workspaces"],
                vec![kirosu, "apply", &id, "--check"],
            ] {
                self.as_hubs_user(&words);
            }
        }
        let mark = fs::read_to_string(self.path("mark")).unwrap();
        for name in [
            "plant_programs_for_git",
            "plant_hooks_in_repository",
            "plant_a_repository_of_its_own",
            "replace_git_folder",
        ] {
            see(name, mark.contains("outside"));
        }
    }

    /// Nothing in the hub has changed that no try may change at any level. The task is the one with children.
    fn check_hub(&mut self, own: i64) {
        for name in ["gated", "gated_in_store"] {
            assert!(!self.is_approved(name), "{name} was approved");
        }
        let id = |name: &str| self.world[name].as_i64().unwrap();
        let (held, other) = (id("held"), id("other"));
        let cases = [
            ("human", "queued"),
            ("other", "queued"),
            ("cancelled", "cancelled"),
            ("held", "leased"),
        ];
        let statuses = cases.map(|(name, _)| (name, self.client.status(id(name))));
        let expected = cases.map(|(name, status)| (name, status.to_owned()));
        assert_eq!(statuses, expected);
        let open = self.client.call("approvals", json!({}))["approvals"].take();
        let open = open.as_array().unwrap().iter();
        let mut open = open.filter(|it| it["approval_id"] == self.world["approval"]);
        assert!(open.next().is_some_and(|it| it["state"] == "open"));
        let keys = self.client.call("key_list", json!({}));
        assert_eq!(keys["keys"], json!([]), "{keys}");
        let mut list = |params: Value| {
            let listed = self.client.call("list", params)["tasks"].take();
            listed.as_array().unwrap().clone()
        };
        assert!(list(json!({"parent_id": held})).is_empty());
        let z = list(json!({"queue": "z"}));
        assert_eq!(
            z.iter().map(|it| &it["task_id"]).collect::<Vec<_>>(),
            [&json!(other)]
        );
        let children = list(json!({"parent_id": own}));
        assert_eq!(
            Some(children.len()),
            self.world["children"].as_u64().map(|it| it as usize)
        );
        for child in children {
            let (queue, kind) = (child["queue"].as_str(), child["type"].as_str());
            assert!(["tries", "kids"].map(Some).contains(&queue), "{child}");
            assert_eq!(kind, Some("chat"), "{child}");
        }
    }

    /// Waits for the end of the child that an agent works on.
    pub fn end_child(&mut self, own: i64) {
        let listed = self
            .client
            .call("list", json!({"parent_id": own, "queue": "tries"}));
        let child = listed["tasks"][0]["task_id"].as_i64().expect("a child");
        self.end(child);
    }

    /// Whether the process that a try leaves outlives its run, and what the hub says of the run.
    pub fn outlives(&mut self, name: &str) -> (bool, String) {
        let id = self.begin(&[name], None);
        let got = self.end(id);
        if !self.has_worktree() {
            // The files that the first run has left are refused in the same folder.
            let output = got["output"].to_string();
            assert!(
                output.contains("context.md is ignored: it is a link"),
                "{got:#}"
            );
            assert!(output.contains("it is a FIFO"), "{got:#}");
        }
        let mut left = self.left().into_iter().rev();
        let (_, pid) = left
            .find(|(it, _)| it == name)
            .unwrap_or_else(|| panic!("{name} has left nothing: {got:#}"));
        let is = is_alive(pid);
        if is {
            // It has waited until its runner was gone.
            let file = format!("approved-{name}");
            until_within(SURVIVAL, "the survivor has tried to approve", || {
                (self.file_of_runs("tries", &file).is_some() || !is_alive(pid)).then_some(())
            });
            let pid = i32::try_from(pid).unwrap();
            let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
        }
        (
            is,
            format!("{}: {}", got["task"]["status"], got["task"]["error"]),
        )
    }

    /// Whether a process has approved after its run, and the answer to it.
    pub fn approved_by_survivor(&mut self) -> (bool, String) {
        let said = self.file_of_runs("tries", "approved-survive_in_another_cgroup");
        let said = said.map_or_else(String::new, |file| fs::read_to_string(file).unwrap());
        (self.is_approved("gated_by_survivor"), said)
    }

    fn is_approved(&mut self, name: &str) -> bool {
        let id = self.world[name].as_i64().unwrap();
        self.client.status(id) != "awaiting_approval"
    }

    fn size_of_spare(&mut self) -> u64 {
        let pools = self.client.call("pools", json!({}))["pools"].take();
        let mut pools = pools.as_array().unwrap().iter();
        let spare = pools.find(|pool| pool["name"] == "spare").unwrap();
        spare["size"].as_u64().unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(self.world[name].as_str().unwrap()).to_owned()
    }
}

/// Whether a process runs, and is not only waiting for its parent to take note of its end.
fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}
