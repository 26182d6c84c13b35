//! The Python package (sdk/python): its own tests against the built binary, and the wheel in a virtual environment.
//!
//! The second test installs pinned versions of the build backend and the type checker
//! (tests/end_to_end/python_sdk/requirements.txt) into target/, once, which needs python3 with venv, and pip's access to its packages.

use crate::common::venv;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

const PACKAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/sdk/python");
const REQUIREMENTS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/end_to_end/python_sdk/requirements.txt"
);
const PIP: [&str; 5] = [
    "-m",
    "pip",
    "install",
    "--quiet",
    "--disable-pip-version-check",
];

/// Runs a command to its good end.
fn good(command: &mut Command) {
    let tried = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("cannot run {tried}: {error}"));
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success(), "{tried}: {text}");
}

/// The tests of the package. Each one starts its own hub, and each wait in them is bounded.
fn tests(python: &Path, pattern: &str) -> Command {
    let mut command = Command::new(python);
    command
        .args(["-W", "error::ResourceWarning", "-m", "unittest", "discover"])
        .args(["-s", "tests", "-p", pattern])
        .current_dir(PACKAGE)
        .env("KIROSU_BIN", env!("CARGO_BIN_EXE_kirosu"))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

#[test]
fn the_tests_of_the_python_package_pass() {
    good(&mut tests(Path::new("python3"), "test_*.py"));
}

#[test]
fn the_wheel_installs_and_works_and_its_types_are_complete() {
    let python = venv::python("python-sdk", REQUIREMENTS, &[]);
    let folder = tempfile::tempdir().unwrap();
    good(
        Command::new(&python)
            .args(["-m", "pip", "wheel", "--quiet", "--no-deps"])
            .args(["--no-build-isolation", "--wheel-dir"])
            .arg(folder.path())
            .arg(PACKAGE),
    );
    let wheel = fs::read_dir(folder.path()).unwrap().next().unwrap();
    good(
        Command::new(&python)
            .args(PIP)
            .args(["--no-deps", "--force-reinstall"])
            .arg(wheel.unwrap().path()),
    );
    // The installed package, not the one in the source folder.
    good(tests(&python, "test_python_version.py").env("KIROSU_SDK_INSTALLED", "1"));
    good(
        Command::new(&python)
            .args(["-m", "mypy", "--cache-dir"])
            .arg(folder.path().join("types"))
            .current_dir(PACKAGE),
    );
}
