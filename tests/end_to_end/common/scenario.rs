//! Scenarios of a Python program: it runs one and asserts, and asks the test for what happens to the hub meanwhile.

use super::{PATIENCE, Setup, until};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// A scenario that runs.
pub struct Scenario {
    child: Child,
    stdin: ChildStdin,
    said: Receiver<String>,
    log: PathBuf,
    begun: Instant,
}

impl Scenario {
    /// Runs `SCRIPT NAME SETUP.json`, with nothing of the surroundings.
    pub fn start(python: &Path, script: &str, name: &str, hub: &Setup, setup: &Value) -> Scenario {
        let home = hub.directory.path();
        let file = home.join(format!("{name}.json"));
        fs::write(&file, setup.to_string()).unwrap();
        let log = home.join(format!("{name}.log"));
        let mut command = Command::new(python);
        command.args([script, name]).arg(file).env_clear();
        command
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).unwrap());
        let mut child = command.spawn().expect("the client starts");
        let (saying, said) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            let lines = stdout.lines().map_while(Result::ok);
            lines.for_each(|line| drop(saying.send(line)));
        });
        Scenario {
            stdin: child.stdin.take().unwrap(),
            child,
            said,
            log,
            begun: Instant::now(),
        }
    }

    /// Waits until the client asks for that.
    pub fn asks(&self, wish: &str) {
        assert_eq!(self.wish(), wish);
    }

    /// Waits until the client asks for something.
    pub fn wish(&self) -> String {
        let wish = self.said.recv_timeout(PATIENCE * 2);
        wish.unwrap_or_else(|_| panic!("the client asked for nothing:\n{}", self.errors()))
    }

    /// Tells the client that it is done.
    pub fn done(&mut self) {
        self.stdin.write_all(b"done\n").expect("the client reads");
    }

    /// Waits for a good end.
    pub fn succeeds(mut self) {
        let status = until("the client ended", || {
            // It gives up by itself after two minutes.
            assert!(self.begun.elapsed() < Duration::from_secs(150), "stuck");
            Some(self.child.wait().unwrap())
        });
        assert!(status.success(), "{}", self.errors());
    }

    fn errors(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Scenario {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
