//! A machine that is short of something must not lose the queue: 200 tasks under each shortage, one after the other, and
//! 200 are done. The hub is the built binary, the shortages are real ones of the kernel.

mod service;

use crate::common::{Client, Hub, Setup, until, until_within};
use serde_json::{Value, json};
use service::Service;
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Tasks in the queue.
const TASKS: usize = 200;
/// The bound of what takes long on a machine that is short of something.
const LONG: Duration = Duration::from_secs(180);

/// `kirosu up` with a pool of 40 that runs this program, a task's prompt on its standard input.
fn pool(command: &[&str]) -> Setup {
    let setup = Setup::new().up();
    let data = setup.directory.path().join("data");
    setup
        .set("providers.shell.kind=command")
        .set(&format!("providers.shell.command={}", json!(command)))
        .set("pool.p.provider=shell")
        .set("pool.p.size=40")
        .set(&format!("data_dir={}", data.display()))
}

/// The same under a limit, as `ulimit` sets it.
fn limited(setup: Setup, limit: &str) -> Setup {
    let script = format!("ulimit {limit}; exec \"$0\" \"$@\"");
    setup.under(&["sh", "-c", &script])
}

/// The key of the hub that runs as another user. The others need none, and take any.
const KEY: &str = "a-key-of-more-than-thirty-two-characters";

/// A queue on its way.
struct Queue {
    hub: Hub,
    client: Client,
}

impl Queue {
    /// 200 tasks of one attempt each.
    fn start(hub: Hub) -> Queue {
        Queue::with(hub, json!({}))
    }

    fn with(hub: Hub, params: Value) -> Queue {
        let mut client = hub.client();
        client.call("hello", json!({"auth_token": KEY}));
        // All at once: one by one the pool might keep up with them.
        client.call("pause", json!({}));
        for number in 0..TASKS {
            let mut params = params.clone();
            params["prompt"] = json!(format!("task {number}"));
            client.enqueue_with(params);
        }
        client.call("resume", json!({}));
        Queue { hub, client }
    }

    fn stats(&mut self) -> Value {
        self.client.call("stats", json!({}))["stats"].take()
    }

