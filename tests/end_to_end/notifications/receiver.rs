//! The receiver in Python, started and killed by its process id.

use crate::common::until;
use serde_json::Value;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// 32 bytes in base64.
pub const SECRET: &str = "whsec_a2lyb3N1LXRlc3Qta2V5LW9mLTMyLWJ5dGVzLS0tLS0=";

pub struct Receiver {
    pub port: u16,
    folder: tempfile::TempDir,
    child: Option<Child>,
}

impl Receiver {
    /// Not started, on a free port.
    pub fn down() -> Receiver {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Receiver {
            port: socket.local_addr().unwrap().port(),
            folder: tempfile::tempdir().unwrap(),
            child: None,
        };
        receiver.mode("200");
        receiver
    }

    pub fn up() -> Receiver {
        let mut receiver = Receiver::down();
        receiver.start();
        receiver
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn start(&mut self) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/end_to_end/notifications/receiver.py");
        let child = Command::new("python3")
            .arg(script)
            .arg(self.port.to_string())
            .args([self.file("log"), self.file("mode")])
            .arg(SECRET)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        until("the receiver listens", || {
            TcpStream::connect(("127.0.0.1", self.port)).ok()
        });
    }

    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Sets the status of the next answers, or `hang`.
    pub fn mode(&self, mode: &str) {
        // Renamed, so that the receiver never reads an empty file.
        fs::write(self.file("mode.new"), mode).unwrap();
        fs::rename(self.file("mode.new"), self.file("mode")).unwrap();
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// All requests, in their order.
    pub fn requests(&self) -> Vec<Value> {
        let log = fs::read_to_string(self.file("log")).unwrap_or_default();
        // The last line may be incomplete.
        log.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// The requests that were answered with 200.
    pub fn delivered(&self) -> Vec<Value> {
        let mut all = self.requests();
        all.retain(|request| request["mode"] == "200");
        all
    }

    /// Waits until this many were delivered.
    pub fn wait(&self, count: usize) -> Vec<Value> {
        until(&format!("{count} events are delivered"), || {
            let all = self.delivered();
            (all.len() >= count).then_some(all)
        })
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop();
    }
}
