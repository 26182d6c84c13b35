//! Notifications that the built binary sends to systemd, received on a test socket: ready, status, reload, stop, and watchdog
//! heartbeats, which stop while a thread hangs. `tests/end_to_end/systemd_units.rs` checks the units.

use crate::common::{Hub, PATIENCE, Setup, own_settings};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::collections::VecDeque;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The stand-in: a datagram socket that keeps the lines it was sent.
struct Manager {
    socket: UnixDatagram,
    lines: VecDeque<String>,
    /// The newest status; it is sent only when it has changed, and may precede the one that a test waits for.
    status: String,
    at: String,
}

impl Manager {
    /// In the setup's directory, named in its environment.
    fn listen(setup: Setup) -> (Manager, Setup) {
        let path = setup.directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let at = path.display().to_string();
        let setup = setup.environment("NOTIFY_SOCKET", &at);
        let manager = Manager {
            socket,
            lines: VecDeque::new(),
            status: String::new(),
            at,
        };
        (manager, setup)
    }

    /// The next line, if one comes in time.
    fn next(&mut self, within: Duration) -> Option<String> {
        if self.lines.is_empty() {
            let mut message = [0; 4096];
            self.socket.set_read_timeout(Some(within)).unwrap();
            let length = self.socket.recv(&mut message).ok()?;
            let text = std::str::from_utf8(&message[..length]).unwrap();
            self.lines.extend(text.lines().map(str::to_owned));
        }
        let line = self.lines.pop_front();
        if let Some(status) = line
            .as_deref()
            .and_then(|line| line.strip_prefix("STATUS="))
        {
            self.status = status.to_owned();
        }
        line
    }

    /// Waits until the status is one that fits.
    fn status(&mut self, fits: impl Fn(&str) -> bool) {
        let begun = Instant::now();
        while !fits(&self.status) {
            assert!(begun.elapsed() < PATIENCE, "the status is {}", self.status);
            self.next(Duration::from_secs(1));
        }
    }

    /// Reads on to a line that begins like this; what followed the sign.
    fn until(&mut self, sign: &str) -> String {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let line = self.next(PATIENCE).unwrap_or_default();
            if let Some(rest) = line.strip_prefix(sign) {
                return rest.to_owned();
            }
        }
        panic!("{sign} never came");
    }
}

#[test]
fn it_is_ready_when_it_answers_tells_how_it_stands_reloads_and_stops() {
    let setup = Setup::new().up();
    let file = setup.directory.path().join("kirosu.toml");
    let write = |drain: u32, pools: &str| {
        let text = format!(
            "[hub]\nkey = \"secret of the hub\"\n[shutdown]\ndrain = \"{drain}s\"\n{pools}"
        );
        std::fs::write(&file, text).unwrap();
    };
    write(
        300,
        "[[pool]]\nname = \"a\"\nprovider = \"echo\"\nsize = 1\n",
    );
    let file_name = file.display().to_string();
    let (mut manager, setup) = Manager::listen(setup.argument("--config").argument(&file_name));
    let mut hub = setup.start();
    manager.until("READY=1");
    // Ready means that a client is answered, at once.
    let mut client = hub.client();
    let hello = json!({"auth_token": "secret of the hub"});
    assert_eq!(client.call("hello", hello)["server"], "kirosu");
    manager.status(|line| line == "0 queued, 0 at work; a 0 of 1 busy");

    write(
        300,
        "[[pool]]\nname = \"b\"\nprovider = \"echo\"\nsize = 2\n",
    );
    hub.signal(Signal::HUP);
    manager.until("RELOADING=1");
    let at: u64 = manager.until("MONOTONIC_USEC=").parse().unwrap();
    assert!(at > 0);
    manager.until("READY=1");
    manager.status(|line| line.contains("b 0 of 2 busy"));

    // A file with a fault: the reload ends all the same, and the last good one stays.
    std::fs::write(&file, "[hub]\nprot = 1\n").unwrap();
    hub.signal(Signal::HUP);
    manager.until("RELOADING=1");
    manager.until("READY=1");

    hub.signal(Signal::TERM);
    manager.until("STOPPING=1");
    manager.status(|line| line.contains("running tasks have 5m"));
    // Longer than the drain, whatever the unit says.
    let asked: u64 = manager.until("EXTEND_TIMEOUT_USEC=").parse().unwrap();
    assert_eq!(asked, 360_000_000);
    assert!(hub.ended().success());
}

/// A process that is gone when the test is.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `kirosu agent` with these arguments, heard by this manager.
fn agent(arguments: &[&str], manager: &Manager, setup: &Setup) -> Running {
    let mut agent = Command::new(env!("CARGO_BIN_EXE_kirosu"));
    agent
        .arg("agent")
        .args(arguments)
        .env_clear()
        .env("HOME", setup.directory.path())
        .env("NOTIFY_SOCKET", &manager.at)
        .current_dir(setup.directory.path())
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    own_settings(&mut agent, setup.directory.path());
    Running(agent.spawn().unwrap())
}

