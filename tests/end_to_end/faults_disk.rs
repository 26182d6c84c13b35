//! A full disk: the hub reports it, loses nothing, and continues when there is space again. Its log is on the same disk, as with
//! `kirosu up 2> log`.
//!
//! The disk is "full" by the hub's limit of file size, which needs no rights and can be lifted again: every write beyond
//! it fails. (`kirosu-torture --nemesis fill` does the same with a real file system.)

use crate::common::{Client, Setup, sentence, until, word};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A hub that gets an error rather than a signal from a write beyond its limit.
struct Full {
    child: Child,
    port: u16,
    setup: Setup,
}

impl Full {
    fn start() -> Full {
        Full::with_room(Setup::new(), "unlimited")
    }

    /// Starts with a file size limit of `blocks` blocks of 512 bytes.
    fn with_room(setup: Setup, blocks: &str) -> Full {
        let hub = setup.command();
        // An ignored signal stays ignored in the program that follows.
        let mut command = Command::new("sh");
        let limit = format!("trap '' XFSZ; ulimit -S -f {blocks}; exec \"$0\" \"$@\"");
        command.args(["-c", &limit]);
        command.arg(hub.get_program()).args(hub.get_args());
        let log = std::fs::File::create(setup.directory.path().join("hub.log")).unwrap();
        let mut child = command
            .env_clear()
            .envs(
                hub.get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .current_dir(setup.directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("sh starts");
        let mut first = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut first).unwrap();
        let port = first.trim().rsplit(':').next().unwrap().parse();
        let port = port.unwrap_or_else(|_| panic!("no port in {first:?}"));
        Full { child, port, setup }
    }

    /// The longest that files may be from now on.
    fn room(&self, bytes: Option<u64>) {
        let limit = Rlimit {
            current: bytes,
            maximum: None,
        };
        prlimit(Some(Pid::from_child(&self.child)), Resource::Fsize, limit).unwrap();
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Enqueues until it is refused, and returns the refusal. Answered ids are appended to `made`.
fn until_refused(client: &mut Client, made: &mut Vec<i64>) -> Value {
    until("the disk is full", || {
        let sent = client.send("enqueue", json!({"prompt": "x".repeat(2_000)}));
        let answer = client.answer(sent);
        made.extend(answer["result"]["task_id"].as_i64());
        answer["error"].is_object().then(|| answer["error"].clone())
    })
}

#[test]
fn a_full_disk_is_an_error_and_not_the_end() {
    let mut hub = Full::start();
    let mut client = Client::connect(hub.port);
    let held = client.enqueue("held by a worker");
    let lease = client.lease(json!({"lease_seconds": 60}));
    let mut made = vec![held];
    // No byte more; and a limit somewhere in the log, where a write is torn.
    for room in [0, 60_000, 0] {
        hub.room(Some(room));
        let error = until_refused(&mut client, &mut made);
        assert_eq!(word(&error), "internal", "{error}");
        assert!(sentence(&error).contains("send it again"), "{error}");
        // A program reads the same as a person.
        let words = match error["data"]["effect"].as_str() {
            Some("none") => "the request had no effect",
            Some("unknown") => "is unknown",
            other => panic!("no effect {other:?} in {error}"),
        };
        assert!(sentence(&error).contains(words), "{error}");
        hub.room(None);
        let id = until("there is room again", || {
            let sent = client.send("enqueue", json!({"prompt": "after"}));
            client.answer(sent)["result"]["task_id"].as_i64()
        });
        made.push(id);
    }
    let ack = json!({"task_id": held, "fence": lease["fence"], "status": "done", "result": "r"});
    client.call("ack", ack);
    let listed = client.call("list", json!({"limit": 0}));
    let mut ids = crate::common::ids(&listed);
    ids.sort_unstable();
    assert_eq!(
        ids, made,
        "each answered enqueue is there, and no refused one"
    );
    assert_eq!(listed["stats"]["done"], 1);
    kill_process(Pid::from_child(&hub.child), Signal::TERM).unwrap();
    let status = until("the hub ended", || hub.child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
    assert!(hub.setup.database().exists());
}

#[test]
fn a_hub_that_starts_on_a_full_disk_shows_what_is_there_and_goes_on_when_there_is_room() {
    for killed in [true, false] {
        let mut hub = crate::common::Hub::start();
        let mut client = hub.client();
        let first = client.enqueue("first");
        let lease = client.lease(json!({"lease_seconds": 60}));
        client.enqueue("second");
        let setup = match killed {
            true => hub.kill(),
            false => {
                hub.signal(Signal::TERM);
                assert!(hub.ended().success());
                hub.setup.clone()
            }
        };
        let hub = Full::with_room(setup, "0");
        let mut client = Client::connect(hub.port);
        assert_eq!(client.call("stats", json!({}))["stats"]["leased"], 1);
        assert_eq!(crate::common::ids(&client.call("list", json!({}))), [2, 1]);
        assert_eq!(client.task(first)["prompt"], "first");
        let ack =
            json!({"task_id": first, "fence": lease["fence"], "status": "done", "result": "r"});
        for (method, params) in [
            ("enqueue", json!({"prompt": "third"})),
            ("ack", ack.clone()),
        ] {
            let error = client.refused(method, params);
            assert_eq!(error["data"]["effect"], "none", "{error}");
        }
        hub.room(None);
        until("there is room", || {
            let sent = client.send("ack", ack.clone());
            client.answer(sent)["error"].is_null().then_some(())
        });
        assert_eq!(client.enqueue("third"), 3);
        assert_eq!(client.status(first), "done");
    }
}

/// The tasks of a long lease answer are serialized by a reader. One that cannot open the store answers with an error; the
/// leases must not last until they expire.
#[test]
fn leases_whose_answer_cannot_be_made_go_back_to_the_queue() {
    let setup = Setup::new();
    let hub = setup.start();
    let mut client = hub.client();
    let task = client.enqueue(&"x".repeat(300 << 10));
    // The first query of a reader opens the file.
    let (file, away) = (setup.database(), setup.directory.path().join("away"));
    std::fs::rename(&file, &away).unwrap();
    std::fs::create_dir(&file).unwrap();
    let refused = client.refused("lease", json!({}));
    assert_eq!(word(&refused), "internal", "{refused}");
    std::fs::remove_dir(&file).unwrap();
    std::fs::rename(&away, &file).unwrap();
    until("the task is queued again", || {
        (client.status(task) == "queued").then_some(())
    });
}