    /// The pool's state and why.
    fn standing(&mut self) -> (String, String) {
        let pools = self.client.call("pools", json!({}));
        let text = |key: &str| {
            pools["pools"][0][key]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        (text("state"), text("note"))
    }

    /// Waits until the pool says this of itself; why.
    fn is(&mut self, state: &str) -> String {
        until(state, || {
            let (now, note) = self.standing();
            (now == state).then_some(note)
        })
    }

    /// Waits until all are done, and none failed or cost more than one attempt.
    fn all_done(&mut self) {
        until_within(LONG, "all tasks are done", || {
            let stats = self.stats();
            assert_eq!(stats["failed"], 0, "{stats}");
            (stats["done"] == TASKS).then_some(())
        });
        let listed = self.client.call("list", json!({"limit": 0}));
        let tasks = listed["tasks"].as_array().unwrap();
        let once = |task: &&Value| task["attempts"].as_u64().unwrap_or(1) <= 1;
        assert_eq!(tasks.iter().filter(once).count(), TASKS, "{listed}");
    }

    /// Lines of the log that warn of this.
    fn warnings(&self, about: &str) -> usize {
        let log = self.hub.log();
        let lines = log.lines().filter(|line| line.contains(" WARN "));
        lines.filter(|line| line.contains(about)).count()
    }

    /// One episode of a shortage was logged, once.
    fn told_once(&self) {
        assert_eq!(self.warnings("takes fewer tasks"), 1, "{}", self.hub.log());
    }

    fn pool_list(&self) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_kirosu"))
            .args(["pool", "list"])
            .env_clear()
            .env("KIRO_SWARM_PORT", self.hub.port.to_string())
            .env("KIRO_SWARM_KEY", KEY)
            .env("HOME", self.hub.setup.directory.path())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

fn home(setup: &Setup) -> PathBuf {
    setup.directory.path().canonicalize().unwrap()
}

fn count_lines(file: &Path) -> usize {
    fs::read_to_string(file).unwrap_or_default().lines().count()
}

/// The hub with a limit of processes. The kernel counts them per user (and user namespace) and does not limit root, so tests that
/// run as root start the hub as another user, one per test process.
fn with_processes(setup: Setup, limit: u32) -> Setup {
    let home = home(&setup);
    let nproc = format!("--nproc={limit}");
    let mut wrapper: Vec<String> = if rustix::process::geteuid().is_root() {
        let other = 100_000 + std::process::id();
        chown(&home, Some(other), Some(other)).unwrap();
        let id = other.to_string();
        let words = ["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups"];
        words.map(str::to_owned).into()
    } else {
        ["unshare", "--user", "--map-current-user"]
            .map(str::to_owned)
            .into()
    };
    // The other user may not reach the folder of the build.
    let program = home.join("kirosu");
    fs::copy(env!("CARGO_BIN_EXE_kirosu"), &program).unwrap();
    let program = program.display().to_string();
    let replaced = r#"shift; exec "$0" "$@""#;
    let rest = ["prlimit", &nproc, "sh", "-c", replaced, &program];
    wrapper.extend(rest.map(str::to_owned));
    let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
    // The hub does not serve another user without a key.
    setup.environment("KIRO_SWARM_KEY", KEY).under(&wrapper)
}

/// The hub in a mount namespace of its own, after this script.
fn in_namespace(setup: Setup, script: &str) -> Setup {
    let script = format!("{script} && exec \"$0\" \"$@\"");
    setup.under(&["unshare", "--map-root-user", "--mount", "sh", "-c", &script])
}

/// Does something in the mount namespace of the hub. Returns whether it succeeded.
fn in_namespace_of(hub: &Hub, words: &[&str]) -> bool {
    let mut command = Command::new("nsenter");
    command.args(["--preserve-credentials", "--user", "--mount", "--target"]);
    let status = command.arg(hub.pid().to_string()).args(words).status();
    status
        .expect("nsenter of util-linux can be started")
        .success()
}

#[test]
fn of_descriptors() {
    let hub = limited(pool(&["sh", "-c", "sleep 0.05; cat"]), "-n 64").start();
    let mut queue = Queue::start(hub);
    let note = queue.is("short");
    assert!(note.contains("Too many open files"), "{note}");
    assert!(queue.pool_list().contains("Too many open files"));
    queue.all_done();
    queue.told_once();
}

#[test]
fn of_descriptors_that_idle_clients_hold() {
    let hub = limited(pool(&["cat"]), "-n 64").start();
    let idle: Vec<TcpStream> = (0..60)
        .map(|_| TcpStream::connect(("127.0.0.1", hub.port)).unwrap())
        .collect();
    // Some of the connections wait in the kernel: the hub has no descriptor for them.
    drop(idle.into_iter().skip(30).collect::<Vec<_>>());
    let mut queue = Queue::start(hub);
    queue.all_done();
}

#[test]
fn of_processes() {
    let setup = with_processes(pool(&["sh", "-c", "sleep 0.05; cat"]), 32);
    let mut queue = Queue::start(setup.start());
    let note = queue.is("short");
    assert!(
        note.contains("Resource temporarily unavailable") || note.contains("fork"),
        "{note}"
    );
    queue.all_done();
    queue.told_once();
}

#[test]
fn around_runs_throws_no_answer_away() {
    let setup = pool(&[]);
    let home = home(&setup);
    let script = format!("echo run >> {}/runs; cat", home.display());
    let after = format!("echo after >> {}/afters; true", home.display());
    let command = |script: &str| json!(["sh", "-c", script]);
    let setup = limited(setup, "-n 64")
        .set(&format!("providers.shell.command={}", command(&script)))
        .set("pool.p.accept_commands=true")
        .set(&format!(
            "pool.p.hooks={{ before = [\"true\"], after = {}, after_must_succeed = true }}",
            command(&after)
        ));
    let accept = json!({"accept": {"command": ["sh", "-c", "grep -q task"]}});
    let mut queue = Queue::with(setup.start(), accept);
    queue.all_done();
    assert_eq!(count_lines(&home.join("runs")), TASKS);
    // A run that could not be started has its hook after it all the same.
    assert!(count_lines(&home.join("afters")) >= TASKS);
}

#[test]
fn of_a_program_file_that_is_being_written() {
    let setup = pool(&[]);
    let program = home(&setup).join("agent");
    fs::copy("/bin/cat", &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let writing = fs::File::options().append(true).open(&program).unwrap();
    let setup = setup.set(&format!("providers.shell.command={}", json!([program])));
    let mut queue = Queue::start(setup.start());
    let note = queue.is("short");
    assert!(note.contains("Text file busy"), "{note}");
    assert_eq!(queue.stats()["done"], 0);
    drop(writing);
    queue.all_done();
    queue.told_once();
}

#[test]
fn of_space_for_workspaces() {
    let setup = pool(&["cat"]);
    let disk = home(&setup).join("disk");
    fs::create_dir(&disk).unwrap();
    let disk = disk.display().to_string();
    let setup = in_namespace(
        setup,
        &format!("mount -t tmpfs -o nr_inodes=2 none '{disk}'"),
    )
    .set("pool.p.workspace=ephemeral")
    .set(&format!("pool.p.workdir={disk}"));
    let mut queue = Queue::start(setup.start());
    let note = queue.is("short");
    assert!(note.contains("No space left on device"), "{note}");
    assert_eq!(queue.stats()["done"], 0);
    let remount = ["mount", "-o", "remount,nr_inodes=1000", &disk];
    assert!(in_namespace_of(&queue.hub, &remount));
    queue.all_done();
    queue.told_once();
}

#[test]
fn of_a_process_file_system() {
    let setup = in_namespace(pool(&["cat"]), "mount -t tmpfs none /proc");
    let mut queue = Queue::start(setup.start());
    let note = queue.is("short");
    assert!(note.contains("/proc"), "{note}");
    assert_eq!(queue.stats()["done"], 0);
    // It is busy while the hub has a file of it open.
    until("the file system can be unmounted", || {
        in_namespace_of(&queue.hub, &["umount", "/proc"]).then_some(())
    });
    queue.all_done();
    queue.told_once();
}

#[test]
fn of_a_network() {
    let mut service = Service::start();
    let setup = pool(&["cat"])
        .set("providers.api.kind=openai")
        .set(&format!("providers.api.base_url={}", service.url()))
        .set("pool.p.provider=api")
        .set("pool.p.model=m");
    let hub = setup.start();
    let mut client = hub.client();
    until("the pool is ready", || {
        let pools = client.call("pools", json!({}));
        (pools["pools"][0]["state"] == "running" && service.asked() > 0).then_some(())
    });
    service.close();
    let mut queue = Queue::start(hub);
    let note = queue.is("network");
    assert!(note.contains("refused"), "{note}");
    assert_eq!(queue.stats()["done"], 0);
    service.open();
    queue.all_done();
    assert_eq!(
        queue.warnings("cannot be reached"),
        1,
        "{}",
        queue.hub.log()
    );
}
