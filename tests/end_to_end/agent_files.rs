//! Files that an agent leaves for Kirosu to read: links to secrets, FIFOs, files without end.

use crate::common::{Client, Hub, Setup, until};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::os::unix::fs::symlink;
use std::path::PathBuf;

const SECRET: &str = "sk-live-of-the-hub";

/// `kirosu up` with a pool `sh`, which runs prompts as shell scripts, and a pool `cat`, whose results are its prompts; both
/// work in one folder.
fn start() -> (Hub, PathBuf) {
    let setup = Setup::new().up();
    let folder = setup.directory.path().join("work");
    std::fs::create_dir_all(folder.join(".kiro/settings")).unwrap();
    let workdir = folder.display();
    let hub = setup
        .environment("OPENAI_API_KEY", SECRET)
        .set("providers.sh.kind=command")
        .set("providers.sh.command=[\"sh\"]")
        .set("providers.cat.kind=command")
        .set("providers.cat.command=[\"cat\"]")
        .set("providers.cat.env_pass=[\"NOTHING\"]")
        .set("pool.sh.provider=sh")
        .set("pool.sh.queues=[\"sh\"]")
        .set(&format!("pool.sh.workdir={workdir}"))
        .set("pool.cat.provider=cat")
        .set("pool.cat.queues=[\"cat\"]")
        .set(&format!("pool.cat.workdir={workdir}"))
        .start();
    (hub, folder)
}

/// The task after its end, with its output.
fn ran(client: &mut Client, queue: &str, prompt: &str) -> Value {
    let id = client.enqueue_with(json!({"prompt": prompt, "queue": queue, "max_attempts": 1}));
    let ended = client.call("wait", json!({"task_ids": [id], "timeout_seconds": 30}));
    assert_eq!(ended["finished"], true, "{ended}");
    client.call("get", json!({"task_id": id, "output": true}))
}

#[test]
fn a_context_that_is_a_link_or_a_fifo_is_not_read_and_the_task_says_so() {
    let (mut hub, folder) = start();
    let mut client = hub.client();
    let context = folder.join(".kiro/context.md");
    let store = hub.setup.database();
    for target in [PathBuf::from("/proc/self/environ"), store] {
        symlink(&target, &context).unwrap();
        let got = ran(&mut client, "cat", "the next task");
        assert_eq!(got["task"]["result"], "the next task", "{got}");
        let text = got.to_string();
        assert!(!text.contains(SECRET) && !text.contains("SQLite"), "{text}");
        assert!(
            text.contains("context.md is ignored: it is a link"),
            "{text}"
        );
        std::fs::remove_file(&context).unwrap();
    }
    // The folder of the file is a link.
    let outside = hub.setup.directory.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("context.md"), SECRET).unwrap();
    std::fs::rename(folder.join(".kiro"), folder.join("aside")).unwrap();
    symlink(&outside, folder.join(".kiro")).unwrap();
    let got = ran(&mut client, "cat", "the next task");
    assert_eq!(got["task"]["result"], "the next task", "{got}");
    std::fs::remove_file(folder.join(".kiro")).unwrap();
    std::fs::rename(folder.join("aside"), folder.join(".kiro")).unwrap();

    let got = ran(&mut client, "sh", "mkfifo .kiro/context.md");
    assert_eq!(got["task"]["status"], "done", "{got}");
    let got = ran(&mut client, "cat", "after the fifo");
    assert_eq!(got["task"]["result"], "after the fifo", "{got}");
    assert!(got.to_string().contains("it is a FIFO"), "{got}");
    until("the log has it", || {
        hub.log().contains("is ignored").then_some(())
    });
    hub.signal(Signal::TERM);
    assert!(hub.ended().success());
}

#[test]
fn a_regular_context_is_used_up_to_its_limit() {
    let (hub, folder) = start();
    let mut client = hub.client();
    let context = folder.join(".kiro/context.md");
    std::fs::write(&context, "House rules.\n").unwrap();
    let got = ran(&mut client, "cat", "x");
    let result = got["task"]["result"].as_str().unwrap().to_owned();
    assert!(result.starts_with("House rules."), "{result}");
    let file = std::fs::File::options().write(true).open(&context).unwrap();
    file.set_len(1 << 40).unwrap();
    let got = ran(&mut client, "cat", "x");
    assert_eq!(got["task"]["status"], "done", "{got}");
}

#[test]
fn a_usage_file_that_is_a_fifo_does_not_stop_the_hub() {
    for (kind, reason) in [
        ("mkfifo $0", "it is a FIFO"),
        ("ln -s /proc/self/environ $0", "it is a link"),
        ("truncate -s 1T $0", "it is longer than 1 MiB"),
        ("mkdir $0", "it is a folder"),
    ] {
        let mut hub = Setup::new()
            .up()
            .set("providers.u.kind=command")
            .set(&format!(
                "providers.u.command=[\"sh\", \"-c\", \"{kind}; echo fine\", \"{{usage_file}}\"]"
            ))
            .set("pool.u.provider=u")
            .start();
        let mut client = hub.client();
        let got = ran(&mut client, "default", "x");
        assert_eq!(got["task"]["result"], "fine", "{got}");
        let said = got.to_string();
        assert!(said.contains("reports its usage is ignored"), "{said}");
        assert!(said.contains(reason), "{said}");
        assert!(hub.log().contains(reason), "{}", hub.log());
        client.call("stats", json!({}));
        hub.signal(Signal::TERM);
        assert!(hub.ended().success());
    }
}
