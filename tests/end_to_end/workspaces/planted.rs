//! Git of Kirosu runs nothing that a tree or an agent brings. Each program that is planted here leaves a mark.

use super::field::{Agents, Field, git};
use crate::common::Hub;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The file that every planted program makes.
fn mark(field: &Field) -> PathBuf {
    field.setup.directory.path().join("MARK")
}

/// A filter that leaves the mark.
fn evil(field: &Field) -> String {
    format!("cat /proc/$PPID/cmdline >> {}; cat", mark(field).display())
}

fn unmarked(field: &Field, what: &str) {
    let found = std::fs::read_to_string(mark(field));
    assert!(found.is_err(), "after {what}: {found:?}");
}

/// A pool that works in the repository itself.
fn shared(field: &Field) -> Agents {
    let hub: Hub = field
        .configured("", "size=1")
        .set("pool.p.workspace=shared")
        .start();
    Agents { hub }
}

/// A task whose changes are checked.
fn checked(agents: &Agents, script: &str) -> Value {
    let id = agents.enqueue(json!({"prompt": script, "accept": {"diff": true}}));
    agents.ended(id)
}

/// The commands for a task's worktree, one after the other.
fn looked_at(agents: &Agents, field: &Field, id: i64) {
    for words in [
        "workspaces".to_owned(),
        format!("diff {id} --stat"),
        format!("diff {id}"),
        format!("apply {id} --check"),
        format!("apply {id}"),
        format!("diff {id} --stat"),
        "workspaces --prune".to_owned(),
        format!("discard {id}"),
    ] {
        agents.run(&words);
        unmarked(field, &words);
    }
}

/// A repository with one file.
fn field() -> Field {
    let field = Field::new().file("f", "x\n").file("k", "keep\n");
    field.commit("start");
    field
}

#[test]
fn a_filter_whose_name_has_an_equals_sign_does_not_run_for_accept_diff() {
    let field = field();
    let agents = shared(&field);
    let evil = evil(&field);
    let task = checked(
        &agents,
        &format!(
            "printf '[filter \"a=b\"]\\n\\tclean = \"{evil}\"\\n' >> .git/config\necho '* filter=a=b' > .gitattributes\n"
        ),
    );
    assert_eq!(task["status"], "done", "{task}");
    unmarked(&field, "accept.diff");
    let task = checked(&agents, "true");
    assert!(task.to_string().contains("the diff is empty"), "{task}");
    unmarked(&field, "accept.diff");
}

#[test]
fn a_nested_repository_is_not_entered_for_accept_diff() {
    let field = field();
    let agents = shared(&field);
    let evil = evil(&field);
    let make = "mkdir sub; cd sub; git init -q -b main .; echo 1 > s; git add s; git -c user.name=a -c user.email=a@b commit -qm s; cd ..; git add sub 2>/dev/null";
    let task = checked(&agents, make);
    assert_eq!(task["status"], "done", "{task}");
    let arm = format!(
        "printf '[filter \"ev\"]\\n\\tclean = \"{evil}\"\\n' >> sub/.git/config; echo 's filter=ev' > sub/.gitattributes; printf '[submodule \"sub\"]\\n\\tpath = sub\\n\\turl = ./sub\\n\\tignore = none\\n' > .gitmodules; sleep 1; echo 2 > sub/s"
    );
    let task = checked(&agents, &arm);
    assert_eq!(task["status"], "done", "{task}");
    unmarked(&field, "accept.diff");
    // Files of the nested repository count, and its commits.
    for change in [
        "echo 3 > sub/s",
        "cd sub; git config --remove-section filter.ev; git -c user.name=a -c user.email=a@b commit -qam t",
    ] {
        let task = checked(&agents, change);
        assert_eq!(task["status"], "done", "{change}: {task}");
    }
    let task = checked(&agents, "true");
    assert!(task.to_string().contains("the diff is empty"), "{task}");
}

