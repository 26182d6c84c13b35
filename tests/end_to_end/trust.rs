//! A `kirosu.toml` that is only found in the current folder: it counts once the user has trusted it, with its content.

use crate::common::{Setup, until};
use serde_json::json;
use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const KEY: &str = "the-key-of-the-users-own-hub";

/// A home, and in it a clone of a repository of others.
struct Clone {
    home: tempfile::TempDir,
}

impl Clone {
    fn new(settings: &str) -> Clone {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("clone")).unwrap();
        let clone = Clone { home };
        clone.write(settings);
        clone
    }

    fn file(&self) -> PathBuf {
        self.home.path().join("clone/kirosu.toml")
    }

    fn write(&self, settings: &str) {
        fs::write(self.file(), settings).unwrap();
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kirosu"));
        command
            .args(words)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home.path())
            .current_dir(self.home.path().join("clone"))
            .stdin(std::process::Stdio::null());
        command
    }

    fn kirosu(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("the binary starts")
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A server that keeps what clients send to it.
struct Listening {
    port: u16,
    heard: Arc<Mutex<String>>,
}

impl Listening {
    fn start() -> Listening {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(String::new()));
        let all = heard.clone();
        std::thread::spawn(move || {
            for mut stream in server.incoming().flatten() {
                stream
                    .set_read_timeout(Some(Duration::from_millis(500)))
                    .unwrap();
                let mut bytes = [0; 4096];
                let length = stream.read(&mut bytes).unwrap_or_default();
                let line = String::from_utf8_lossy(&bytes[..length]).into_owned();
                all.lock().unwrap().push_str(&line);
            }
        });
        Listening { port, heard }
    }

    fn heard(&self) -> String {
        self.heard.lock().unwrap().clone()
    }
}

#[test]
fn a_folders_file_gets_no_key_until_it_is_trusted() {
    let server = Listening::start();
    let clone = Clone::new(&format!("[hub]\nport = {}\n", server.port));
    let key_file = clone.home.path().join("key");
    fs::write(&key_file, KEY).unwrap();
    let key_file = key_file.to_str().unwrap();
    let status = |variable: &str, value: &str| {
        let mut command = clone.command(&["ping"]);
        // Where the client goes instead: a port on which nothing listens.
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let own = clone.home.path().join(".config/kirosu");
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join("kirosu.toml"), format!("[hub]\nport = {port}\n")).unwrap();
        command.env(variable, value).output().unwrap()
    };
    for (variable, value) in [
        ("KIRO_SWARM_KEY", KEY),
        ("KIROSU_HUB__KEY", KEY),
        ("KIROSU_HUB__KEY_FILE", key_file),
    ] {
        let output = status(variable, value);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(5), "{said}");
        let file = fs::canonicalize(clone.file()).unwrap();
        assert!(said.contains(file.to_str().unwrap()), "{said}");
        assert!(said.contains("`kirosu trust`"), "{said}");
        assert!(said.contains("--config"), "{said}");
        assert_eq!(said.matches("ignored").count(), 1, "{said}");
        assert_eq!(server.heard(), "");
    }
    assert!(clone.kirosu(&["trust", "--yes"]).status.success());
    status("KIRO_SWARM_KEY", KEY);
    until("the trusted hub got the key", || {
        server.heard().contains(KEY).then_some(())
    });
}

