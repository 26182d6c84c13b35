//! docs/getting-started.md, word by word from an empty folder and an empty home: each file that it shows is written, each
//! command that it shows is run, in their order, and must print what the page says.

use crate::common::until;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const PAGE: &str = include_str!("../../docs/getting-started.md");
/// The parts before it need a clone and a compiler, or are `kirosu demo`, which has its own tests.
const BEGIN: &str = "## Your first pool";
/// Commands that go on until Ctrl-C.
const ENDLESS: [&str; 2] = ["kirosu watch", "kirosu agent "];

/// A process that is gone when the test is.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The fenced blocks of the page: their kind and their lines.
fn blocks() -> Vec<(&'static str, Vec<&'static str>)> {
    let mut blocks: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut is_inside = false;
    for line in PAGE[PAGE.find(BEGIN).unwrap()..].lines() {
        match line.strip_prefix("```") {
            Some(kind) => {
                is_inside = !is_inside;
                if is_inside {
                    blocks.push((kind, Vec::new()));
                }
            }
            None if is_inside => blocks.last_mut().unwrap().1.push(line),
            None => {}
        }
    }
    blocks
}

/// A person at a terminal in an empty folder.
struct Person {
    home: tempfile::TempDir,
    port: u16,
    running: Vec<Running>,
}

impl Person {
    fn command(&self, line: &str) -> Command {
        let binary = Path::new(env!("CARGO_BIN_EXE_kirosu")).parent().unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("bash");
        command.args(["-c", line]).env_clear();
        command.env("PATH", format!("{}:{path}", binary.display()));
        command.env("HOME", self.home.path());
        // Instead of the usual one, which another hub of this machine may have.
        command.env("KIRO_SWARM_PORT", self.port.to_string());
        command
            .current_dir(self.home.path().join("folder"))
            .stdin(Stdio::null());
        command
    }

    /// Types a command; what it printed.
    fn types(&mut self, line: &str) -> String {
        if line == "kill %1" {
            self.running.pop();
            return String::new();
        }
        if let Some(line) = line.strip_suffix(" &") {
            let child = self.command(&format!("exec {line}")).spawn().unwrap();
            self.running.push(Running(child));
            return String::new();
        }
        if line == "kirosu trust" {
            // Asks on a terminal.
            return self.types("kirosu trust --yes");
        }
        if line.starts_with("kirosu approve ") {
            // A person decides at a terminal.
            let line = format!("script --quiet --return --command {line:?} /dev/null");
            return self.types(&line).replace("\r\n", "\n");
        }
        if line == "kirosu up" {
            let mut command = self.command("exec kirosu up");
            let mut child = command
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut output = BufReader::new(child.stdout.take().unwrap());
            let (mut hub, mut page) = (String::new(), String::new());
            output.read_line(&mut hub).unwrap();
            output.read_line(&mut page).unwrap();
            self.running.push(Running(child));
            // Another program may have that port.
            let (address, _) = page.rsplit_once(':').unwrap();
            let hub = hub.replace(&self.port.to_string(), "8765");
            return format!("{hub}{address}:8000\n");
        }
        if ENDLESS.iter().any(|it| line.starts_with(it)) {
            let output = self
                .command(&format!("timeout -s INT 1 {line}"))
                .output()
                .unwrap();
            assert_eq!(output.status.code(), Some(124), "{line} {output:?}");
            return String::new();
        }
        let output = self.command(line).output().unwrap();
        assert!(output.status.success(), "{line} {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn the_page_works_from_an_empty_folder() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut person = Person {
        home: tempfile::tempdir().unwrap(),
        port: free.local_addr().unwrap().port(),
        running: Vec::new(),
    };
    drop(free);
    let folder = person.home.path().join("folder");
    fs::create_dir(&folder).unwrap();
    for (kind, lines) in blocks() {
        let text = lines.join("\n") + "\n";
        match kind {
            "toml" => {
                let mut file = fs::File::options();
                let mut file = file
                    .create(true)
                    .append(true)
                    .open(folder.join("kirosu.toml"))
                    .unwrap();
                file.write_all(text.as_bytes()).unwrap();
                if !person.running.is_empty() {
                    person.types("kirosu trust");
                    person.types("kirosu reload");
                }
            }
            "python" => fs::write(folder.join("worker.py"), text).unwrap(),
            "console" => {
                let mut lines = lines.into_iter().peekable();
                while let Some(line) = lines.next() {
                    // The following text explains it.
                    let typed = line.strip_prefix("$ ").unwrap();
                    let typed = typed.split("  #").next().unwrap().trim();
                    let printed = person.types(typed);
                    while let Some(expected) = lines.next_if(|line| !line.starts_with("$ ")) {
                        assert!(printed.contains(expected), "{typed}: {printed}");
                    }
                }
            }
            kind => panic!("a block of {kind}"),
        }
    }
    person.types("kirosu shutdown");
    let mut hub = person.running.pop().unwrap();
    let status = until("the hub has stopped", || hub.0.try_wait().unwrap());
    assert!(status.success());
}
