//! The files of `make install`: complete, accepted by systemd's own checkers, and with settings that the binary reads.
//! (`tests/end_to_end/systemd.rs` has what the process and systemd say to each other.)

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const UNITS: [&str; 3] = [
    "kirosu.service",
    "kirosu-hub.service",
    "kirosu-agent@.service",
];
const BINARY: &str = env!("CARGO_BIN_EXE_kirosu");

fn run(command: &mut Command, package: &str) -> Output {
    let name = command.get_program().to_owned();
    command.output().unwrap_or_else(|error| {
        panic!("{name:?} cannot be run ({error}): install the Debian package {package}")
    })
}

/// Both streams, of a command that must succeed.
fn good(command: &mut Command, package: &str) -> String {
    let output = run(command, package);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

fn make(arguments: &[&str]) {
    let mut make = Command::new("make");
    make.current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("MAKEFLAGS")
        .arg(format!("BINARY={BINARY}"))
        .args(arguments);
    good(&mut make, "make");
}

/// Everything below a folder that is no folder, in order.
fn files(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let below = path.strip_prefix(root).unwrap();
                    found.push(below.display().to_string());
                }
            }
        }
    }
    found.sort();
    found
}

/// A package's tree, as a packager makes it.
fn package() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let dest = format!("DESTDIR={}", root.path().display());
    make(&["install", &dest, "PREFIX=/usr"]);
    root
}

#[test]
fn install_lays_down_what_uninstall_takes_away_and_keeps_settings() {
    let root = package();
    let expected = [
        "etc/kirosu/kirosu.toml",
        "usr/bin/kirosu",
        "usr/lib/systemd/system/kirosu-agent@.service",
        "usr/lib/systemd/system/kirosu-hub.service",
        "usr/lib/systemd/system/kirosu.service",
        "usr/lib/sysusers.d/kirosu.conf",
        "usr/lib/tmpfiles.d/kirosu.conf",
        "usr/share/bash-completion/completions/kirosu",
        "usr/share/fish/vendor_completions.d/kirosu.fish",
        "usr/share/zsh/site-functions/_kirosu",
    ];
    assert_eq!(files(root.path()), expected);
    for unit in UNITS {
        let unit = root.path().join("usr/lib/systemd/system").join(unit);
        let unit = std::fs::read_to_string(unit).unwrap();
        assert!(unit.contains("\nExecStart=/usr/bin/kirosu "), "{unit}");
        assert!(!unit.contains("/usr/local/bin/kirosu"), "{unit}");
    }
    let settings = root.path().join("etc/kirosu/kirosu.toml");
    std::fs::write(&settings, "# mine\n").unwrap();
    let dest = format!("DESTDIR={}", root.path().display());
    make(&["install", &dest, "PREFIX=/usr"]);
    make(&["uninstall", &dest, "PREFIX=/usr"]);
    assert_eq!(files(root.path()), expected[..1]);
    assert_eq!(std::fs::read_to_string(&settings).unwrap(), "# mine\n");
}

#[test]
fn systemd_accepts_units_account_and_folders() {
    // Without DESTDIR: the units then name the binary where it is, which `verify` looks for.
    let root = tempfile::tempdir().unwrap();
    let at = |below: &str| root.path().join(below).display().to_string();
    let (prefix, etc) = (at("usr"), at("etc"));
    make(&[
        "install",
        &format!("PREFIX={prefix}"),
        &format!("SYSCONFDIR={etc}"),
    ]);
    let said = good(
        Command::new("systemd-analyze").args([
            "verify",
            "--man=no",
            &at("usr/lib/systemd/system/kirosu.service"),
            &at("usr/lib/systemd/system/kirosu-hub.service"),
            &at("usr/lib/systemd/system/kirosu-agent@coders.service"),
        ]),
        "systemd",
    );
    let about_ours: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("kirosu"))
        .collect();
    assert!(about_ours.is_empty(), "{about_ours:#?}");
    let said = good(
        Command::new("systemd-sysusers").args(["--dry-run", &at("usr/lib/sysusers.d/kirosu.conf")]),
        "systemd",
    );
    assert!(!said.contains("gnoring"), "{said}");
    // It has no dry run on Debian 12; in a root of its own, without the account, it gets as far as asking for it.
    let said = run(
        Command::new("systemd-tmpfiles").args([
            "--create",
            &format!("--root={}", root.path().display()),
            &at("usr/lib/tmpfiles.d/kirosu.conf"),
        ]),
        "systemd",
    );
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    let other = |line: &&str| !line.contains("Failed to resolve");
    assert_eq!(said.lines().find(other), None, "{said}");
}

/// The lines of one unit that close something, in order.
fn closed(unit: &str) -> Vec<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("deploy/systemd");
    let text = std::fs::read_to_string(path.join(unit)).unwrap();
    let from = text.find("NoNewPrivileges=").unwrap();
    let lines = text[from..].lines().take_while(|line| *line != "[Install]");
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn both_units_are_closed_alike_and_stop_later_than_the_drain() {
    let hub = closed("kirosu.service");
    assert!(hub.len() > 20);
    assert_eq!(hub, closed("kirosu-agent@.service"));
    // The hub alone is closed at least as far.
    let alone = closed("kirosu-hub.service");
    let names = |lines: &[String]| -> Vec<String> {
        let name = |line: &String| line.split('=').next().unwrap_or_default().to_owned();
        lines.iter().map(name).collect()
    };
    let missing: Vec<String> = names(&hub)
        .into_iter()
        .filter(|it| !names(&alone).contains(it))
        .collect();
    assert_eq!(missing, [""; 0]);
    let root = package();
    let settings = root.path().join("etc/kirosu/kirosu.toml");
    let mut show = Command::new(BINARY);
    // The variables of the units that affect the settings.
    show.env_clear().env("KIROSU_HUB__KEY_FILE", "");
    show.args(["config", "show", "--json", "--config"])
        .arg(&settings);
    let shown: serde_json::Value = serde_json::from_str(&good(&mut show, "kirosu")).unwrap();
    let value = |pointer: &str| shown.pointer(pointer).unwrap()["value"].clone();
    assert_eq!(
        value("/data_dir"),
        "/var/lib/kirosu",
        "the units' state folder"
    );
    let drain = seconds(value("/shutdown/drain").as_str().unwrap());
    for unit in UNITS {
        let unit = root.path().join("usr/lib/systemd/system").join(unit);
        let unit = std::fs::read_to_string(unit).unwrap();
        let line = unit
            .lines()
            .find_map(|line| line.strip_prefix("TimeoutStopSec="));
        assert!(seconds(line.unwrap()) > drain, "{line:?}");
    }
}

/// Of `90s`.
fn seconds(text: &str) -> u64 {
    let number = text.strip_suffix('s').expect("seconds");
    number.parse().unwrap()
}