#[test]
fn a_folders_file_starts_nothing_until_it_is_trusted() {
    let clone = Clone::new("");
    let mark = clone.home.path().join("ran");
    let program = |more: &str| {
        format!(
            "data_dir = \"data\"\n[agent]\nprovider = \"x\"\n[hub]\nport = 0\n[providers.x]\nkind = \"command\"\n\
             command = [\"./agent\"]\nversion = [\"--version\"]\n{more}[[pool]]\nname = \"a\"\nprovider = \"x\"\n"
        )
    };
    let agent = clone.home.path().join("clone/agent");
    let script = format!("#!/bin/sh\ntouch {}\necho 1.0\n", mark.display());
    fs::write(&agent, script).unwrap();
    fs::set_permissions(&agent, fs::Permissions::from_mode(0o755)).unwrap();
    clone.write(&program(""));
    for words in [
        &["up"][..],
        &["hub"],
        &["agent"],
        &["api", "--port", "0"],
        &["workspaces"],
        &["diff", "1"],
        &["restore", "x.db"],
        &["doctor"],
    ] {
        let output = clone.kirosu(words);
        let said = text(&output.stderr) + &text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{words:?} {said}");
        assert!(said.contains("`kirosu trust`"), "{words:?} {said}");
        assert!(!mark.exists(), "{words:?}");
        assert!(!clone.home.path().join("clone/data").exists(), "{words:?}");
    }
    // Commands that only print settings read them all the same.
    let checked = clone.kirosu(&["config", "check"]);
    assert!(checked.status.success(), "{checked:?}");
    assert!(text(&checked.stdout).contains("you have not trusted it"));
    let trusted = clone.kirosu(&["trust", "--yes"]);
    let said = text(&trusted.stdout);
    assert!(trusted.status.success(), "{trusted:?}");
    for part in [
        "providers.x.command = [\"./agent\"]",
        "data_dir = \"data\"",
        "hub.port = 0",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let doctor = clone.kirosu(&["doctor"]);
    assert!(mark.exists(), "{doctor:?}");
    // Another content needs another decision.
    fs::remove_file(&mark).unwrap();
    clone.write(&program("env = { LD_PRELOAD = \"/tmp/x.so\" }\n"));
    let output = clone.kirosu(&["up"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stderr).contains("has changed since you trusted it"));
    assert!(!mark.exists());
}

#[test]
fn trust_asks_lists_and_is_taken_back() {
    let clone = Clone::new("[hub]\nport = 1\n");
    let asked = clone.kirosu(&["trust"]);
    assert_eq!(asked.status.code(), Some(2), "{asked:?}");
    assert!(text(&asked.stderr).contains("--yes"), "{asked:?}");
    assert!(text(&asked.stdout).contains("hub.port = 1"), "{asked:?}");
    let list = || {
        let listed = clone.kirosu(&["trust", "--list", "--json"]);
        let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
        listed["trusted"].as_array().unwrap().clone()
    };
    assert!(list().is_empty());
    assert!(clone.kirosu(&["trust", "--yes"]).status.success());
    let file = fs::canonicalize(clone.file()).unwrap();
    assert_eq!(list()[0]["path"], json!(file));
    let folder = clone.home.path().join(".local/state/kirosu/trusted");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let record = fs::read_dir(&folder).unwrap().next().unwrap().unwrap();
    assert_eq!(mode(&record.path()), 0o600);
    assert!(clone.kirosu(&["trust", "--remove"]).status.success());
    assert!(list().is_empty());
    assert_eq!(clone.kirosu(&["trust", "--remove"]).status.code(), Some(1));
    // A file with a fault is not trusted: its user has not seen what it would do.
    clone.write("[hub]\nprot = 1\n");
    let faulty = clone.kirosu(&["trust", "--yes"]);
    assert_eq!(faulty.status.code(), Some(1), "{faulty:?}");
    assert!(list().is_empty());
}

#[test]
fn what_a_person_decides_on_hides_nothing_in_a_pipe_either() {
    let clone = Clone::new(
        "[providers.x]\nkind = \"command\"\ncommand = [\"sh\", \"-c\", \"true \u{202e}live # \u{2066}\", \"\\u001b[2K\"]\n",
    );
    let hidden = ['\u{202e}', '\u{2066}', '\u{1b}'];
    // It asks on a terminal only.
    for words in [&["trust"][..], &["config", "show"]] {
        let page = text(&clone.kirosu(words).stdout);
        assert!(page.contains(r"true \u202Elive # \u2066"), "{page}");
        assert!(
            page.contains(r"\u001B[2K") && !page.contains(hidden),
            "{page}"
        );
    }
}

#[test]
fn a_reload_takes_only_a_trusted_file() {
    let setup = Setup::new().up();
    let home = setup.directory.path();
    let file = home.join("kirosu.toml");
    let pool = |size: u32| format!("[[pool]]\nname = \"p\"\nprovider = \"echo\"\nsize = {size}\n");
    fs::write(&file, pool(1)).unwrap();
    let trust = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kirosu"));
        let command = command.args(["trust", "--yes"]).current_dir(home);
        assert!(
            command
                .env_clear()
                .env("HOME", home)
                .status()
                .unwrap()
                .success()
        );
    };
    trust();
    let hub = setup.clone().environment("KIROSU_CONFIG", "").start();
    fs::write(&file, pool(2)).unwrap();
    let error = hub.client().refused("reload", json!({}));
    let said = error.to_string();
    assert!(said.contains("has changed since you trusted it"), "{said}");
    trust();
    let answer = hub.client().call("reload", json!({}));
    assert_eq!(answer["changed"], json!(["pool.p.size"]), "{answer}");
}

#[test]
fn a_fifo_in_the_place_of_the_file_holds_nothing_up() {
    let clone = Clone::new("");
    fs::remove_file(clone.file()).unwrap();
    let made = Command::new("mkfifo").arg(clone.file()).status().unwrap();
    assert!(made.success());
    let asked = clone.kirosu(&["trust", "--yes"]);
    assert_eq!(asked.status.code(), Some(1), "{asked:?}");
    assert!(
        text(&asked.stderr).contains("not a regular file"),
        "{asked:?}"
    );
}