#[test]
fn a_missing_object_is_not_fetched_for_accept_diff() {
    let field = field();
    let agents = shared(&field);
    let mark = mark(&field);
    let plant = format!(
        "printf '[core]\\n\\trepositoryformatversion = 1\\n[extensions]\\n\\tpartialClone = ev\\n[remote \"ev\"]\\n\\turl = /nonexistent\\n\\tpromisor = true\\n\\tuploadpack = \"echo > {}; false\"\\n[protocol \"file\"]\\n\\tallow = always\\n' >> .git/config\nh=$(git hash-object k); rm -f .git/objects/$(echo $h | cut -c1-2)/$(echo $h | cut -c3-)\necho y > f\n",
        mark.display()
    );
    let task = checked(&agents, &plant);
    assert_eq!(task["status"], "done", "{task}");
    unmarked(&field, "accept.diff");
}

#[test]
fn an_index_in_two_files_and_ignored_files_are_compared() {
    let field = field().file(".gitignore", "*.log\n").file("sub/a", "a\n");
    field.commit("more");
    field.git("update-index --split-index");
    let agents = shared(&field);
    for (script, changes) in [
        ("true", false),
        ("echo noise > build.log", false),
        ("echo b > sub/b", true),
        ("rm f", true),
        ("chmod +x k", true),
    ] {
        let task = checked(&agents, script);
        let status = if changes { "done" } else { "failed" };
        assert_eq!(task["status"], status, "{script}: {task}");
    }
}

#[test]
fn a_nested_repository_of_a_worktree_is_not_entered_by_people() {
    let field = field();
    let agents = field.start("size=1");
    let evil = evil(&field);
    let id = agents.done(&format!(
        "mkdir -p vendor/lib; cd vendor/lib; git init -q -b main .; echo 1 > s; git add s; git -c user.name=a -c user.email=a@b commit -qm s\nprintf '[filter \"ev\"]\\n\\tclean = \"{evil}\"\\n' >> .git/config; echo 's filter=ev' > .gitattributes; sleep 1; echo 2 > s\ncd ../..; printf '[submodule \"vendor/lib\"]\\n\\tpath = vendor/lib\\n\\turl = ./vendor/lib\\n\\tignore = none\\n' > .gitmodules; echo y > f"
    ));
    unmarked(&field, "the run");
    looked_at(&agents, &field, id);
}

/// Settings whose programs git runs in some call, with their values; `{evil}` is a filter, `{run}` a program.
const KEYS: &[(&str, &str)] = &[
    ("filter.ev.clean", "{evil}"),
    ("filter.ev.smudge", "{evil}"),
    ("filter.ev.process", "{evil}"),
    ("filter.a=b.clean", "{evil}"),
    ("filter.a=b.smudge", "{evil}"),
    ("merge.ev.driver", "{run}"),
    ("diff.ev.textconv", "{run}"),
    ("diff.ev.command", "{run}"),
    ("diff.external", "{run}"),
    ("core.fsmonitor", "{run}"),
    ("core.hooksPath", "hooks-of-agent"),
    ("core.sshCommand", "{run}"),
    ("core.gitProxy", "{run}"),
    ("core.askPass", "{run}"),
    ("core.pager", "{run}"),
    ("core.editor", "{run}"),
    ("core.alternateRefsCommand", "{run}"),
    ("pager.diff", "{run}"),
    ("pager.status", "{run}"),
    ("gpg.program", "{run}"),
    ("gpg.ssh.program", "{run}"),
    ("merge.verifySignatures", "true"),
    ("log.showSignature", "true"),
    ("commit.gpgSign", "true"),
    ("credential.helper", "!{run}"),
    ("extensions.partialClone", "ev"),
    ("remote.ev.url", "ext::{run}"),
    ("remote.ev.promisor", "true"),
    ("remote.ev.uploadpack", "{run}"),
    ("protocol.ext.allow", "always"),
    ("submodule.recurse", "true"),
    ("status.submoduleSummary", "true"),
    ("diff.ignoreSubmodules", "none"),
    ("submodule.vendor/lib.ignore", "none"),
    ("submodule.vendor/lib.update", "!{run}"),
    ("diff.submodule", "diff"),
    ("alias.status", "!{run}"),
    ("hook.ev.command", "{run}"),
    ("hook.ev.event", "post-index-change"),
    ("core.attributesFile", "attributes-of-agent"),
    ("extensions.worktreeConfig", "true"),
];

