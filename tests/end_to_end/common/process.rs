//! Addresses of a gateway, in a hub's process or alone.

use super::{Hub, PATIENCE, Setup, until};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;

/// Settings of a hub with a gateway and two echo sessions.
pub fn setup() -> Setup {
    let settings = [
        "gateway.enabled=true",
        "gateway.port=0",
        "pool.p.provider=echo",
        "pool.p.size=2",
    ];
    let set = |setup: Setup, setting: &&str| setup.set(setting);
    settings.iter().fold(Setup::new().up(), set)
}

/// Settings of a hub with a gateway and a pool whose agents run their prompts as shell scripts.
pub fn shell() -> Setup {
    let settings = [
        "gateway.enabled=true",
        "gateway.port=0",
        "providers.shell.kind=command",
        "providers.shell.command=[\"sh\", \"-e\"]",
        "pool.p.provider=shell",
    ];
    settings.into_iter().fold(Setup::new().up(), Setup::set)
}

/// The address of a hub's gateway.
pub fn address(hub: &Hub) -> String {
    until("the log names the gateway's address", || {
        let log = hub.log();
        let line = log.lines().rev().find(|l| l.contains("REST is served"))?;
        let (_, address) = line.split_once("address=")?;
        address.split_whitespace().next().map(str::to_owned)
    })
}

/// `kirosu api`: a gateway alone.
pub struct Api {
    child: Child,
    pub address: String,
}

impl Api {
    /// For the hub on a port, with more arguments.
    pub fn start(setup: &Setup, hub: u16, arguments: &[&str]) -> Api {
        let home = setup.directory.path();
        let mut command = Command::new(env!("CARGO_BIN_EXE_kirosu"));
        command
            .args(["api", "--port", "0", "--hub", &format!("127.0.0.1:{hub}")])
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home)
            .envs(setup.environment.iter().cloned())
            .current_dir(home)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(home.join("api.log")).unwrap());
        let mut child = command.spawn().expect("the binary starts");
        let (said, output) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            let lines = stdout.lines().map_while(Result::ok);
            lines.for_each(|line| drop(said.send(line)));
        });
        let line = output
            .recv_timeout(PATIENCE)
            .expect("it says where it serves");
        let address = line.strip_prefix("KIRO_SWARM_API http://");
        let address = address.unwrap_or_else(|| panic!("{line}")).to_owned();
        Api { child, address }
    }

    /// The most bytes of memory that it has had in use.
    pub fn most_resident(&self) -> u64 {
        memory(self.child.id(), "VmHWM:")
    }

    /// Asks it to stop, and waits for its end.
    pub fn stop(mut self) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("it runs");
        until("it ended", || self.child.try_wait().unwrap())
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Bytes that the kernel counts for a process under `field` of its status file.
pub fn memory(pid: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(field));
    let words = line.expect(field).split_whitespace();
    let kib = words.filter_map(|word| word.parse::<u64>().ok()).next();
    kib.expect("a number") << 10
}
