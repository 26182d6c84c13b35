//! The addresses of a hub: its TCP port, and its Unix socket at the place of the settings or of the system.

use crate::common::{Hub, Setup, until};
use rustix::process::Signal;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A hub whose user has a folder for the time of the login, as of XDG.
fn setup() -> Setup {
    let setup = Setup::new();
    let folder = login_folder(&setup);
    DirBuilder::new().mode(0o700).create(&folder).unwrap();
    let folder = folder.to_string_lossy().into_owned();
    setup.environment("XDG_RUNTIME_DIR", &folder)
}

fn login_folder(setup: &Setup) -> PathBuf {
    setup.directory.path().join("login")
}

fn socket(setup: &Setup) -> PathBuf {
    login_folder(setup).join("kirosu/hub.sock")
}

/// A verb without an address on its command line, in the hub's surroundings.
fn verb(setup: &Setup, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kirosu"));
    let home = setup.directory.path();
    command
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .envs(setup.environment.iter().cloned())
        .current_dir(home)
        .stdin(Stdio::null());
    crate::common::own_settings(&mut command, home);
    command
}

fn output(setup: &Setup, arguments: &[&str]) -> Output {
    verb(setup, arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    let bytes = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether the process listens on a TCP port: one of its sockets is in the state 0A of `/proc/net/tcp`.
fn listens_on_tcp(hub: &Hub) -> bool {
    let descriptors = fs::read_dir(format!("/proc/{}/fd", hub.pid())).unwrap();
    let links = descriptors.filter_map(|it| fs::read_link(it.unwrap().path()).ok());
    let sockets: Vec<String> = links
        .filter_map(|it| {
            let inode = it.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
            Some(inode.to_owned())
        })
        .collect();
    assert!(!sockets.is_empty());
    ["tcp", "tcp6"].iter().any(|name| {
        let list = fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default();
        list.lines().any(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            fields.get(3) == Some(&"0A") && sockets.iter().any(|it| fields.get(9) == Some(&&**it))
        })
    })
}

/// A process that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn without_a_port_the_hub_and_its_clients_use_the_socket() {
    let setup = setup();
    let file = setup.directory.path().join("kirosu.toml");
    fs::write(file, "[hub]\nport = \"off\"\n").unwrap();
    let hub = setup.without_port().start();
    let (setup, at) = (&hub.setup, socket(&hub.setup));
    assert_eq!(
        hub.first_line,
        format!("KIRO_SWARM_HUB unix://{}", at.display())
    );
    let mode = |path: &Path| path.metadata().unwrap().mode() & 0o777;
    assert_eq!((mode(&at), mode(at.parent().unwrap())), (0o600, 0o700));
    assert!(!listens_on_tcp(&hub));

    let enqueued = output(setup, &["enqueue", "hello"]);
    assert!(enqueued.status.success(), "{}", text(&enqueued));
    let agent = verb(setup, &["agent", "--provider", "echo"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _agent = Running(agent);
    let waited = output(setup, &["wait", "1"]);
    assert!(waited.status.success(), "{}", text(&waited));
    assert!(text(&output(setup, &["get", "1"])).contains("hello"));
    let doctor = text(&output(setup, &["doctor"]));
    assert!(doctor.contains(&*at.to_string_lossy()), "{doctor}");
    // One that names a host has to name the port, too.
    let elsewhere = output(setup, &["stats", "--host", "hub.lan"]);
    assert_eq!(elsewhere.status.code(), Some(2));
    assert!(text(&elsewhere).contains("--port"), "{}", text(&elsewhere));
}

#[test]
fn a_hub_with_a_port_has_the_default_socket_too_unless_another_hub_has_it() {
    let setup = setup();
    let mut first = setup.start();
    let path = socket(&setup).to_string_lossy().into_owned();
    assert!(listens_on_tcp(&first));
    let of_socket = |arguments: &[&str]| {
        let arguments = [arguments, &["--socket", &path]].concat();
        output(&setup, &arguments)
    };
    assert!(of_socket(&["enqueue", "for the first"]).status.success());

    let other =
        Setup::new().environment("XDG_RUNTIME_DIR", &login_folder(&setup).to_string_lossy());
    let second = other.start();
    assert!(
        second.log().contains("another hub of this user"),
        "{}",
        second.log()
    );
    assert_eq!(
        second.client().call("stats", serde_json::json!({}))["stats"]["queued"],
        0
    );
    assert!(text(&of_socket(&["list"])).contains("for the first"));
    // One that is named, or the only one, must be free.
    let named = other.clone().set(&format!("hub.socket={path}"));
    let alone = other.clone().without_port().set("hub.port=off");
    for taken in [named, alone] {
        let (status, _, said) = taken.run();
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(said.contains("another process listens there"), "{said}");
    }
    drop(second);

    // The socket of a hub that was killed is replaced.
    first.signal(Signal::KILL);
    first.ended();
    let third = other.start();
    assert!(fs::metadata(&path).unwrap().file_type().is_socket());
    until("the third hub has the socket", || {
        of_socket(&["stats"]).status.success().then_some(())
    });
    assert!(!text(&of_socket(&["list"])).contains("for the first"));
    drop(third);
}

#[test]
fn the_folder_of_a_service_comes_first_and_an_emptied_socket_is_none() {
    let setup = setup();
    let service = setup.directory.path().join("service");
    fs::create_dir(&service).unwrap();
    let setup = setup.environment("RUNTIME_DIRECTORY", &service.to_string_lossy());
    drop(setup.start());
    assert!(service.join("kirosu.sock").exists() && !socket(&setup).exists());
    fs::remove_file(service.join("kirosu.sock")).unwrap();
    drop(setup.clone().set("hub.socket=").start());
    assert!(!service.join("kirosu.sock").exists() && !socket(&setup).exists());
    let own = setup.directory.path().join("own.sock");
    drop(
        setup
            .clone()
            .set(&format!("hub.socket={}", own.display()))
            .start(),
    );
    assert!(own.exists() && !service.join("kirosu.sock").exists());
}

#[test]
fn a_default_place_that_cannot_be_used_costs_no_start_unless_it_is_the_only_one() {
    let setup = Setup::new();
    let home = setup.directory.path();
    symlink("/tmp", home.join("link")).unwrap();
    let mut places = vec![home.join("missing"), home.join("link")];
    if rustix::process::geteuid().is_root() {
        let foreign = home.join("foreign");
        fs::create_dir(&foreign).unwrap();
        std::os::unix::fs::chown(&foreign, Some(65_534), None).unwrap();
        places.push(foreign);
    }
    for place in places {
        let setup = setup
            .clone()
            .environment("XDG_RUNTIME_DIR", &place.to_string_lossy());
        let hub = setup.start();
        assert!(
            hub.log().contains("listens on its TCP port only"),
            "{}",
            hub.log()
        );
        assert!(!place.join("kirosu").exists(), "{place:?}");
        drop(hub);
        let (status, _, said) = setup.without_port().set("hub.port=off").run();
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(said.contains("hub.sock"), "{said}");
    }
    let (status, _, said) = setup.without_port().set("hub.port=off").run();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("hub.socket"), "{said}");
}
