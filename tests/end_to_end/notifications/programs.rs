//! Targets that are programs, and the desktop.

use super::*;
use crate::common::Setup;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

fn script(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

fn hook(program: &str, more: &str) -> String {
    format!(
        "[[notify]]\nkind = \"command\"\ncommand = [\"{program}\", \"an argument\"]\nretry_initial = \"20ms\"\nretry_max = \"100ms\"\ntimeout = \"2s\"\n{more}\n"
    )
}

#[test]
fn a_program_gets_the_event_and_is_run_again_until_it_succeeds() {
    let setup = setup("");
    let folder = setup.directory.path();
    let program = script(
        folder,
        "hook.sh",
        "test -e broken && { echo no luck >&2; exit 3; }\ncat > event.json\necho \"$KIROSU_EVENT $KIROSU_EVENT_ID $KIROSU_TASK_ID $1\" > words",
    );
    let folder = folder.to_owned();
    write(&setup, &hook(&program, ""));
    // Programs run in the data folder.
    let data = folder.join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("broken"), "").unwrap();
    let setup = setup.set(&format!("data_dir={}", data.display()));
    let hub = setup.start();
    let mut client = hub.client();
    let task = fail(&mut client, json!({}));
    let target = until_failing(&mut client, "command", "exited with code 3");
    let error = target["failing"]["error"].as_str().unwrap();
    assert!(error.contains("no luck"), "{error}");
    fs::remove_file(data.join("broken")).unwrap();
    until_settled(&mut client, "command");
    let event = fs::read_to_string(data.join("event.json")).unwrap();
    let event: Value = serde_json::from_str(&event).unwrap();
    assert_eq!(event["data"]["task_id"], task);
    let words = fs::read_to_string(data.join("words")).unwrap();
    let id = event["id"].as_str().unwrap();
    assert_eq!(words, format!("failed {id} {task} an argument\n"));
}

#[test]
fn a_program_that_hangs_is_ended_with_all_it_started() {
    let setup = setup("");
    let folder = setup.directory.path().to_owned();
    let program = script(
        &folder,
        "hook.sh",
        "sleep 600 & echo $! > \"$HOME/pid\"; sleep 600",
    );
    write(&setup, &hook(&program, ""));
    let hub = setup.start();
    let mut client = hub.client();
    fail(&mut client, json!({}));
    until_failing(&mut client, "command", "did not end in time");
    let pid = fs::read_to_string(folder.join("pid")).unwrap();
    write(&setup, "");
    reload(&hub);
    until("its child is gone", || {
        (!Path::new("/proc").join(pid.trim()).exists()).then_some(())
    });
}

#[test]
fn one_notification_of_the_desktop_shows_the_events_that_wait() {
    let setup = Setup::new().environment("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere");
    let folder = setup.directory.path().to_owned();
    let text = "test -e \"$HOME/ready\" || exit 1\nprintf '%s|' \"$@\" >> \"$HOME/shown\"; echo >> \"$HOME/shown\"";
    script(&folder, "notify-send", text);
    let path = std::env::var("PATH").unwrap_or_default();
    let setup = setup.environment("PATH", &format!("{}:{path}", folder.display()));
    write(
        &setup,
        "[[notify]]\nkind = \"desktop\"\nretry_initial = \"20ms\"\nretry_max = \"50ms\"\n",
    );
    let hub = setup.start();
    let mut client = hub.client();
    let first = fail(&mut client, json!({}));
    until_failing(&mut client, "desktop", "exited with code 1");
    fs::write(folder.join("ready"), "").unwrap();
    until_settled(&mut client, "desktop");
    // The next ones wait for their time, and come together.
    for _ in 0..3 {
        fail(&mut client, json!({}));
    }
    until_settled(&mut client, "desktop");
    let shown = fs::read_to_string(folder.join("shown")).unwrap();
    let notifications: Vec<&str> = shown.split("--app-name=Kirosu|--|").skip(1).collect();
    assert!(notifications.len() <= 3, "{shown}");
    let expected = format!("Kirosu: failed|task {first} failed: it broke|");
    assert!(notifications[0].starts_with(&expected), "{shown}");
    assert!(shown.contains("task 4 failed"), "{shown}");
}

#[test]
fn the_settings_of_a_folder_run_no_program_before_they_are_trusted() {
    let home = tempfile::tempdir().unwrap();
    let clone = home.path().join("clone");
    fs::create_dir(&clone).unwrap();
    let program = script(&clone, "hook.sh", "touch \"$HOME/ran\"");
    fs::write(clone.join("kirosu.toml"), hook(&program, "")).unwrap();
    let kirosu = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kirosu"));
        command.args(words).env_clear().env("HOME", home.path());
        let path = std::env::var_os("PATH").unwrap_or_default();
        command
            .env("PATH", path)
            .current_dir(&clone)
            .output()
            .unwrap()
    };
    for words in [
        &["hub", "--port", "0"][..],
        &["up", "--port", "0"],
        &["doctor"],
    ] {
        let output = kirosu(words);
        assert!(!output.status.success(), "{words:?}: {output:?}");
        assert!(
            super::text(&output).contains("kirosu trust"),
            "{words:?}: {output:?}"
        );
    }
    let shown = super::text(&kirosu(&["trust"]));
    assert!(shown.contains("hook.sh"), "{shown}");
    assert!(!home.path().join("ran").exists());
}