#[test]
fn agents_are_ready_without_a_hub_and_say_which_one_they_wait_for() {
    let hub = Hub::start();
    let port = hub.port;
    let (mut manager, setup) = Manager::listen(hub.kill());
    let arguments = ["--provider", "echo", "--port", &port.to_string()];
    let _agent = agent(&arguments, &manager, &setup);
    manager.until("READY=1");
    manager.status(|line| line.contains(&format!("no hub at 127.0.0.1:{port}")));
    let setup = Setup { port, ..setup };
    let _hub = setup.start();
    manager.status(|line| line.contains(&format!("connected to the hub at 127.0.0.1:{port}")));
}

#[test]
fn agents_reload_the_pool_that_they_were_started_for_and_no_other() {
    let (mut manager, setup) = Manager::listen(Setup::new());
    let file = setup.directory.path().join("kirosu.toml");
    let write = |size: u32| {
        let pool = |name: &str| {
            format!("[[pool]]\nname = \"{name}\"\nprovider = \"echo\"\nsize = {size}\n")
        };
        std::fs::write(&file, pool("ours") + &pool("other")).unwrap();
    };
    write(1);
    // Port 1 has no listener: no hub is needed here.
    let agent = agent(&["--pool", "ours", "--port", "1"], &manager, &setup);
    manager.until("READY=1");
    write(3);
    kill_process(Pid::from_child(&agent.0), Signal::HUP).unwrap();
    manager.until("RELOADING=1");
    manager.until("READY=1");
    manager.status(|line| line.contains("ours 0 of 3"));
    assert!(!manager.status.contains("other"), "{}", manager.status);
}

/// Threads that hang, by fault injection.
#[cfg(feature = "fault-injection")]
mod hangs {
    use super::*;
    use crate::common::until;

    impl Manager {
        /// Whether a sign of life comes within this time.
        fn is_fed(&mut self, within: Duration) -> bool {
            let until = Instant::now() + within;
            loop {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return false;
                }
                match self.next(left) {
                    Some(line) if line == "WATCHDOG=1" => return true,
                    _ => {}
                }
            }
        }

        /// Forgets what was said so far.
        fn forget(&mut self) {
            while self.next(Duration::from_millis(1)).is_some() {}
        }
    }

    /// A hub whose thread of this name hangs for a second when it is sent SIGUSR2, and whose watchdog waits for 400 ms.
    fn hanging(thread: &str) -> (Manager, Hub) {
        let (mut manager, setup) = Manager::listen(Setup::new().set("threads.store=own"));
        let setup = setup
            .environment("WATCHDOG_USEC", "400000")
            .environment("KIROSU_FAULT_HANG", &format!("{thread} 1500ms"));
        let hub = setup.start();
        manager.until("READY=1");
        (manager, hub)
    }

    #[test]
    fn a_thread_that_hangs_ends_the_signs_of_life_and_is_named_in_the_log() {
        // One hub a thread: main has the sockets, store the writer, readers the questions.
        for thread in ["main", "store", "reader-1", "watchdog"] {
            let (mut manager, hub) = hanging(thread);
            let fed = (0..8).filter(|_| manager.is_fed(Duration::from_millis(400)));
            assert!(fed.count() >= 7, "it is fed while all is well");
            hub.signal(Signal::USR2);
            until("the thread hangs", || {
                hub.log().contains("injected a hang").then_some(())
            });
            manager.forget();
            // systemd would have ended it after 400 ms.
            assert!(
                !manager.is_fed(Duration::from_millis(900)),
                "fed, though {thread} hangs"
            );
            assert!(
                manager.is_fed(PATIENCE),
                "fed again after {thread} came back"
            );
            if thread != "watchdog" {
                until("the log names the thread", || {
                    let log = hub.log();
                    let named = |word: &str| {
                        let has = |line: &&str| line.contains(word) && line.contains(thread);
                        log.lines().find(has).map(str::to_owned)
                    };
                    named("does not respond")?;
                    named("responds again")
                });
            }
        }
    }

    #[test]
    fn the_tree_shows_that_a_sign_of_life_is_owed() {
        let (_manager, hub) = hanging("store");
        let mut client = hub.client();
        let mut owed = || {
            let tree = client.call("tree", json!({}));
            let children = tree["tree"]["children"].as_array().unwrap().clone();
            let watchdog = children.iter().find(|node| node["name"] == "watchdog");
            watchdog.unwrap()["mailbox"].as_u64()
        };
        until("nothing is owed", || (owed() == Some(0)).then_some(()));
        hub.signal(Signal::USR2);
        until("the store owes one", || (owed() == Some(1)).then_some(()));
        until("nothing is owed", || (owed() == Some(0)).then_some(()));
    }
}
