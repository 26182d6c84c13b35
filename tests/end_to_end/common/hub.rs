//! The built binary as a hub: started on a free port, killed by its process id at the end.

use super::{Client, PATIENCE, until};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;
use tempfile::TempDir;

/// Names the `kirosu.toml` that a test wrote into its folder: one that a search finds there would need trust.
pub fn own_settings(command: &mut Command, home: &Path) {
    let file = home.join("kirosu.toml");
    if file.exists() {
        command.env("KIROSU_CONFIG", file);
    }
}

/// How a hub is started; the directory lives as long as anybody holds on to it, so that a hub can be started again.
#[derive(Clone)]
pub struct Setup {
    pub directory: Arc<TempDir>,
    pub verb: &'static str,
    pub port: u16,
    pub arguments: Vec<String>,
    pub environment: Vec<(String, String)>,
    /// A program and its first arguments that starts the hub; empty: none.
    pub wrapper: Vec<String>,
    /// Whether the store's place is given by `--db`.
    pub has_db: bool,
    /// Whether the port is given by `--port`.
    pub has_port: bool,
    /// Whether the gateway is left to the settings. Most tests need none, and many hubs run at the same time.
    pub has_default_gateway: bool,
}

impl Setup {
    /// A fresh directory, any port, and no grace for leases after a restart: tests that want one say so.
    pub fn new() -> Setup {
        let directory = Arc::new(tempfile::tempdir().expect("a temporary directory"));
        let setup = Setup {
            directory,
            verb: "hub",
            port: 0,
            arguments: Vec::new(),
            environment: Vec::new(),
            wrapper: Vec::new(),
            has_db: true,
            has_port: true,
            has_default_gateway: false,
        };
        setup.set("lease.heartbeat_grace=0s")
    }

    /// `kirosu up`: the hub with its pools.
    pub fn up(mut self) -> Setup {
        self.verb = "up";
        self
    }

    /// One setting, as `key=value`.
    pub fn set(self, setting: &str) -> Setup {
        self.argument("--set").argument(setting)
    }

    pub fn argument(mut self, argument: &str) -> Setup {
        self.arguments.push(argument.to_owned());
        self
    }

    pub fn environment(mut self, name: &str, value: &str) -> Setup {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the hub by this program, which gets the hub's command line behind these arguments.
    pub fn under(mut self, wrapper: &[&str]) -> Setup {
        self.wrapper = wrapper.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// Leaves the store's place to the settings.
    pub fn without_db(mut self) -> Setup {
        self.has_db = false;
        self
    }

    /// Leaves the port to the settings, which may have none.
    pub fn without_port(mut self) -> Setup {
        self.has_port = false;
        self
    }

    /// Leaves it to the settings whether a gateway is served, which it is by default.
    pub fn with_default_gateway(mut self) -> Setup {
        self.has_default_gateway = true;
        self
    }

    pub fn database(&self) -> PathBuf {
        self.directory.path().join("kirosu.db")
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("hub.log")
    }

    /// The command, with nothing of the surroundings in it.
    pub fn command(&self) -> Command {
        let hub = env!("CARGO_BIN_EXE_kirosu").to_owned();
        let mut words = self.wrapper.iter().chain(std::iter::once(&hub));
        let mut command = Command::new(words.next().unwrap_or(&hub));
        command.args(words);
        let home = self.directory.path();
        command.arg(self.verb);
        if self.has_port {
            command.arg("--port").arg(self.port.to_string());
        }
        if self.has_db {
            command.arg("--db").arg(self.database());
        }
        command.args(&self.arguments);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
            .env("HOME", home)
            .env("NO_COLOR", "1")
            .current_dir(home);
        own_settings(&mut command, home);
        if !self.has_default_gateway {
            command.env("KIROSU_GATEWAY__ENABLED", "false");
        }
        if !self.has_key() {
            // Most tests speak the protocol as a client does that has the key.
            command.env("KIROSU_HUB__KEYLESS", "all");
        }
        command
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null());
        command
    }

    /// Whether a test has set the hub's key, or which clients need none.
    fn has_key(&self) -> bool {
        let argument = |text: &String| text.contains("hub.key") || text.contains("--key-file");
        let variable = |(name, _): &(String, String)| {
            name == "KIRO_SWARM_KEY" || name.starts_with("KIROSU_HUB__KEY")
        };
        self.arguments.iter().any(argument) || self.environment.iter().any(variable)
    }

    /// Starts it and waits for its first line.
    pub fn start(&self) -> Hub {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.log())
            .unwrap();
        let mut child = self
            .command()
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the binary starts");
        let (said, output) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        // Reads on to the end, so that the hub never writes into a closed or a full pipe.
        std::thread::spawn(move || {
            let lines = stdout.lines().map_while(Result::ok);
            lines.for_each(|line| drop(said.send(line)));
        });
        let first_line = output.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            let _ = child.kill();
            panic!(
                "the hub said nothing; its log:\n{}",
                std::fs::read_to_string(self.log()).unwrap_or_default()
            )
        });
        let port = first_line.rsplit(':').next().and_then(|it| it.parse().ok());
        let port = port.or((!self.has_port).then_some(0));
        let port = port.unwrap_or_else(|| panic!("no port in {first_line:?}"));
        Hub {
            child,
            first_line,
            port,
            setup: self.clone(),
        }
    }

    /// Starts what is expected to end by itself; exit status, standard output, standard error.
    pub fn run(&self) -> (ExitStatus, String, String) {
        let log = self.directory.path().join("run.log");
        let file = std::fs::File::create(&log).unwrap();
        let out = self.directory.path().join("run.out");
        let mut command = self.command();
        command
            .stdout(std::fs::File::create(&out).unwrap())
            .stderr(file);
        let mut child = Ended(command.spawn().expect("the binary starts"));
        let status = until("the process ended", || child.0.try_wait().unwrap());
        let text = |path| std::fs::read_to_string(path).unwrap_or_default();
        (status, text(out), text(log))
    }
}

