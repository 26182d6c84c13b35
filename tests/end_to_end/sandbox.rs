//! `sandbox = "workspace"`: runs write their folder only, and neither read Kirosu's files nor signal its processes.

use crate::bounds::{ended, enqueue, setup};
use crate::common::{Hub, Setup};
use serde_json::json;
use std::fs;
use std::net::TcpListener;
use std::path::Path;

/// Whether this kernel has no Landlock, which the test then reports.
pub fn cannot_be_enforced() -> bool {
    let bounds = kirosu_providers::RunBounds {
        sandbox: Some(kirosu_providers::Sandbox::default()),
        ..Default::default()
    };
    let found = bounds.check(&kirosu_providers::Cgroups::expected());
    found
        .inspect_err(|why| eprintln!("skipped: {why}"))
        .is_err()
}

/// A pool of shell scripts in a sandbox, in private folders of a data folder of its own.
fn sandboxed() -> Setup {
    let setup = setup();
    let data = setup.directory.path().join("data");
    fs::create_dir(setup.directory.path().join("outside")).unwrap();
    setup
        .set(&format!("data_dir={}", data.display()))
        .set("pool.p.workspace=ephemeral")
        .set("pool.p.sandbox=workspace")
}

fn result(hub: &Hub, script: &str) -> String {
    let task = ended(hub, enqueue(hub, script));
    assert_eq!(task["status"], "done", "{task}");
    task["result"].as_str().unwrap().to_owned()
}

#[test]
fn a_run_writes_its_folder_its_temporary_files_and_named_paths_only() {
    if cannot_be_enforced() {
        return;
    }
    let setup = sandboxed();
    let named = setup.directory.path().join("named");
    fs::create_dir(&named).unwrap();
    let hub = setup
        .set(&format!("pool.p.sandbox_write={}", json!([named])))
        .start();
    let folder = hub.setup.directory.path();
    let outside = folder.join("outside");
    fs::write(outside.join("kept"), "kept").unwrap();
    let script = format!(
        r#"
        says() {{ if sh -c "$2" 2>/dev/null >/dev/null; then echo "$1 yes"; else echo "$1 no"; fi; }}
        says folder 'echo x >inside && mkdir sub && mv inside sub/ && rm -r sub'
        says temporary 'echo x >"$TMPDIR/x"'
        says null 'echo x >/dev/null'
        says named 'echo x >{named}/x'
        says create 'echo x >{outside}/new'
        says change 'echo x >>{outside}/kept'
        says truncate ': >{outside}/kept'
        says remove 'rm {outside}/kept'
        says move_in 'mv {outside}/kept .'
        says link 'ln {outside}/kept .'
        says through_link 'ln -s {outside} l && echo x >l/new'
        says common_temporary 'echo x >{outside}/../../kirosu-planted'
        says read 'cat {outside}/kept'
        says list 'ls /'
        echo "$TMPDIR"
        "#,
        named = named.display(),
        outside = outside.display()
    );
    let found = result(&hub, &script);
    let (found, temporary) = found.rsplit_once('\n').unwrap();
    let yes = ["folder", "temporary", "null", "named", "read", "list"];
    for line in found.lines() {
        let (what, is) = line.trim().split_once(' ').unwrap();
        let expected = if yes.contains(&what) { "yes" } else { "no" };
        assert_eq!(is, expected, "{what}");
    }
    assert_eq!(found.lines().count(), 14, "{found}");
    assert_eq!(fs::read_to_string(outside.join("kept")).unwrap(), "kept");
    crate::common::until("the removal of its temporary files", || {
        (!Path::new(temporary).exists()).then_some(())
    });
}

#[test]
fn kirosus_own_files_and_processes_are_out_of_reach() {
    if cannot_be_enforced() {
        return;
    }
    let setup = sandboxed();
    let hub = setup.start();
    let folder = hub.setup.directory.path();
    // The key of the hub's own, which is made for hubs without a key.
    let data = folder.join("data");
    fs::write(data.join("secret"), "secret").unwrap();
    let signals = kirosu_providers::signals_missing();
    if let Some(why) = signals {
        eprintln!("signals are not tested: {why}");
    }
    let script = format!(
        r#"
        says() {{ if sh -c "$2" 2>/dev/null >/dev/null; then echo "$1 yes"; else echo "$1 no"; fi; }}
        says data 'cat {data}/secret'
        says key 'cat {data}/hub.key'
        says store 'cat {store}'
        says linked 'ln {data}/secret s && cat s'
        says by_link 'ln -s {data} d && cat d/secret'
        says own_folder 'echo x >x && cat x'
        says runner 'kill -0 {runner}'
        says hub 'kill -0 {hub}'
        says environment 'head -c 1 /proc/{hub}/environ'
        says memory ': </proc/{hub}/mem'
        "#,
        data = data.display(),
        store = hub.setup.database().display(),
        runner = "$PPID",
        hub = hub.pid()
    );
    // The shell of the run knows its runner; its own children do not.
    let script = script.replace("'kill -0 $PPID'", "\"kill -0 $PPID\"");
    let found = result(&hub, &script);
    for line in found.lines() {
        let (what, is) = line.trim().split_once(' ').unwrap();
        let is_open =
            what == "own_folder" || signals.is_some() && ["runner", "hub"].contains(&what);
        assert_eq!(is, if is_open { "yes" } else { "no" }, "{what}");
    }
    assert_eq!(found.lines().count(), 10, "{found}");
}

#[test]
fn without_network_a_run_reaches_only_the_hub() {
    if cannot_be_enforced() {
        return;
    }
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut setup = sandboxed().set("pool.p.sandbox_network=false");
    setup.port = free.local_addr().unwrap().port();
    drop(free);
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let hub = setup.start();
    let script = format!(
        r#"exec python3 -c '
import socket
def says(what, attempt):
    try:
        attempt()
        print(what, "yes")
    except OSError:
        print(what, "no")
says("hub", lambda: socket.create_connection(("127.0.0.1", {hub})))
says("other", lambda: socket.create_connection(("127.0.0.1", {other})))
says("udp", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
says("udp6", lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC))
says("netlink", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))
says("multipath", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262))
says("listen", lambda: socket.create_server(("127.0.0.1", 0)))
says("pair", lambda: socket.socketpair())
'"#,
        hub = hub.port,
        other = other.local_addr().unwrap().port()
    );
    let found = result(&hub, &script);
    let expected =
        "hub yes\nother no\nudp no\nudp6 no\nnetlink no\nmultipath no\nlisten no\npair yes";
    assert_eq!(found, expected);
}

#[test]
fn python_tasks_and_hooks_are_in_the_sandbox_too() {
    if cannot_be_enforced() {
        return;
    }
    let setup = sandboxed();
    let outside = setup.directory.path().join("outside");
    let hook = json!([
        "sh",
        "-c",
        format!("echo x >inside; echo x >{}/hook", outside.display())
    ]);
    let hub = setup
        .set("hub.trust_all_tools=true")
        .set("pool.p.trust_all_tools=true")
        .set(&format!("pool.p.hooks={{ before = {hook} }}"))
        .start();
    let mut client = hub.client();
    // The hook before the run fails, because it writes outside; without it the run could start.
    let id = client.enqueue_with(json!({"prompt": "true", "max_attempts": 1}));
    let task = ended(&hub, id);
    assert_eq!(task["status"], "failed", "{task}");
    assert!(!outside.join("hook").exists());
}
