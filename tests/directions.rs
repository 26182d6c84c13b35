//! Which room may know which: the table in docs/architecture.md, held against `cargo metadata`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// What each of our crates may import of ours. The front door (`kirosu`) wires everything and is not listed.
const OURS: &[(&str, &[&str])] = &[
    ("kirosu-protocol", &[]),
    ("kirosu-config", &[]),
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

/// What only some rooms may use of others' work.
const ALONE: &[(&str, &[&str])] = &[
    ("diesel", &["kirosu-store"]),
    ("diesel_migrations", &["kirosu-store"]),
    ("libsqlite3-sys", &["kirosu-store"]),
    ("config", &["kirosu-config"]),
    ("humantime-serde", &["kirosu-config"]),
    ("backoff", &["kirosu-supervision"]),
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
    ("utoipa", &["kirosu-gateway"]),
    ("rust-embed", &["kirosu-gateway"]),
    ("reqwest", &["kirosu-providers"]),
    ("process-wrap", &["kirosu-providers"]),
    ("agent-client-protocol", &["kirosu-providers"]),
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
    let mut faults = Vec::new();
    for (room, uses) in imports() {
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