/// A process that is gone when the test is.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running hub.
pub struct Hub {
    child: Child,
    pub first_line: String,
    /// 0 of a hub without one.
    pub port: u16,
    pub setup: Setup,
}

impl Hub {
    /// With the defaults.
    pub fn start() -> Hub {
        Setup::new().start()
    }

    /// With some settings, each as `key=value`.
    pub fn with(settings: &[&str]) -> Hub {
        settings
            .iter()
            .fold(Setup::new(), |setup, setting| setup.set(setting))
            .start()
    }

    pub fn client(&self) -> Client {
        Client::connect(self.port)
    }

    /// A connection that says `hello` for a session.
    pub fn session(&self, session: &str) -> Client {
        let mut client = self.client();
        client.call(
            "hello",
            serde_json::json!({"session_id": session, "name": session}),
        );
        client
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to this process alone.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the hub runs");
    }

    /// A client command of the built binary against this hub, in its directory.
    pub fn cli(&self, arguments: &[&str]) -> std::process::Output {
        let home = self.setup.directory.path();
        let mut command = Command::new(env!("CARGO_BIN_EXE_kirosu"));
        command
            .args(arguments)
            .args(["--port", &self.port.to_string()])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home)
            .current_dir(home)
            .stdin(Stdio::null());
        own_settings(&mut command, home);
        command.output().expect("the binary starts")
    }

    /// SIGKILL, as a crash.
    pub fn kill(mut self) -> Setup {
        self.child.kill().expect("the hub runs");
        self.child.wait().unwrap();
        self.setup.clone()
    }

    /// Whether its process has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end.
    pub fn ended(&mut self) -> ExitStatus {
        until("the hub ended", || self.child.try_wait().unwrap())
    }

    /// Bytes of memory that it holds. Pages of the program's file do not count: they come in as code runs for the first time.
    pub fn resident(&self) -> u64 {
        super::process::memory(self.pid(), "RssAnon:")
    }

    /// Processor time that its process has used.
    pub fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        // The program's name, in parentheses, may contain blanks; user and system time are words 12 and 13 after it.
        let (_, rest) = stat.rsplit_once(") ").unwrap();
        let ticks = rest.split(' ').skip(11).take(2);
        let ticks: u64 = ticks.map(|word| word.parse::<u64>().unwrap()).sum();
        // In hundredths of a second (proc(5), USER_HZ).
        Duration::from_millis(ticks * 10)
    }

    /// Its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.setup.log()).unwrap_or_default()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the hub's log:\n{}", self.log());
        }
    }
}
