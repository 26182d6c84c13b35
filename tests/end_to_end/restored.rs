//! Stores that are put back: `kirosu restore`, a copy by hand, and a log that belongs to another file.

use crate::common::{Setup, sentence, word};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::Output;

fn kirosu(setup: &Setup, args: &[&str]) -> Output {
    std::process::Command::new(env!("CARGO_BIN_EXE_kirosu"))
        .args(args)
        .env_clear()
        .env("HOME", setup.directory.path())
        .current_dir(setup.directory.path())
        .output()
        .unwrap()
}

fn restore(setup: &Setup, file: &str, more: &[&str]) -> Output {
    let (db, data) = (setup.database(), setup.directory.path().join("data"));
    let data = format!("data_dir={}", data.display());
    let mut args = vec![
        "restore",
        file,
        "--db",
        db.to_str().unwrap(),
        "--set",
        &data,
    ];
    args.extend(more);
    kirosu(setup, &args)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A killed hub that has made a backup, and then given a task to a worker that still works on it.
fn killed() -> (Setup, PathBuf, Value) {
    let setup = Setup::new();
    let data = setup.directory.path().join("data");
    let setup = setup.set(&format!("data_dir={}", data.display()));
    let hub = setup.clone().start();
    let mut client = hub.client();
    client.enqueue_with(json!({"prompt": "from yesterday", "queue": "old"}));
    let backup = client.call("backup", json!({"name": "nightly.db"}));
    let refused = restore(&setup, "nightly.db", &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        stderr(&refused).contains("another hub has it"),
        "{refused:?}"
    );
    client.enqueue("BOB");
    let lease = client.lease(json!({"worker_id": "w1"}));
    hub.kill();
    (setup, backup["path"].as_str().unwrap().into(), lease)
}

#[test]
fn a_worker_of_before_the_restore_is_refused_and_no_id_comes_again() {
    for by_hand in [false, true] {
        let (setup, backup, lost) = killed();
        if by_hand {
            fs::remove_file(setup.directory.path().join("kirosu.db-wal")).unwrap();
            fs::copy(&backup, setup.database()).unwrap();
        } else {
            let restored = restore(&setup, "nightly.db", &["--json"]);
            assert!(restored.status.success(), "{}", stderr(&restored));
            let told: Value = serde_json::from_slice(&restored.stdout).unwrap();
            assert_eq!(told["replaced"].as_array().unwrap().len(), 2, "{told}");
            for kept in told["replaced"].as_array().unwrap() {
                assert!(PathBuf::from(kept.as_str().unwrap()).exists(), "{told}");
            }
            assert!(backup.exists());
        }
        let hub = setup.start();
        let mut client = hub.client();
        let alice = client.enqueue("ALICE");
        assert!(alice > lost["task_id"].as_i64().unwrap());
        let held = json!({"task_id": lost["task_id"], "fence": lost["fence"]});
        let mut ack = held.clone();
        ack["status"] = json!("done");
        ack["result"] = json!("paid: BOB");
        for (method, params) in [("heartbeat", &held), ("ack", &ack), ("release", &held)] {
            let error = client.refused(method, params.clone());
            assert_eq!(word(&error), "stale_lease", "{method}: {error}");
        }
        let lease = client.lease(json!({"worker_id": "w2"}));
        assert_eq!(lease["task_id"], alice);
        assert_ne!(lease["fence"], lost["fence"]);
        assert!(lease["fence"].as_f64().unwrap() < 9_007_199_254_740_992.0);
        assert_eq!(client.call("stats", json!({}))["stats"]["total_tasks"], 2);
    }
}

#[test]
fn a_backup_beside_the_log_of_another_file_is_left_alone_until_a_person_decides() {
    let (setup, backup, _) = killed();
    let folder = setup.directory.path().to_owned();
    fs::rename(&backup, setup.database()).unwrap();
    let files = ["kirosu.db", "kirosu.db-wal"].map(|name| folder.join(name));
    let contents = || files.clone().map(|file| fs::read(file).unwrap());
    let before = contents();
    let (status, _, error) = setup.run();
    assert_eq!(status.code(), Some(1), "{error}");
    assert!(error.contains("belongs to another file"), "{error}");
    assert!(error.contains("kirosu restore"), "{error}");
    assert!(before == contents(), "nothing was touched");
    // As the message says: the log goes away, and what was put there is served.
    let restored = restore(&setup, "kirosu.db", &[]);
    assert!(restored.status.success(), "{}", stderr(&restored));
    let hub = setup.start();
    assert_eq!(
        hub.client().call("stats", json!({}))["stats"]["total_tasks"],
        1
    );
}

#[test]
fn a_retry_tells_which_dependency_stands_in_its_way() {
    let hub = crate::common::Hub::start();
    let mut client = hub.client();
    let first = client.enqueue("first");
    let second = client.enqueue_with(json!({"prompt": "second", "depends_on": [first]}));
    client.call("cancel", json!({"task_id": first}));
    let again = client.call("retry", json!({"task_id": second}));
    assert_eq!(again["status"], "failed");
    assert_eq!(again["error"], format!("dependency {first} was cancelled"));
    let port = hub.port.to_string();
    let second_id = second.to_string();
    let told = kirosu(&hub.setup, &["retry", &second_id, "--port", &port]);
    assert_eq!(told.status.code(), Some(1));
    assert!(stderr(&told).contains("--with-dependencies"), "{told:?}");
    let told = kirosu(&hub.setup, &["retry", "--failed", "--port", &port]);
    assert!(told.status.success(), "{told:?}");
    assert!(stderr(&told).contains("--with-dependencies"), "{told:?}");
    let args = ["retry", &second_id, "--with-dependencies", "--port", &port];
    assert!(kirosu(&hub.setup, &args).status.success());
    assert_eq!(client.status(first), "queued");
    assert_eq!(client.status(second), "blocked");

    let keyed = json!({"prompt": "charge", "idempotency_key": "order-7"});
    let made = client.enqueue_with(keyed.clone());
    client.call("cancel", json!({"task_id": made}));
    let again = client.call("enqueue", keyed);
    assert_eq!(
        again,
        json!({"task_id": made, "existed": true, "status": "cancelled"})
    );
    let other = json!({"prompt": "refund", "idempotency_key": "order-7"});
    let error = client.refused("enqueue", other);
    assert!(sentence(&error).contains("idempotency_key"), "{error}");
}