/// The commands of an agent that plants these settings: in its repository, in a nested one, and for all files.
fn planting(field: &Field, keys: &[(&str, &str)]) -> String {
    let run = field.setup.directory.path().join("run-evil");
    std::fs::write(
        &run,
        format!(
            "#!/bin/sh\ncat /proc/$PPID/cmdline >> {}\ncat\n",
            mark(field).display()
        ),
    )
    .unwrap();
    let program = std::process::Command::new("chmod")
        .args(["+x", &run.to_string_lossy()])
        .status();
    assert!(program.unwrap().success());
    let mut script = String::from(
        "mkdir -p vendor/lib hooks-of-agent; cd vendor/lib; git init -q -b main .; echo 1 > s; git add s; git -c user.name=a -c user.email=a@b commit -qm s; cd ../..\n\
         printf '* filter=ev merge=ev diff=ev\\nk filter=a=b\\n' | tee .gitattributes attributes-of-agent > vendor/lib/.gitattributes\n\
         printf '[submodule \"vendor/lib\"]\\n\\tpath = vendor/lib\\n\\turl = ./vendor/lib\\n\\tignore = none\\n\\tupdate = checkout\\n' > .gitmodules\n\
         echo y > f; echo z > new; echo 2 > vendor/lib/s\n",
    );
    let hooks = [
        "pre-commit",
        "post-commit",
        "post-checkout",
        "post-index-change",
        "reference-transaction",
        "post-merge",
        "pre-merge-commit",
    ];
    let common = "$(git rev-parse --git-common-dir)";
    for hook in hooks {
        script += &format!(
            "mkdir -p {common}/hooks; cp {0} {common}/hooks/{hook}; cp {0} hooks-of-agent/{hook}; cp {0} vendor/lib/.git/hooks/{hook} 2>/dev/null || true\n",
            run.display()
        );
    }
    // Written last and by hand: git of the agent must not run them either.
    for file in [
        "vendor/lib/.git/config",
        "$(git rev-parse --git-common-dir)/config",
    ] {
        script += &format!("file={file}\n");
        for (key, value) in keys {
            let value = value
                .replace("{evil}", &evil(field))
                .replace("{run}", &run.display().to_string());
            script += &format!("git config -f $file '{key}' '{value}'\n");
        }
    }
    script
}

#[test]
fn every_dangerous_setting_of_a_run_is_without_effect() {
    let field = field();
    let agents = field.start("size=1");
    let id = agents.done(&planting(&field, KEYS));
    unmarked(&field, "the run");
    looked_at(&agents, &field, id);
    // A further run in the repository that is full of them.
    let id = agents.enqueue(json!({"prompt": "echo more > more"}));
    agents.ended(id);
    unmarked(&field, "a further run");
    looked_at(&agents, &field, id);
}

/// A small generator of numbers, so that a failure can be repeated.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % below as u64).unwrap()
    }
}

#[test]
fn random_dangerous_settings_are_without_effect() {
    let seed = std::env::var("PLANTED_SEED").ok();
    let seed = seed.and_then(|it| it.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()) | 1 << 40);
    println!("PLANTED_SEED={seed}");
    let mut numbers = Numbers(seed);
    for round in 0..3 {
        let keys: Vec<_> = (0..=numbers.next(6))
            .map(|_| KEYS[numbers.next(KEYS.len())])
            .collect();
        let what = format!("round {round} with {keys:?}");
        let field = field();
        if numbers.next(2) == 0 {
            let agents = field.start("size=1");
            let id = agents.enqueue(json!({"prompt": planting(&field, &keys)}));
            agents.ended(id);
            unmarked(&field, &what);
            looked_at(&agents, &field, id);
        } else {
            let agents = shared(&field);
            checked(&agents, &planting(&field, &keys));
            unmarked(&field, &what);
            checked(&agents, "echo more > more; echo 3 > vendor/lib/s");
            unmarked(&field, &what);
        }
    }
}

