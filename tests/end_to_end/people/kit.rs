//! The command line and the gateway of a hub under test.

use crate::common::{Hub, until};
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// The command line of one hub, ready to be run.
pub fn command(hub: &Hub, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kirosu"));
    command
        .args(words)
        .args(["--port", &hub.port.to_string()])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", hub.setup.directory.path())
        .env("USER", "ada")
        .current_dir(hub.setup.directory.path())
        .stdin(Stdio::null());
    command
}

/// Runs `kirosu` to its end.
pub fn kirosu(hub: &Hub, words: &[&str]) -> Output {
    command(hub, words).output().expect("the binary starts")
}

/// Runs `kirosu` with a text on standard input.
pub fn fed(hub: &Hub, words: &[&str], input: &str) -> Output {
    let mut command = command(hub, words);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    child.wait_with_output().unwrap()
}

/// Exit code, standard output, standard error.
pub fn parts(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    let code = output.status.code().expect("it ended by itself");
    (code, text(&output.stdout), text(&output.stderr))
}

/// Standard output of a command that succeeds.
pub fn said(hub: &Hub, words: &[&str]) -> String {
    let (code, out, err) = parts(&kirosu(hub, words));
    assert_eq!(code, 0, "{words:?}: {err}");
    out
}

/// The address of the hub's gateway.
pub fn gateway(hub: &Hub) -> String {
    until("the gateway reports its address", || {
        let log = hub.log();
        const SAYS: &str = "REST is served address=";
        let at = log.find(SAYS)? + SAYS.len();
        let end = log[at..].find(|c: char| !(c.is_ascii_digit() || ".:".contains(c)))?;
        Some(log[at..at + end].to_owned())
    })
}
