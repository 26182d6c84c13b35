//! A running hub reads its settings again: on SIGHUP and `kirosu reload`; and SIGHUP of a terminal that is closed ends it.

use crate::common::tmux::Tmux;
use crate::common::{Hub, Setup, until};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// A hub whose settings are this file's.
fn hub(text: &str) -> (Hub, PathBuf) {
    let setup = Setup::new().up();
    let file = setup.directory.path().join("kirosu.toml");
    fs::write(&file, text).unwrap();
    (setup.start(), file)
}

fn pool(size: u32) -> String {
    format!("[[pool]]\nname = \"e\"\nprovider = \"echo\"\nsize = {size}\n")
}

fn size(hub: &Hub) -> Value {
    hub.client().call("pools", json!({}))["pools"][0]["size"].take()
}

fn reload(hub: &Hub) -> Value {
    hub.client().call("reload", json!({}))
}

#[test]
fn a_reload_tells_what_has_changed_and_a_fault_changes_nothing() {
    let (hub, file) = hub(&pool(2));
    let path = file.canonicalize().unwrap().display().to_string();
    let nothing = json!({"file": path, "changed": [], "needs_restart": []});
    let found = reload(&hub);
    assert_eq!(
        (&found["changed"], &found["needs_restart"]),
        (&json!([]), &json!([]))
    );
    assert!(
        path.ends_with(found["file"].as_str().unwrap()),
        "{found} {nothing}"
    );

    let more = "[[pool]]\nname = \"f\"\nprovider = \"echo\"\n";
    let rest = "[limits]\nbatch = 7\n[store]\nreaders = 3\n";
    fs::write(&file, pool(3) + more + rest).unwrap();
    let found = reload(&hub);
    assert_eq!(
        found["changed"],
        json!(["limits.batch", "pool.e.size", "pool.f"])
    );
    assert_eq!(found["needs_restart"], json!(["store.readers"]));
    assert_eq!(size(&hub), 3);
    assert_eq!(hub.client().call("hello", json!({}))["limits"]["batch"], 7);

    fs::write(&file, pool(5) + "[hub]\nprot = 1\n").unwrap();
    let error = hub.client().refused("reload", json!({}));
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("the last good one stays in force"),
        "{message}"
    );
    assert!(message.contains("did you mean port?"), "{message}");
    assert_eq!(size(&hub), 3);

    // The same as a verb, for a person.
    fs::write(&file, pool(1)).unwrap();
    let output = hub.cli(&["reload"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && said.contains("pool.e.size"),
        "{said}"
    );
    assert_eq!(size(&hub), 1);
    fs::write(&file, "[[pool]\n").unwrap();
    let output = hub.cli(&["reload", "--set", "log.level=info"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("kirosu.toml:1"), "{said}");
}

#[test]
fn a_resize_is_replaced_by_the_files_size_though_the_file_is_as_it_was() {
    let (hub, _file) = hub(&pool(2));
    let resize = json!({"resize": {"pool": "e", "size": 5}});
    hub.client().call("pools", resize.clone());
    assert_eq!(size(&hub), 5);
    assert_eq!(reload(&hub)["changed"], json!(["pool.e.size"]));
    assert_eq!(size(&hub), 2);
    assert_eq!(reload(&hub)["changed"], json!([]));
    hub.client().call("pools", resize);
    hub.signal(Signal::HUP);
    until("the size is the file's", || (size(&hub) == 2).then_some(()));
}

#[test]
fn a_renamed_log_is_opened_anew_even_when_the_settings_have_a_fault() {
    let (hub, file) = hub("[log]\nfile = \"own.log\"\n");
    let log = file.with_file_name("own.log");
    let old = file.with_file_name("own.log.1");
    let lines = |path: &PathBuf, text: &str| {
        fs::read_to_string(path)
            .unwrap_or_default()
            .matches(text)
            .count()
    };
    until("it is logged to", || {
        (lines(&log, "ready") == 1).then_some(())
    });
    fs::rename(&log, &old).unwrap();
    hub.signal(Signal::HUP);
    until("the new one is logged to", || {
        (lines(&log, "read again") == 1).then_some(())
    });
    assert_eq!(lines(&old, "read again"), 0);
    fs::remove_file(&log).unwrap();
    fs::write(&file, "[hub]\nprot = 1\n").unwrap();
    hub.client().refused("reload", json!({}));
    assert_eq!(lines(&log, "was not reloaded"), 1);
    // Where no new one can be made, the open one is written on.
    let inode = fs::metadata(&log).unwrap().ino();
    fs::rename(&log, &old).unwrap();
    fs::create_dir(&log).unwrap();
    hub.client().refused("reload", json!({}));
    assert_eq!(fs::metadata(&old).unwrap().ino(), inode);
    assert_eq!(lines(&old, "cannot open the log file"), 1);
}

#[test]
fn a_closed_terminal_ends_it_and_a_signal_of_a_person_does_not() {
    let setup = Setup::new().up();
    let home = setup.directory.path();
    fs::write(home.join("kirosu.toml"), pool(1)).unwrap();
    let start = |wrapper: &str, number: u32| {
        let (log, db) = (format!("up{number}.log"), format!("up{number}.db"));
        let command = format!(
            "cd '{}' && exec {wrapper} '{}' up --config kirosu.toml --port 0 --db {db} --set log.file={log}",
            home.display(),
            env!("CARGO_BIN_EXE_kirosu"),
        );
        (
            Tmux::start((80, 24), &[], &format!("sh -c \"{command}\"")),
            home.join(log),
        )
    };
    let says = |log: &PathBuf, text: &str| {
        until(&format!("the log says {text:?}"), || {
            fs::read_to_string(log)
                .unwrap_or_default()
                .contains(text)
                .then_some(())
        });
    };
    let is_there = |pid: i32| {
        PathBuf::from(format!("/proc/{pid}/exe"))
            .read_link()
            .is_ok()
    };
    let pid_of = |log: &PathBuf| -> i32 {
        let text = fs::read_to_string(log).unwrap();
        let pid = text.split("pid=").nth(1).unwrap();
        pid.split_whitespace().next().unwrap().parse().unwrap()
    };
    let signal = |pid: i32, signal: Signal| {
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    };

    let (tmux, log) = start("", 1);
    says(&log, "ready");
    let pid = pid_of(&log);
    signal(pid, Signal::HUP);
    says(&log, "read again");
    tmux.close();
    says(&log, "the terminal was closed");
    until("it has ended", || (!is_there(pid)).then_some(()));

    // A process started under nohup is meant to outlive the terminal.
    let (tmux, log) = start("nohup", 2);
    says(&log, "ready");
    let pid = pid_of(&log);
    tmux.close();
    signal(pid, Signal::HUP);
    says(&log, "read again");
    assert!(is_there(pid));
    signal(pid, Signal::TERM);
    says(&log, "SIGTERM");
    until("it has ended", || (!is_there(pid)).then_some(()));
}
