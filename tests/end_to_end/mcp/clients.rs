//! The official MCP clients: installed into target/ from pinned versions, and run with a scenario.

use crate::agents::world::{install as install_programs, installed};
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
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(target).unwrap();
    // Tests run side by side, also as processes: the first one installs.
    let lock = File::create(target.join("mcp-client.lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let home = target.join("mcp-client");
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
         install Python 3.10 or newer with venv (on Debian: apt-get install python3 python3-venv), and let pip reach \
         its package index"
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
        install_programs(&["mcp-clients"]);
        let modules = installed().join("mcp-clients");
        let mut command = Command::new(modules.join("node"));
        command.arg(format!("{HERE}/client.mjs")).arg(modules);
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
