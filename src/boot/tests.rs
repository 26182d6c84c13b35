//! The running tree of each role, compared with the drawing in `docs/architecture.md`.

use super::{App, Role, start};
use crate::systemd::Manager;
use kirosu_config::{HubPort, LoadOptions, Settings};
use kirosu_supervision::{ChildSnapshot, label_this_thread};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

const DOCUMENT: &str = include_str!("../../docs/architecture.md");
/// Every part of the tree is enabled, with one child for each numbered name.
const SETTINGS: &str = r#"
hub = { host = "127.0.0.1", port = 0 }
gateway = { enabled = true, port = 0 }
metrics = { enabled = true, port = 0 }
store = { readers = 1 }
[[pool]]
name = "p"
provider = "echo"
size = 1
[[notify]]
name = "t"
kind = "desktop"
"#;

/// The children of these parts as drawn: depth and name, strategy, restart kind, thread.
fn drawn(parts: &[&str]) -> Vec<Vec<String>> {
    let block = DOCUMENT.split("```").find(|it| it.contains("\nroot "));
    let mut lines = block.unwrap().lines().skip(1);
    let header = lines.next().unwrap();
    let starts = ["child", "strategy", "restart", "thread", "part of", "task"]
        .map(|title| header.find(title).unwrap());
    let mut children = Vec::new();
    for line in lines {
        let chars: Vec<char> = line.chars().collect();
        let column = |index: usize| -> String {
            let column: String = chars[starts[index]..starts[index + 1]].iter().collect();
            column.trim_end().to_owned()
        };
        if parts.contains(&column(4).as_str()) {
            let name = column(0);
            let plain = name.trim_start_matches(['│', '├', '└', '─', ' ']);
            // Each level of the drawing is four characters wide.
            let depth = (name.chars().count() - plain.chars().count()) / 4;
            let name = format!("{depth} {plain}");
            children.push(vec![name, column(1), column(2), column(3)]);
        }
    }
    children
}

fn live(node: &ChildSnapshot, depth: usize, children: &mut Vec<Vec<String>>) {
    let word = |it: &dyn std::fmt::Debug| snake_case(&format!("{it:?}"));
    let strategy = match (node.strategy, node.dynamic) {
        (Some(strategy), _) => word(&strategy),
        (None, Some(restart)) => format!("dynamic, {}", word(&restart)),
        (None, None) => "-".to_owned(),
    };
    let name = node.id.to_string();
    let name = match name.as_str() {
        "1" => "N",
        "p" => "POOL",
        "t" => "TARGET",
        name => name,
    };
    let thread = node.thread.as_deref().unwrap_or("none").replace("-1", "-N");
    children.push(vec![
        format!("{depth} {name}"),
        strategy,
        word(&node.restart),
        thread,
    ]);
    if node.dynamic.is_none() {
        for child in &node.children {
            live(child, depth + 1, children);
        }
    }
}

/// `OneForOne` -> `one_for_one`.
fn snake_case(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

async fn launched(app: &App) -> ChildSnapshot {
    fn is_launched(node: &ChildSnapshot) -> bool {
        node.thread.is_some() && node.children.iter().all(is_launched)
    }
    let mut events = app.root.tree().subscribe();
    loop {
        let tree = app.root.tree().snapshot();
        if is_launched(&tree) {
            return tree;
        }
        let event = tokio::time::timeout(Duration::from_secs(30), events.recv());
        event.await.expect("the tree starts").unwrap();
    }
}

async fn tree_of(role: Role, directory: &Path) -> ChildSnapshot {
    let file = directory.join("kirosu.toml");
    std::fs::write(&file, SETTINGS).unwrap();
    let options = LoadOptions {
        file: Some(file),
        here: directory.to_owned(),
        ..LoadOptions::default()
    };
    let mut loaded = Settings::load(options).unwrap();
    loaded.settings.store.path = directory.join("kirosu.db");
    if !role.has_hub() {
        // Where no hub listens.
        loaded.settings.hub.port = HubPort::Number(1);
    }
    label_this_thread("main");
    let app = start(&loaded, role, Some(Manager::default()))
        .await
        .unwrap();
    let tree = launched(&app).await;
    app.stop().await;
    tree
}

fn check(role: Role, parts: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    let tree = actix_rt::System::new().block_on(tree_of(role, directory.path()));
    let mut children = Vec::new();
    live(&tree, 0, &mut children);
    assert_eq!(
        children,
        drawn(parts),
        "{role:?}: docs/architecture.md on the right"
    );
}

#[test]
fn the_tree_of_a_hub_is_as_documented() {
    check(Role::Hub, &["all", "hub", "gateway"]);
}

#[test]
fn the_tree_of_a_hub_with_pools_is_as_documented() {
    check(Role::HubAndPools, &["all", "hub", "pools", "gateway"]);
}

#[test]
fn the_tree_of_agents_is_as_documented() {
    check(Role::Pools, &["all", "pools"]);
}

#[test]
fn the_tree_of_a_gateway_is_as_documented() {
    check(Role::Gateway, &["all", "gateway"]);
}

/// Metrics have the kinds as a label, so a renamed actor must not change one.
#[test]
fn the_kinds_of_actors_stay() {
    fn kinds(node: &ChildSnapshot, found: &mut BTreeSet<String>) {
        found.insert(node.kind.to_string());
        // Children of dynamic supervisors come and go.
        if node.dynamic.is_none() {
            for child in &node.children {
                kinds(child, found);
            }
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let up = tree_of(Role::HubAndPools, directory.path());
    let tree = actix_rt::System::new().block_on(up);
    let mut found = BTreeSet::new();
    kinds(&tree, &mut found);
    let expected = [
        "bus",
        "conductor",
        "drain",
        "http",
        "leases",
        "listener",
        "metrics",
        "pool",
        "pool-reports",
        "probe",
        "reader",
        "reaper",
        "session",
        "sessions",
        "supervisor",
        "systemd",
        "target",
        "watchdog",
        "writer",
    ];
    assert_eq!(found.iter().collect::<Vec<_>>(), expected);
}
