//! Allowed dependencies between crates: checks `cargo metadata` against the rules in docs/architecture.md, except those about
//! features and about `fuzz/`, which is another workspace.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// The workspace crates that each crate may import. The binary crate (`kirosu`) may import all and is not listed.
const OURS: &[(&str, &[&str])] = &[
    ("kirosu-tls", &[]),
    ("kirosu-protocol", &["kirosu-tls"]),
    ("kirosu-config", &["kirosu-protocol", "kirosu-tls"]),
    ("kirosu-plan", &["kirosu-protocol"]),
    ("kirosu-store", &["kirosu-protocol"]),
    ("kirosu-supervision", &[]),
    ("kirosu-providers", &["kirosu-protocol"]),
    (
        "kirosu-hub",
        &[
            "kirosu-plan",
            "kirosu-protocol",
            "kirosu-supervision",
            "kirosu-store",
            "kirosu-tls",
        ],
    ),
    (
        "kirosu-swarm",
        &["kirosu-protocol", "kirosu-supervision", "kirosu-providers"],
    ),
    (
        "kirosu-gateway",
        &["kirosu-protocol", "kirosu-supervision", "kirosu-tls"],
    ),
    (
        "kirosu-notify",
        &["kirosu-protocol", "kirosu-supervision", "kirosu-providers"],
    ),
    // The load and fault tools have a client of their own, so that an error in ours cannot hide one in the hub.
    ("kirosu-load", &[]),
];

/// Third-party crates that only some crates may use.
const ALONE: &[(&str, &[&str])] = &[
    ("diesel", &["kirosu-store"]),
    ("diesel_migrations", &["kirosu-store"]),
    ("libsqlite3-sys", &["kirosu-store"]),
    ("config", &["kirosu-config"]),
    ("humantime-serde", &["kirosu-config"]),
    ("granit-parser", &["kirosu-plan"]),
    ("minijinja", &["kirosu-plan"]),
    ("backoff", &["kirosu-supervision"]),
    ("jsonschema", &["kirosu-protocol"]),
    ("tokio-util", &["kirosu-protocol"]),
    ("clap", &["kirosu", "kirosu-load"]),
    ("clap_complete", &["kirosu"]),
    ("ratatui", &["kirosu"]),
    ("indicatif", &["kirosu"]),
    ("csv", &["kirosu"]),
    ("globset", &["kirosu"]),
    ("walkdir", &["kirosu"]),
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
    ("reqwest", &["kirosu-providers", "kirosu-notify"]),
    ("base64", &["kirosu-notify"]),
    ("rustls", &["kirosu-providers", "kirosu-tls"]),
    ("tokio-rustls", &["kirosu-tls"]),
    ("rcgen", &["kirosu-tls"]),
    ("signal-hook-registry", &["kirosu-providers"]),
    ("mimalloc", &["kirosu"]),
    // Actors are in `actors/`; the binary starts the system on which they run.
    (
        "actix",
        &[
            "kirosu-supervision",
            "kirosu-hub",
            "kirosu-swarm",
            "kirosu-gateway",
            "kirosu-notify",
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

/// Crates that only some folders of the binary may name in their code.
const WITHIN: &[(&str, &[&str])] = &[
    ("ratatui", &["src/console"]),
    ("sd_notify", &["src/systemd"]),
    ("clap_complete", &["src/cli"]),
    // In `map` it is the name of a flag.
    ("csv", &["src/cli/sources", "src/cli/map"]),
    ("globset", &["src/cli/sources"]),
    ("walkdir", &["src/cli/sources"]),
    ("tracing_subscriber", &["src/log"]),
    ("indicatif", &["src/cli/show", "src/demo"]),
];

/// Folders of the binary that know a hub only by the protocol, and the crates that they must not name. The gateway, which
/// `kirosu mcp` runs, is a client of the hub, too.
const CLIENTS: &[&str] = &["src/cli", "src/console"];
const INNER_CRATES: &[&str] = &["kirosu_hub", "kirosu_store", "kirosu_swarm"];

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
fn crates_import_only_what_the_document_allows() {
    let imports = imports();
    let ours: BTreeMap<&str, &[&str]> = OURS.iter().copied().collect();
    let mut faults = Vec::new();
    for (user, uses) in imports.iter().filter(|(user, _)| *user != "kirosu") {
        let Some(allowed) = ours.get(user.as_str()) else {
            faults.push(format!("{user} is a crate that the document does not know"));
            continue;
        };
        for used in uses.iter().filter(|used| imports.contains_key(*used)) {
            if !allowed.contains(&used.as_str()) {
                faults.push(format!("{user} imports {used}"));
            }
        }
    }
    assert!(
        faults.is_empty(),
        "against docs/architecture.md: {faults:#?}"
    );
}

#[test]
fn third_party_crates_of_one_crate_are_used_by_it_alone() {
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
    for (user, uses) in imports {
        for (theirs, users) in ALONE {
            if uses.contains(*theirs) && !users.contains(&user.as_str()) {
                faults.push(format!(
                    "{user} uses {theirs}, which belongs to {}",
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

/// Every source file of the binary, by its path from the root, with its text.
fn sources_of_the_binary() -> Vec<(String, String)> {
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
fn folders_of_the_binary_name_only_their_crates() {
    let files = sources_of_the_binary();
    let mut faults = Vec::new();
    for (theirs, folders) in WITHIN {
        let users: Vec<&String> = files
            .iter()
            .filter(|(_, text)| names(text, theirs))
            .map(|(file, _)| file)
            .collect();
        assert!(!users.is_empty(), "no file names {theirs}");
        let others = users
            .iter()
            .filter(|file| !folders.iter().any(|folder| file.starts_with(folder)));
        faults.extend(others.map(|file| format!("{file} uses {theirs}")));
    }
    for (file, text) in &files {
        let is_client = CLIENTS.iter().any(|folder| file.starts_with(folder));
        let inner = INNER_CRATES.iter().filter(|inner| names(text, inner));
        faults.extend(
            inner
                .filter(|_| is_client)
                .map(|inner| format!("{file} uses {inner}")),
        );
    }
    assert!(
        faults.is_empty(),
        "against docs/architecture.md: {faults:#?}"
    );
}
