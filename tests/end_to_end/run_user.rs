//! `user` of a pool: its runs have another user than the hub.

use crate::bounds::{ended, enqueue, setup};
use crate::common::{Setup, until};
use kirosu_providers::RunUser;
use std::fs;
use std::os::unix::fs::PermissionsExt;

const USER: &str = "nobody";

/// Whether this process may not run programs as another user, which the test then reports.
pub fn cannot() -> bool {
    let missing = RunUser::missing_rights();
    if !missing.is_empty() {
        eprintln!("skipped: this process lacks {}", missing.join(", "));
    }
    !missing.is_empty()
}

/// A pool of shell scripts of another user, with a data folder in a folder that it may pass.
fn of_another_user() -> Setup {
    let setup = setup();
    let folder = setup.directory.path();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o711)).unwrap();
    let data = format!("data_dir={}", folder.join("data").display());
    setup.set(&data).set(&format!("pool.p.user={USER}"))
}

#[test]
fn a_run_has_the_user_its_home_and_folder_and_cannot_read_the_hubs_files() {
    if cannot() {
        return;
    }
    let setup = of_another_user()
        .set("pool.p.workspace=ephemeral")
        .environment("XDG_RUNTIME_DIR", "/run/user/0");
    let hub = setup.start();
    let data = setup.directory.path().join("data");
    fs::write(data.join("secret"), "secret").unwrap();
    fs::set_permissions(data.join("secret"), fs::Permissions::from_mode(0o600)).unwrap();
    let script = format!(
        "id -un; id -G | wc -w; echo $HOME $USER ${{XDG_RUNTIME_DIR-none}}; echo x >mine && stat -c %U . mine; echo out >/dev/stdout; cat {0}/secret {0}/hub.key {1} 2>/dev/null || echo closed; ls {0} 2>/dev/null || echo unlisted",
        data.display(),
        setup.database().display()
    );
    let task = ended(&hub, enqueue(&hub, &script));
    assert_eq!(task["status"], "done", "{task}");
    let expected =
        format!("{USER}\n1\n/nonexistent {USER} none\n{USER}\n{USER}\nout\nclosed\nunlisted");
    assert_eq!(task["result"], expected);
}

#[test]
fn a_run_can_read_and_replace_results_of_steps_in_its_folder() {
    if cannot() {
        return;
    }
    let setup = of_another_user().set("pool.p.workspace=isolated");
    let hub = setup.set("pool.p.size=1").start();
    let plan = "
pipeline:
  - { id: a, pool: p, prompt: 'echo text' }
  - id: b
    pool: p
    depends_on: [a]
    prompt: 'f={{ steps.a.file }}; cat $f; stat -c \"%U %a\" .kirosu .kirosu/results $f; mkdir .kirosu/plans; rm $f'
  - { id: c, pool: p, depends_on: [b], prompt: 'cat {{ steps.a.file }}' }
";
    let run = hub
        .client()
        .enqueue_with(serde_json::json!({"type": "plan", "prompt": plan}));
    let run = ended(&hub, run);
    assert_eq!(run["status"], "done", "{run}");
    assert_eq!(run["result"], "text");
    let tasks = hub
        .client()
        .call("list", serde_json::json!({"parent_id": run["task_id"]}));
    let expected = format!("text{USER} 755\n{USER} 755\n{USER} 444");
    assert_eq!(tasks["tasks"][1]["result"], expected);
}

#[test]
fn a_run_of_another_user_is_ended_at_its_time_limit() {
    if cannot() {
        return;
    }
    let setup = of_another_user()
        .set("pool.p.workspace=isolated")
        .set("pool.p.timeout=2s");
    let hub = setup.start();
    let id = enqueue(
        &hub,
        "echo $$ >pid; trap '' TERM; sleep 600 & wait; sleep 600",
    );
    let pids = until("the run", || {
        let found = setup
            .directory
            .path()
            .join("data/workspaces/p/session-1/pid");
        let other = setup
            .directory
            .path()
            .join("data/workspaces/p/session-2/pid");
        fs::read_to_string(found)
            .or_else(|_| fs::read_to_string(other))
            .ok()
    });
    let task = ended(&hub, id);
    assert_eq!(task["outcome"], "timeout", "{task}");
    assert!(!std::path::Path::new("/proc").join(pids.trim()).exists());
}

#[test]
fn a_folder_that_the_user_cannot_use_stops_the_pool_with_the_reason() {
    if cannot() {
        return;
    }
    let setup = of_another_user();
    let closed = setup.directory.path().join("closed");
    fs::create_dir(&closed).unwrap();
    let hub = setup
        .set(&format!("pool.p.workdir={}", closed.display()))
        .start();
    until("the reason", || {
        let found = hub.cli(&["pool", "list"]);
        let text = String::from_utf8_lossy(&found.stdout).into_owned();
        text.contains("user nobody may not write to").then_some(())
    });
}

#[test]
fn a_user_that_does_not_exist_or_may_not_be_used_is_refused_at_the_start() {
    let setup = setup().set("pool.p.user=no-such-user-here");
    let (status, _, error) = setup.run();
    assert!(!status.success());
    assert!(
        error.contains("there is no user \"no-such-user-here\""),
        "{error}"
    );
    if cannot() {
        return;
    }
    let nobody = [
        "setpriv",
        "--reuid",
        "65534",
        "--regid",
        "65534",
        "--clear-groups",
    ];
    let setup = crate::bounds::setup()
        .set("pool.p.user=daemon")
        .under(&nobody);
    std::os::unix::fs::chown(setup.directory.path(), Some(65534), Some(65534)).unwrap();
    let (status, _, error) = setup.run();
    assert!(!status.success());
    assert!(
        error.contains("only root may run programs as \"daemon\""),
        "{error}"
    );
}
