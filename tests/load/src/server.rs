//! Starting and ending the servers under measurement.

use crate::Fault;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long a server may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Start options of a hub.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The `kirosu` binary.
    pub binary: PathBuf,
    /// `hub` or `up`.
    pub verb: &'static str,
    /// Working folder, for the log and everything the hub writes.
    pub folder: PathBuf,
    /// Settings, as `key=value`.
    pub settings: Vec<String>,
    /// A settings file.
    pub config: Option<PathBuf>,
    /// Marks every process that comes of this hub.
    pub marker: Option<(String, String)>,
    /// Whether a write beyond the limit of file size fails, as on a full disk, rather than killing the hub.
    pub bears_full_disk: bool,
}

impl Plan {
    /// A hub on `kirosu.db` in `folder`.
    pub fn hub(binary: &Path, folder: &Path) -> Plan {
        Plan {
            binary: binary.to_path_buf(),
            verb: "hub",
            folder: folder.to_path_buf(),
            settings: Vec::new(),
            config: None,
            marker: None,
            bears_full_disk: false,
        }
    }

    /// The database file.
    pub fn database(&self) -> PathBuf {
        self.folder.join("kirosu.db")
    }

    /// Puts a copy in the place of the database, as a person would; the names of the files that it replaced.
    pub fn restore(&self, copy: &str) -> Result<Vec<PathBuf>, Fault> {
        let mut command = Command::new(&self.binary);
        command.args(["restore", copy, "--json", "--db"]);
        command.arg(self.database());
        if let Some(config) = &self.config {
            command.arg("--config").arg(config);
        }
        self.surround(&mut command);
        let output = command.output()?;
        let told: Option<Value> = serde_json::from_slice(&output.stdout).ok();
        match told.filter(|_| output.status.success()) {
            Some(told) => {
                let replaced = told["replaced"].as_array().into_iter().flatten();
                let names = replaced.filter_map(|name| name.as_str().map(PathBuf::from));
                Ok(names.collect())
            }
            None => Err(Fault::new(format!(
                "{} restore {copy} ended with {}: {}",
                self.binary.display(),
                output.status,
                String::from_utf8_lossy(&output.stderr)
            ))),
        }
    }

    /// The caller's settings must not decide what is measured; files go into the plan's folder.
    fn surround(&self, command: &mut Command) {
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("KIRO") || name.starts_with("MITTELO_") {
                command.env_remove(&*name);
            }
        }
        command
            .env("XDG_CONFIG_HOME", &self.folder)
            .env("XDG_DATA_HOME", &self.folder)
            // The clients here send no key.
            .env("KIROSU_HUB__KEYLESS", "all")
            .current_dir(&self.folder)
            .stdin(Stdio::null());
    }

    fn command(&self) -> Result<Command, Fault> {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.join("hub.log"))?;
        let mut command = match self.bears_full_disk {
            false => Command::new(&self.binary),
            // An ignored signal stays ignored across `exec`, and the process id stays the same.
            true => {
                let mut shell = Command::new("sh");
                shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]);
                shell.arg(&self.binary);
                shell
            }
        };
        command.arg(self.verb).args(["--port", "0"]);
        command.arg("--db").arg(self.database());
        command.args(["--set", "log.level=warn"]);
        for setting in &self.settings {
            command.args(["--set", setting]);
        }
        if let Some(config) = &self.config {
            command.arg("--config").arg(config);
        }
        self.surround(&mut command);
        if let Some((name, value)) = &self.marker {
            command.env(name, value);
        }
        command.stdout(Stdio::piped()).stderr(log);
        Ok(command)
    }
}

/// A process that this tool started, and ends with itself.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// From the start of the process until it said that it listens.
    pub started_in: Duration,
}

impl Server {
    /// Starts a hub and waits for its first line, which says where it listens.
    pub fn hub(plan: &Plan) -> Result<Server, Fault> {
        let begun = Instant::now();
        let mut child = plan
            .command()?
            .spawn()
            .map_err(|e| Fault::new(format!("cannot start {}: {e}", plan.binary.display())))?;
        let first = first_line(&mut child);
        let address = first.as_deref().and_then(address_in);
        let server = Server {
            child,
            address: address.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0))),
            started_in: begun.elapsed(),
        };
        match address {
            Some(_) => Ok(server),
            None => Err(Fault::new(format!(
                "{} {} did not say where it listens (its first line: {first:?}); its log says:\n{}",
                plan.binary.display(),
                plan.verb,
                tail(&plan.folder.join("hub.log")),
            ))),
        }
    }

    /// Starts a Redis that syncs each write before its answer, as the hub does.
    pub fn redis(folder: &Path) -> Result<Server, Fault> {
        let port = free_port()?;
        let begun = Instant::now();
        let child = Command::new("redis-server")
            .args(["--appendonly", "yes", "--appendfsync", "always"])
            .args(["--save", "", "--port", &port.to_string()])
            .args(["--bind", "127.0.0.1", "--dir"])
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut server = Server {
            child,
            address,
            started_in: Duration::ZERO,
        };
        while TcpStream::connect(address).is_err() {
            if begun.elapsed() > PATIENCE || server.child.try_wait()?.is_some() {
                return Err(Fault::new("redis-server does not listen"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        server.started_in = begun.elapsed();
        Ok(server)
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did by itself.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, Fault> {
        Ok(self.child.try_wait()?)
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) -> Result<(), Fault> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, and how it ended; an error after a minute.
    pub fn stop(&mut self) -> Result<ExitStatus, Fault> {
        self.signal(Signal::TERM)?;
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if begun.elapsed() > PATIENCE {
                return Err(Fault::new(format!(
                    "process {} did not end within {PATIENCE:?} of SIGTERM",
                    self.pid()
                )));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn signal(&self, signal: Signal) -> Result<(), Fault> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        match pid {
            Some(pid) => Ok(kill_process(pid, signal)?),
            None => Err(Fault::new("the kernel gave an impossible process id")),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Ended already: both calls fail, and that is well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The version that `redis-server` says, or `None` where it is not installed.
pub fn redis_version() -> Option<String> {
    let output = Command::new("redis-server")
        .arg("--version")
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let word = text.split_whitespace().find_map(|w| w.strip_prefix("v="));
    Some(word.unwrap_or("unknown").to_owned())
}

/// The version that a `kirosu` binary says.
pub fn kirosu_version(binary: &Path) -> String {
    let output = Command::new(binary).arg("--version").output();
    let text = output.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned());
    text.ok()
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| "unknown".into())
}

/// The first line of a child's output. The rest is read and dropped, or a full pipe would stop the child.
fn first_line(child: &mut Child) -> Option<String> {
    let mut output = BufReader::new(child.stdout.take()?);
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        if output.read_line(&mut line).is_ok() {
            let _ = tell.send(line);
        }
        let _ = std::io::copy(&mut output, &mut std::io::sink());
    });
    told.recv_timeout(PATIENCE).ok()
}

fn address_in(line: &str) -> Option<SocketAddr> {
    line.trim()
        .strip_prefix("KIRO_SWARM_HUB tcp://")?
        .parse()
        .ok()
}

fn free_port() -> Result<u16, Fault> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
