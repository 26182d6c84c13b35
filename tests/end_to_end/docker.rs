//! The image and the compose file: clean to linters of both, and with an environment in which the binary does what they
//! promise. That the image builds and the containers work together was seen by hand (docs/operations.md): no test needs
//! a container engine.

use crate::common::{Setup, tool, until};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_kirosu");

fn docker(file: &str) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.join("deploy/docker").join(file)
}

fn lint(name: &str, file: &str) -> String {
    let program = tool(name);
    let output = Command::new(&program).arg(docker(file)).output();
    let output = output.unwrap_or_else(|error| {
        panic!("{name} cannot be run ({error}): tests/setup.sh installs it")
    });
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{said}");
    said
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn linters_find_nothing() {
    let said = lint("hadolint", "Dockerfile");
    assert_eq!(said.trim(), "");
    let said = lint("compose-lint", "compose.yaml");
    // An image that is built here has no digest to be pinned to; the file says why the root is writable.
    let excused = ["CL-0019", "CL-0007", "<RULE-ID>"];
    let other = |line: &&str| line.contains("CL-") && !excused.iter().any(|id| line.contains(id));
    assert_eq!(said.lines().find(other), None, "{said}");
}

/// The image's ENV, with the data in a folder of the test's.
fn environment(setup: &Setup) -> Vec<(String, String)> {
    let file = std::fs::read_to_string(docker("Dockerfile")).unwrap();
    let from = file.find("ENV ").expect("an ENV");
    let block = file[from..].trim_start_matches("ENV ");
    let mut pairs = Vec::new();
    for line in block.lines() {
        let (name, value) = line
            .trim()
            .trim_end_matches('\\')
            .trim()
            .split_once('=')
            .unwrap();
        let value = match value {
            "/app/data" => setup.directory.path().display().to_string(),
            value => value.to_owned(),
        };
        pairs.push((name.to_owned(), value));
        if !line.ends_with('\\') {
            break;
        }
    }
    assert!(pairs.iter().any(|(name, _)| name == "KIROSU_DATA_DIR"));
    pairs
}

/// The binary as the image starts it, with more in its environment.
fn container(setup: &Setup, verb: &[&str], more: &[(&str, &str)]) -> Command {
    let mut command = Command::new(BINARY);
    command
        .args(verb)
        .env_clear()
        .envs(environment(setup))
        .envs(more.iter().copied())
        .current_dir(setup.directory.path())
        .stdin(Stdio::null());
    command
}

fn ended(command: &mut Command) -> Output {
    command.output().unwrap()
}

/// A process that is gone when the test is.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_hub_wants_a_key_takes_it_from_a_secret_file_and_is_healthy_then() {
    let setup = Setup::new();
    let output = ended(&mut container(&setup, &["hub"], &[]));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.contains("without a key") && said.contains("KIRO_SWARM_KEY"),
        "{said}"
    );

    let key = setup.directory.path().join("key");
    std::fs::write(&key, "a key of the test\n").unwrap();
    let key = key.display().to_string();
    // Not on every address here, and on a port that was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port().to_string();
    drop(free);
    let more = [
        ("KIROSU_HUB__KEY_FILE", key.as_str()),
        ("KIRO_SWARM_HOST", "127.0.0.1"),
        ("KIRO_SWARM_PORT", &port),
    ];
    let mut hub = container(&setup, &["hub"], &more);
    hub.stdout(Stdio::null()).stderr(Stdio::null());
    let _hub = Running(hub.spawn().unwrap());
    let health = || ended(&mut container(&setup, &["stats", "--json"], &more)).status;
    until("the health check passes", || {
        health().success().then_some(())
    });
    let wrong = [more[1], more[2], ("KIRO_SWARM_KEY", "another")];
    let output = ended(&mut container(&setup, &["stats", "--json"], &wrong));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_provider_that_nobody_knows_ends_the_agent_with_what_there_is() {
    let setup = Setup::new();
    let more = [("KIRO_PROVIDER", "nobody"), ("KIRO_SWARM_HOST", "hub")];
    let output = ended(&mut container(&setup, &["agent"], &more));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(said.lines().count(), 1, "{said}");
    for known in ["nobody", "echo", "python", "codex", "kiro"] {
        assert!(said.contains(known), "{known} is missing: {said}");
    }
}
