//! Odd surroundings: what a parent, a shell, a container or a person may leave behind for the built binary.

use crate::common::{Client, Hub, Setup, until};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

/// A hub whose agents run their prompts as shell scripts.
fn shell(setup: Setup) -> Setup {
    setup
        .up()
        .set("providers.shell.kind=command")
        .set("providers.shell.command=[\"sh\", \"-e\"]")
        .set("pool.p.provider=shell")
}

/// Runs a script as a task to its good end; what it printed.
fn run(client: &mut Client, script: &str) -> String {
    let id = client.enqueue_with(json!({"prompt": script, "max_attempts": 1}));
    client.call("wait", json!({"task_ids": [id], "timeout_seconds": 30}));
    let task = client.task(id);
    assert_eq!(task["status"], "done", "{task}");
    task["result"].as_str().unwrap().to_owned()
}

#[test]
fn signals_that_the_parent_has_blocked_or_ignored_are_heard() {
    let block = "import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
os.execvp(sys.argv[1], sys.argv[1:])";
    let setup = shell(Setup::new().under(&["python3", "-c", block]));
    let mut hub = setup.start();
    let status = run(&mut hub.client(), "grep SigBlk /proc/self/status");
    assert_eq!(status.split_whitespace().last(), Some("0000000000000000"));
    hub.signal(Signal::TERM);
    assert!(hub.ended().success());
}

#[test]
fn without_a_home_it_serves_and_says_what_cannot_be() {
    let setup = shell(Setup::new().under(&["env", "-u", "HOME"]));
    let data = setup.directory.path().join("data").display().to_string();
    let setup = setup.set(&format!("data_dir={data}"));
    let hub = setup.start();
    assert_eq!(run(&mut hub.client(), "echo hello").trim(), "hello");
    let client = Command::new(env!("CARGO_BIN_EXE_kirosu"))
        .args(["list", "--port", &hub.port.to_string()])
        .env_clear()
        .current_dir("/")
        .output()
        .unwrap();
    assert!(client.status.success(), "{client:?}");
    let (status, _, said) = setup.clone().set("log.file=~/log").run();
    assert_eq!(status.code(), Some(1));
    assert!(
        said.contains("log.file") && said.contains("HOME, which is not set"),
        "{said}"
    );
}

#[test]
fn a_umask_of_nothing_opens_no_file_of_ours_to_others() {
    let setup = shell(Setup::new().under(&["sh", "-c", "umask 0; exec \"$@\"", "sh"]));
    let home = setup.directory.path().join("own");
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o755)).unwrap();
    let at = |name: &str| home.join(name).display().to_string();
    let hub = setup
        .without_db()
        .set(&format!("data_dir={}", at("data")))
        .set(&format!("log.file={}", at("log")))
        .set(&format!("hub.socket={}", at("socket")))
        .set("pool.p.workspace=isolated")
        .start();
    run(&mut hub.client(), "umask 077; echo x > made-by-the-run");
    hub.client().call("backup", json!({}));
    let mut found = Vec::new();
    open_to_others(&home, &mut found);
    assert_eq!(found, [] as [String; 0]);
}

/// Files and folders that every user may change; a folder that none of them can enter hides what is in it.
fn open_to_others(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let meta = fs::symlink_metadata(entry.path()).unwrap();
        if meta.is_symlink() {
            continue;
        }
        if meta.mode() & 0o002 != 0 {
            found.push(format!("{} {:o}", entry.path().display(), meta.mode()));
        }
        if meta.is_dir() && meta.mode() & 0o001 != 0 {
            open_to_others(&entry.path(), found);
        }
    }
}

#[test]
fn odd_time_zones_stop_nothing_and_guess_nothing() {
    let hub = Hub::start();
    let enqueue = |zone: &str, at: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_kirosu"))
            .args(["enqueue", "x", "--at", at, "--port", &hub.port.to_string()])
            .env_clear()
            .env("TZ", zone)
            .current_dir("/")
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let due = |id: &str| hub.client().task(id.trim().parse().unwrap())["run_at"].take();
    for (zone, at, moment) in [
        ("Europe/Berlin", "2027-06-01 12:00", 1_811_844_000),
        (
            "CET-1CEST,M3.5.0,M10.5.0/3",
            "2027-06-01 12:00",
            1_811_844_000,
        ),
        ("UTC", "2027-06-01 10:00", 1_811_844_000),
        ("", "2027-06-01 10:00", 1_811_844_000),
        ("America/New_York", "2027-06-01T10:00:00Z", 1_811_844_000),
        (
            "Mars/Olympus_Mons",
            "2027-06-01T12:00:00+02:00",
            1_811_844_000,
        ),
    ] {
        let (code, id, said) = enqueue(zone, at);
        assert_eq!(code, Some(0), "{zone} {said}");
        assert_eq!(due(&id), json!(moment as f64), "{zone} {at}");
        // The answer repeats the time as it was understood.
        assert!(said.contains("2027-06-01T10:00:00.000Z"), "{said}");
    }
    let (code, _, said) = enqueue("Mars/Olympus_Mons", "2027-06-01 12:00");
    assert_eq!(code, Some(2));
    assert!(said.contains("not a known time zone"), "{said}");
    let (code, _, said) = enqueue("UTC", "2026-12-31T23:59:60Z");
    assert_eq!(code, Some(2));
    assert!(said.contains("00 to 59"), "{said}");
    // A hub does not mind.
    let odd = Setup::new().environment("TZ", "Mars/Olympus_Mons").start();
    odd.client().enqueue("x");
}

