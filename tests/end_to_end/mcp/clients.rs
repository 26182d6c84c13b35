//! The official MCP clients: installed into target/ from pinned versions, and run with a scenario.

use crate::common::{PATIENCE, Setup, until};
use rustix::fs::{FlockOperation, flock};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/end_to_end/mcp");

/// The Python that has its client; made when it is not there yet or the versions have changed.
fn python() -> PathBuf {
    let requirements = format!("{HERE}/requirements.txt");
    let wanted = fs::read_to_string(&requirements).unwrap();
    let (home, _lock) = locked("mcp-client");
    let (python, installed) = (home.join("bin/python"), home.join("installed.txt"));
    if fs::read_to_string(&installed).is_ok_and(|there| there == wanted) {
        return python;
    }
    install(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&home),
    );
    let pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ];
    install(Command::new(&python).args(pip).args(["-r", &requirements]));
    fs::write(installed, wanted).unwrap();
    python
}

/// The packages with the clients for TypeScript: that of the revisions with sessions, that of the newest one, and the Tasks
/// extension for it.
const PACKAGES: [&str; 4] = [
    "@modelcontextprotocol/sdk@1.32.2",
    "@modelcontextprotocol/client@2.4.0",
    "@modelcontextprotocol/ext-tasks@0.2.2",
    "zod@4.5.4",
];

/// The folder that has the clients for TypeScript; made when it is not there yet or the versions have changed.
fn modules() -> PathBuf {
    let wanted = PACKAGES.join(" ");
    let (home, _lock) = locked("mcp-typescript");
    let installed = home.join("installed.txt");
    if !fs::read_to_string(&installed).is_ok_and(|there| there == wanted) {
        let _ = fs::remove_dir_all(&home);
        fs::create_dir_all(&home).unwrap();
        let options = "install --no-audit --no-fund --no-package-lock --ignore-scripts --loglevel=error --prefix .";
        let mut npm = Command::new("npm");
        install(
            npm.current_dir(&home)
                .args(options.split(' '))
                .args(PACKAGES),
        );
        fs::write(installed, wanted).unwrap();
    }
    home
}

/// A folder below target/ and its lock: tests run side by side, also as processes, and the first one installs.
fn locked(name: &str) -> (PathBuf, File) {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(target).unwrap();
    let lock = File::create(target.join(format!("{name}.lock"))).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    (target.join(name), lock)
}

fn install(command: &mut Command) {
    let tried = format!("{command:?}");
    let outcome = command.stdin(Stdio::null()).output();
    let why = match outcome {
        Ok(output) if output.status.success() => return,
        Ok(output) => {
            let said = [output.stdout, output.stderr].concat();
            String::from_utf8_lossy(&said).into_owned()
        }
        Err(error) => error.to_string(),
    };
    panic!(
        "cannot install the official MCP client for this test with {tried}: {why}\n\
         install Python 3.10 or newer with venv, and Node.js 20 or newer with npm (on Debian: apt-get install python3 \
         python3-venv nodejs npm), and let them reach their package registries"
    );
}

/// A scenario of client.py, or client.mjs, that runs.
pub struct Scenario {
    child: Child,
    stdin: ChildStdin,
    said: Receiver<String>,
    log: PathBuf,
    begun: Instant,
}

impl Scenario {
    /// A scenario of client.py.
    pub fn start(name: &str, hub: &Setup, setup: &Value) -> Scenario {
        let mut command = Command::new(python());
        command.args([&format!("{HERE}/client.py"), name]);
        Scenario::run(command, name, hub, setup)
    }

    /// That of client.mjs.
    pub fn start_typescript(name: &str, hub: &Setup, setup: &Value) -> Scenario {
        let mut command = Command::new("node");
        command.arg(format!("{HERE}/client.mjs")).arg(modules());
        Scenario::run(command, name, hub, setup)
    }

    fn run(mut command: Command, name: &str, hub: &Setup, setup: &Value) -> Scenario {
        let home = hub.directory.path();
        let file = home.join(format!("{name}.json"));
        fs::write(&file, setup.to_string()).unwrap();
        let log = home.join(format!("{name}.log"));
        command.arg(file).env_clear();
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

    /// Waits for what the client asks for.
    pub fn wish(&self) -> String {
        let said = self.said.recv_timeout(PATIENCE * 2);
        said.unwrap_or_else(|_| panic!("the client asks for nothing:\n{}", self.errors()))
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
