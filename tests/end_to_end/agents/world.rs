//! The environment of real agent programs: they are installed once and run in a network namespace in which they can reach only a
//! scripted model on loopback.

use crate::common::{PATIENCE, until};
use rustix::fs::{FlockOperation, flock};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Where tests/end_to_end/agents/install.sh puts programs.
pub fn installed() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("a target directory")
        .join("agents")
}

/// Installs programs that are not there yet; tests run side by side, so one at a time.
pub fn install(names: &[&str]) {
    let home = installed();
    fs::create_dir_all(&home).unwrap();
    let lock = File::create(home.join("lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/end_to_end/agents/install.sh");
    let outcome = Command::new("bash")
        .arg(script)
        .arg(&home)
        .args(names)
        .stdin(Stdio::null())
        .output()
        .expect("bash starts");
    assert!(
        outcome.status.success(),
        "cannot install {names:?} for this test: {}{}\n\
         install npm (on Debian: apt-get install npm), or python3 with venv (apt-get install python3-venv), and let \
         them reach their package registries",
        String::from_utf8_lossy(&outcome.stdout),
        String::from_utf8_lossy(&outcome.stderr)
    );
}

/// The model, the folder and the network of one test.
pub struct World {
    stub: Child,
    pub url: String,
    home: TempDir,
    /// The thread is in a network namespace of its own: all its processes are found by that.
    alone: bool,
}

impl World {
    /// Installs the programs, starts the model, and moves this thread, and with it all that it starts, to the model's
    /// network. Where that is not allowed (without root), the network is the machine's.
    pub fn new(names: &[&str]) -> World {
        install(names);
        let home = tempfile::tempdir().unwrap();
        let alone = Command::new("unshare").args(["-n", "true"]).output();
        let alone = alone.is_ok_and(|outcome| outcome.status.success());
        let mut command = match alone {
            true => Command::new("unshare"),
            false => Command::new("python3"),
        };
        if alone {
            command.args(["-n", "python3"]);
        } else {
            eprintln!(
                "no network namespace may be made here: the programs see this machine's network"
            );
        }
        command.arg(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/end_to_end/agents/stub_model.py"),
        );
        if alone {
            command.arg("--lo");
        }
        let port_file = home.path().join("port");
        let stub = command
            .args(["--max-seconds", "1800", "--port-file"])
            .arg(&port_file)
            .arg("--log")
            .arg(home.path().join("requests"))
            .stdin(Stdio::null())
            .spawn()
            .expect("python3 starts");
        let mut world = World {
            stub,
            url: String::new(),
            home,
            alone,
        };
        let port = until("the model listens", || {
            fs::read_to_string(&port_file)
                .ok()
                .filter(|it| !it.is_empty())
        });
        world.url = format!("http://127.0.0.1:{port}");
        if alone {
            let network = File::open(format!("/proc/{}/ns/net", world.stub.id())).unwrap();
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("the model's network can be entered");
        }
        world
    }

    /// A folder for homes and settings.
    pub fn folder(&self) -> &Path {
        self.home.path()
    }

    /// The requests that the model received, one document per request.
    pub fn asked(&self) -> Vec<Value> {
        let log = fs::read_to_string(self.home.path().join("requests")).unwrap_or_default();
        let whole = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        whole.filter(|it: &Value| it["turn"].is_u64()).collect()
    }

    /// Processes that runs have started: all in this network but the hub and the model. In the machine's network, those
    /// that carry this world's folder in their environment or arguments.
    pub fn processes(&self, hub: u32) -> Vec<Process> {
        let own = fs::read_link("/proc/thread-self/ns/net").unwrap();
        let home = self.home.path().to_str().unwrap();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap() {
            let name = entry.unwrap().file_name();
            let Some(pid) = name.to_str().and_then(|it| it.parse::<u32>().ok()) else {
                continue;
            };
            if [hub, self.stub.id(), std::process::id()].contains(&pid) {
                continue;
            }
            let read = |file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            let arguments = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
            let ours = match self.alone {
                true => fs::read_link(format!("/proc/{pid}/ns/net")).is_ok_and(|it| it == own),
                false => {
                    let environment = String::from_utf8_lossy(&read("environ")).into_owned();
                    arguments.contains(home) || environment.contains(home)
                }
            };
            // A zombie has no arguments, and no longer does anything.
            if ours && !arguments.is_empty() {
                let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
                found.push(Process {
                    pid,
                    program,
                    arguments,
                });
            }
        }
        found
    }

    /// Waits until nothing of any run is left.
    pub fn nothing_is_left(&self, hub: u32) {
        let begun = std::time::Instant::now();
        loop {
            let left = self.processes(hub);
            if left.is_empty() {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "left behind: {left:#?}");
            std::thread::park_timeout(std::time::Duration::from_millis(20));
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.stub.kill();
        let _ = self.stub.wait();
    }
}

/// One that runs.
#[derive(Debug)]
#[allow(dead_code)]
pub struct Process {
    pub pid: u32,
    pub program: PathBuf,
    pub arguments: String,
}