#[test]
fn closed_standard_streams_are_no_files_of_the_store() {
    let close = ["sh", "-c", "exec \"$@\" <&- >&- 2>&-", "sh"];
    let setup = shell(Setup::new().under(&close)).set("log.file=own.log");
    let log = setup.directory.path().join("own.log");
    let mut child = setup.command().stdout(Stdio::null()).spawn().unwrap();
    let port: u16 = until("the log says where it listens", || {
        let text = fs::read_to_string(&log).ok()?;
        let address = text.split("address=127.0.0.1:").nth(1)?;
        address.split_whitespace().next()?.parse().ok()
    });
    let mut client = Client::connect(port);
    let printed = run(
        &mut client,
        "echo out; echo err >&2; readlink /proc/$PPID/fd/1 || true",
    );
    assert!(printed.starts_with("out"), "{printed}");
    for descriptor in 0..3 {
        let at = format!("/proc/{}/fd/{descriptor}", child.id());
        assert_eq!(fs::read_link(at).unwrap(), Path::new("/dev/null"));
    }
    // A backup is checked, page by page.
    client.call("backup", json!({}));
    let cli = Command::new("sh")
        .args([
            "-c",
            "exec \"$@\" <&- >&- 2>&-",
            "sh",
            env!("CARGO_BIN_EXE_kirosu"),
        ])
        .args(["list", "--port", &port.to_string()])
        .status()
        .unwrap();
    assert!(cli.success());
    client.call("shutdown", json!({}));
    assert!(until("it has ended", || child.try_wait().unwrap()).success());
}

#[test]
fn a_low_limit_of_files_is_named_and_tasks_run_all_the_same() {
    let limit = ["sh", "-c", "ulimit -n 60; exec \"$@\"", "sh"];
    let hub = shell(Setup::new().under(&limit)).start();
    let mut client = hub.client();
    for n in 0..6 {
        assert_eq!(run(&mut client, &format!("echo {n}")).trim(), n.to_string());
    }
    assert!(hub.log().contains("60"), "{}", hub.log());
}

/// A hub whose store is this file in the setup's directory; its exit code and what it said.
fn refused(setup: &Setup, name: &str) -> String {
    let db = setup.directory.path().join(name).display().to_string();
    let (status, _, said) = setup
        .clone()
        .set(&format!("store.path={db}"))
        .without_db()
        .run();
    assert_eq!(status.code(), Some(1), "{name}: {said}");
    assert_eq!(said.lines().count(), 1, "{name}: {said}");
    said
}

#[test]
fn a_store_path_that_is_something_else_is_refused_and_left_as_it_is() {
    let setup = Setup::new();
    let home = setup.directory.path();
    fs::write(home.join("notes.txt"), "my notes\n").unwrap();
    fs::create_dir(home.join("folder")).unwrap();
    Command::new("mkfifo")
        .arg(home.join("fifo"))
        .status()
        .unwrap();
    let make = "import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute('pragma journal_mode=' + sys.argv[2])
db.execute('create table task(id, name)')
db.execute('insert into task values(1, \"mine\")')
db.commit()";
    for (name, mode) in [("other.db", "delete"), ("other-wal.db", "wal")] {
        let made = Command::new("python3")
            .args(["-c", make])
            .arg(home.join(name))
            .arg(mode)
            .status();
        assert!(made.unwrap().success());
    }
    for (name, what) in [
        ("notes.txt", "not a database"),
        ("folder", "a folder"),
        ("fifo", "not a regular file"),
        ("other.db", "a database of another program"),
        ("other-wal.db", "a database of another program"),
    ] {
        let path = home.join(name);
        // A pipe would wait for its writer.
        let bytes = || path.is_file().then(|| fs::read(&path).unwrap());
        let before = bytes();
        let said = refused(&setup, name);
        assert!(
            said.contains(what) && said.contains("name another file"),
            "{said}"
        );
        assert_eq!(bytes(), before, "{name}");
        for beside in [".lock", "-wal", "-shm"] {
            assert!(
                !home.join(format!("{name}{beside}")).exists(),
                "{name}{beside}"
            );
        }
    }
}

