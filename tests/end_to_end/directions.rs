//! Allowed dependencies between crates: checks the table in docs/architecture.md against `cargo metadata`.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// The workspace crates that each crate may import. The binary crate (`kirosu`) may import all and is not listed.
const OURS: &[(&str, &[&str])] = &[
    ("kirosu-protocol", &[]),
    ("kirosu-config", &["kirosu-protocol"]),
    ("kirosu-store", &["kirosu-protocol"]),
    ("kirosu-supervision", &[]),
    ("kirosu-providers", &["kirosu-protocol"]),
    (
        "kirosu-hub",
        &["kirosu-protocol", "kirosu-supervision", "kirosu-store"],
    ),
    (
        "kirosu-swarm",
        &["kirosu-protocol", "kirosu-supervision", "kirosu-providers"],
    ),
    ("kirosu-gateway", &["kirosu-protocol", "kirosu-supervision"]),
    // The load and fault tools speak to a hub as strangers do, so that an error in our client cannot hide one in the hub.
    ("kirosu-load", &[]),
];

/// Third-party crates that only some crates may use.
const ALONE: &[(&str, &[&str])] = &[
    ("diesel", &["kirosu-store"]),
    ("diesel_migrations", &["kirosu-store"]),
    ("libsqlite3-sys", &["kirosu-store"]),
    ("config", &["kirosu-config"]),
    ("humantime-serde", &["kirosu-config"]),
    ("backoff", &["kirosu-supervision"]),
    ("jsonschema", &["kirosu-protocol"]),
    ("tokio-util", &["kirosu-protocol"]),
    ("clap", &["kirosu", "kirosu-load"]),
    ("clap_complete", &["kirosu"]),
    ("ratatui", &["kirosu"]),
    ("indicatif", &["kirosu"]),
    ("tracing-subscriber", &["kirosu"]),
    ("tracing-journald", &["kirosu"]),
    ("sd-notify", &["kirosu"]),
    ("actix-http", &["kirosu-gateway"]),
    ("actix-service", &["kirosu-gateway"]),
    ("actix-web", &["kirosu-gateway"]),
    ("rmcp", &["kirosu-gateway"]),
    ("utoipa", &["kirosu-gateway", "kirosu-protocol"]),
    ("http", &["kirosu-gateway"]),
    ("http-body-util", &["kirosu-gateway"]),
    ("reqwest", &["kirosu-providers"]),
    ("rustls", &["kirosu-providers"]),
    ("signal-hook-registry", &["kirosu-providers"]),
    ("mimalloc", &["kirosu"]),
    // Actors live in `actors/`; the front door starts the system they run on.
    (
        "actix",
        &[
            "kirosu-supervision",
            "kirosu-hub",
            "kirosu-swarm",
            "kirosu-gateway",
            "kirosu",
        ],
    ),
    (
        "actix-rt",
        &[
            "kirosu-supervision",
            "kirosu-hub",
            "kirosu-swarm",
            "kirosu-gateway",
            "kirosu",
        ],
    ),
];

/// Crates that only some folders of the binary crate may name in their code.
const WITHIN: &[(&str, &[&str])] = &[
    ("ratatui", &["src/console"]),
    ("sd_notify", &["src/notify"]),
    ("clap_complete", &["src/cli"]),
    ("tracing_subscriber", &["src/log"]),
    ("indicatif", &["src/cli/show", "src/demo"]),
];

/// Folders of the front door that know a hub only by the protocol, and what they must not name.
const STRANGERS: &[&str] = &["src/cli", "src/console"];
const INNER_ROOMS: &[&str] = &["kirosu_hub", "kirosu_store", "kirosu_swarm"];

/// Each package of the workspace with what it depends on, apart from what only its tests and examples use.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let name = |value: &Value| value["name"].as_str().expect("a name").to_owned();
    let packages = metadata["packages"].as_array().expect("packages");
    let of = |package: &Value| {
        let dependencies = package["dependencies"]
            .as_array()
            .expect("dependencies")
            .iter();
        dependencies
            .filter(|d| d["kind"] != "dev")
            .map(name)
            .collect()
    };
    packages
        .iter()
        .map(|package| (name(package), of(package)))
        .collect()
}

#[test]
fn rooms_import_only_what_the_plan_allows() {
    let imports = imports();
    let ours: BTreeMap<&str, &[&str]> = OURS.iter().copied().collect();
    let mut faults = Vec::new();
    for (room, uses) in imports.iter().filter(|(room, _)| *room != "kirosu") {
        let Some(allowed) = ours.get(room.as_str()) else {
            faults.push(format!("{room} is a room that the plan does not know"));
            continue;
        };
        for used in uses.iter().filter(|used| imports.contains_key(*used)) {
            if !allowed.contains(&used.as_str()) {
                faults.push(format!("{room} imports {used}"));
            }
        }
    }
    assert!(
        faults.is_empty(),
        "against docs/architecture.md: {faults:#?}"
    );
}

#[test]
fn what_belongs_to_one_room_is_used_by_it_alone() {
    let imports = imports();
    let mut faults = Vec::new();
    for (theirs, users) in ALONE {
        for user in *users {
            // An unused or misspelt name would allow the crate everywhere.
            if !imports[*user].contains(*theirs) {
                faults.push(format!("{user} is said to use {theirs}, and does not"));
            }
        }
    }
    for (room, uses) in imports {
        for (theirs, users) in ALONE {
            if uses.contains(*theirs) && !users.contains(&room.as_str()) {
                faults.push(format!(
                    "{room} uses {theirs}, which belongs to {}",
                    users.join(", ")
                ));
            }
        }
    }
    assert!(
        faults.is_empty(),
        "against docs/architecture.md: {faults:#?}"
    );
}

/// Every source file of the front door, by its path from the root, with its text.
fn front_door() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut folders, mut files) = (vec![root.join("src")], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                files.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files
}

/// Whether code (comments apart) names this crate.
fn names(text: &str, name: &str) -> bool {
    let code = text.lines().filter(|line| !line.trim().starts_with("//"));
    let word = |c: char| !(c.is_alphanumeric() || c == '_');
    code.flat_map(|line| line.split(word))
        .any(|word| word == name)
}

#[test]
fn folders_of_the_front_door_keep_to_their_own() {
    let files = front_door();
    let mut faults = Vec::new();
    for (theirs, folders) in WITHIN {
        let users: Vec<&String> = files
            .iter()
            .filter(|(_, text)| names(text, theirs))
            .map(|(file, _)| file)
            .collect();
        assert!(!users.is_empty(), "nobody names {theirs}");
        let others = users
            .iter()
            .filter(|file| !folders.iter().any(|folder| file.starts_with(folder)));
        faults.extend(others.map(|file| format!("{file} uses {theirs}")));
    }
    for (file, text) in &files {
        let strange = STRANGERS.iter().any(|folder| file.starts_with(folder));
        let inner = INNER_ROOMS.iter().filter(|room| names(text, room));
        faults.extend(
            inner
                .filter(|_| strange)
                .map(|room| format!("{file} uses {room}")),
        );
    }
    assert!(
        faults.is_empty(),
        "against docs/architecture.md: {faults:#?}"
    );
}