/// A repository whose files are in capitals in the work tree, by a filter of the person's.
fn capital() -> Field {
    let field = Field::new()
        .file(".gitattributes", "*.txt filter=big\n")
        .file("a.txt", "ONE\n");
    spaced(&field, "filter.big.clean", "tr A-Z a-z");
    spaced(&field, "filter.big.smudge", "tr a-z A-Z");
    field.git("config filter.big.required true");
    field.commit("start");
    field
}

fn spaced(field: &Field, key: &str, value: &str) {
    let done = std::process::Command::new("git")
        .args(["config", key, value])
        .current_dir(field.repository())
        .status();
    assert!(done.unwrap().success());
}

fn is_small(repository: &Path, name: &str) -> bool {
    let shown = git(repository, &format!("show {name}")).stdout;
    !shown.is_empty() && !shown.iter().any(u8::is_ascii_uppercase)
}

#[test]
fn a_persons_filter_runs_and_one_that_a_run_has_set_does_not_until_a_person_sets_it() {
    let field = capital();
    let agents = field.start("size=1");
    let id = agents.done("grep ONE a.txt; echo TWO > b.txt");
    assert!(is_small(
        &field.repository(),
        &format!("kirosu/task-{id}:b.txt")
    ));
    // As after an update from a version that kept no list: the filter is used.
    let data = field.setup.directory.path().join("data/workspaces");
    let list = data.join(".programs.json");
    std::fs::rename(&list, list.with_extension("aside")).unwrap();
    std::fs::write(data.join(format!("p/task-{id}/a.txt")), "ONE\n").unwrap();
    let shown = agents.cli(&format!("diff {id}"));
    assert!(
        shown.contains("+two") && !shown.contains("a.txt"),
        "{shown}"
    );
    std::fs::rename(list.with_extension("aside"), &list).unwrap();
    agents.cli(&format!("apply {id}"));
    assert_eq!(field.read("b.txt"), "TWO\n");

    // A run replaces a filter, and sets one of its own.
    let evil = evil(&field);
    let id = agents.done(&format!(
        "git config filter.big.smudge '{evil}'; git config filter.ev.clean '{evil}'; printf '*.txt filter=big\\n*.c filter=ev\\n' > .gitattributes; echo THREE > c.txt; echo int > d.c"
    ));
    unmarked(&field, "the run");
    let printed = agents.get(id)["printed"].to_string();
    assert!(
        printed.contains("not used by Kirosu: filter.big.smudge, filter.ev.clean"),
        "{printed}"
    );
    agents.cli(&format!("apply {id}"));
    assert_eq!(field.read("c.txt"), "THREE\n", "the known filter wrote it");
    let id = agents.done("cat a.txt b.txt c.txt; echo x > e.c");
    unmarked(&field, "a further run");
    let task = agents.get(id);
    assert_eq!(task["result"], "ONE\nTWO\nTHREE", "{task}");
    let pool = format!(
        "--set providers.shell.kind=command --set providers.shell.command=[\"sh\"] --set pool.p.provider=shell --set pool.p.workspace=worktree --set pool.p.workdir={}",
        field.repository().display()
    );
    let found = agents.run(&format!("doctor {pool}"));
    let found = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(
        found.contains("filter.ev.clean") && found.contains("set them again"),
        "{found}"
    );

    // The person wants it.
    field.git("config --unset filter.ev.clean");
    agents.done("true");
    spaced(&field, "filter.ev.clean", "tr x y");
    let id = agents.done("echo x > g.c");
    let shown = field.git(&format!("show kirosu/task-{id}:g.c"));
    assert_eq!(shown, "y");
}