#[test]
fn a_linked_store_is_one_store() {
    let setup = Setup::new();
    let home = setup.directory.path();
    fs::create_dir(home.join("real")).unwrap();
    // The file comes with the first start.
    symlink("real/k.db", home.join("link.db")).unwrap();
    let at = |name: &str| {
        let path = home.join(name).display().to_string();
        setup
            .clone()
            .without_db()
            .set(&format!("store.path={path}"))
    };
    let hub = at("link.db").start();
    let id = hub.client().enqueue("kept");
    assert!(home.join("real/k.db").is_file() && !home.join("link.db.lock").exists());
    let said = refused(&setup, "real/k.db");
    assert!(said.contains("another hub has it"), "{said}");
    hub.kill();
    let hub = at("real/k.db").start();
    assert_eq!(hub.client().task(id)["prompt"], json!("kept"));
    let said = refused(&setup, "link.db");
    assert!(said.contains("another hub has it"), "{said}");
    let _: Value = hub.client().call("stats", json!({}));
}

#[test]
fn a_socket_path_that_is_a_file_is_refused_and_left_as_it_is() {
    let setup = Setup::new();
    let notes = setup.directory.path().join("notes.txt");
    fs::write(&notes, "my notes\n").unwrap();
    let (status, _, said) = setup.clone().set("hub.socket=notes.txt").run();
    assert_eq!(status.code(), Some(1));
    assert!(said.contains("is not a socket"), "{said}");
    assert_eq!(fs::read_to_string(&notes).unwrap(), "my notes\n");
    // That of a hub that was killed is replaced.
    let setup = setup.set("hub.socket=hub.sock");
    setup.start().kill();
    setup.start();
}

#[test]
fn a_file_without_an_end_is_refused_by_every_verb_that_reads_one() {
    let hub = Hub::start();
    for words in [
        vec!["config", "check", "--config", "/dev/zero"],
        vec!["status", "--config", "/dev/zero"],
        vec!["enqueue", "x", "--accept-schema", "/dev/zero"],
    ] {
        let output = hub.cli(&words);
        let said =
            String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {said}");
        assert!(
            said.contains("/dev/zero") && said.contains("has more than"),
            "{words:?}: {said}"
        );
    }
}

#[test]
fn an_address_of_another_machine_is_refused_with_what_to_name() {
    // An address of documentation: no machine has it.
    let setup = Setup::new()
        .set("hub.plain_beyond_loopback=true")
        .set("gateway.plain_beyond_loopback=true")
        .environment("KIRO_SWARM_KEY", "a-key-of-more-than-32-characters-in-all");
    let (status, _, said) = setup.clone().argument("--host").argument("192.0.2.1").run();
    assert_eq!(status.code(), Some(1), "{said}");
    for text in [
        "192.0.2.1",
        "this machine does not have that address",
        "--host: 127.0.0.1",
    ] {
        assert!(said.contains(text), "{text}: {said}");
    }
    let gateway = setup
        .set("gateway.enabled=true")
        .set("gateway.host=192.0.2.1");
    let (status, _, said) = gateway.run();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("`host` in [gateway]: 127.0.0.1"), "{said}");
}

#[test]
fn logs_and_backups_are_for_their_owner_from_the_first_byte() {
    let setup = Setup::new();
    let home = setup.directory.path().to_owned();
    let backups = home.join("data/backups");
    fs::create_dir_all(&backups).unwrap();
    let setup = setup
        .under(&["sh", "-c", "umask 0; exec \"$0\" \"$@\""])
        .set(&format!("data_dir={}", home.join("data").display()))
        .set(&format!("log.file={}", home.join("own.log").display()));
    let hub = setup.start();
    let mut client = hub.client();
    for _ in 0..10 {
        client.enqueue(&"x".repeat(500_000));
    }
    let is_done = std::sync::atomic::AtomicBool::new(false);
    let open = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut open = std::collections::BTreeSet::new();
            while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
                for file in fs::read_dir(&backups).unwrap().flatten() {
                    // It may be gone already.
                    let mode = file.metadata().map_or(0, |meta| meta.mode());
                    if mode & 0o077 != 0 {
                        open.insert(format!("{:?} {mode:o}", file.file_name()));
                    }
                }
            }
            open
        });
        client.call("backup", json!({"name": "weekly.part"}));
        is_done.store(true, std::sync::atomic::Ordering::Relaxed);
        watcher.join().unwrap()
    });
    assert!(open.is_empty(), "{open:?}");
    let mode = |name: &str| fs::metadata(home.join(name)).unwrap().mode() & 0o777;
    assert_eq!(mode("own.log"), 0o600);
    assert_eq!(mode("data/backups/weekly.part"), 0o600);
    let error = client.refused("backup", json!({"name": "x.kirosu-part"}));
    assert!(error.to_string().contains("unfinished"), "{error}");
}
