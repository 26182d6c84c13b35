//! The settings of targets: filters, reload, secrets, the doctor, metrics.

use super::*;

#[test]
fn a_reload_adds_changes_and_removes_targets() {
    let receiver = Receiver::up();
    let hub = setup("").start();
    let mut client = hub.client();
    fail(&mut client, json!({}));
    assert!(text(&hub.cli(&["notify"])).contains("no targets"));
    write(
        &hub.setup,
        &webhook(&receiver, "name = \"a\"\nqueues = [\"x\"]"),
    );
    let output = hub.cli(&["reload"]);
    assert!(text(&output).contains("notify.a"), "{output:?}");
    fail(&mut client, json!({}));
    let second = fail(&mut client, json!({"queue": "x"}));
    assert_eq!(
        tasks(&receiver.wait(1)),
        [second],
        "no earlier event, and only of this queue"
    );
    receiver.mode("500");
    fail(&mut client, json!({"queue": "x"}));
    until_failing(&mut client, "a", "500");
    write(
        &hub.setup,
        &webhook(
            &receiver,
            "name = \"b\"\nlabels = [\"l\"]\ntypes = [\"chat\"]",
        ),
    );
    reload(&hub);
    until("a is gone", || {
        target(&mut client, "a").is_null().then_some(())
    });
    let log = hub.log();
    assert!(
        log.contains("the settings have this target of notifications no more"),
        "{log}"
    );
    receiver.mode("200");
    fail(&mut client, json!({}));
    let labelled = fail(&mut client, json!({"labels": ["m", "l"]}));
    assert_eq!(tasks(&receiver.wait(2)), [second, labelled]);
    until_settled(&mut client, "b");
}

#[test]
fn a_secret_is_in_no_output() {
    let receiver = Receiver::up();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    fs::write(&file, SECRET).unwrap();
    let url = format!("{}/T0PSECRET?token=T0PSECRET", receiver.url());
    let settings = format!(
        "[[notify]]\nname = \"file\"\nkind = \"webhook\"\nurl_env = \"HOOK\"\nsecret_file = \"{}\"\nretry_initial = \"20ms\"\n{}",
        file.display(),
        webhook(&receiver, "")
    );
    let hub = setup(&settings)
        .environment("HOOK", &url)
        .set("log.level=trace")
        .start();
    let mut client = hub.client();
    fail(&mut client, json!({}));
    let events = receiver.wait(2);
    assert!(
        events.iter().all(|event| event["signed"] == true),
        "{events:?}"
    );
    receiver.mode("500");
    fail(&mut client, json!({}));
    until_failing(&mut client, "file", "answered 500");
    let mut all = hub.log();
    for words in [
        &["notify", "--json"][..],
        &["config", "show"],
        &["config", "show", "--json"],
        &["doctor"],
        &["tree", "--json"],
    ] {
        all.push_str(&text(&hub.cli(words)));
    }
    for secret in [SECRET, &SECRET["whsec_".len()..], "T0PSECRET"] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
}

#[test]
fn faults_of_targets_are_reported_by_check_and_doctor() {
    let receiver = Receiver::down();
    let hub = setup(&webhook(&receiver, "")).start();
    write(
        &hub.setup,
        "[[notify]]\nkind = \"webhook\"\nurl = \"http://example.org/x\"\n",
    );
    let output = hub.cli(&["reload"]);
    assert!(!output.status.success());
    assert!(text(&output).contains("notify.webhook.url"), "{output:?}");
    assert!(
        text(&output).contains("plain_beyond_loopback"),
        "{output:?}"
    );
    write(
        &hub.setup,
        &webhook(&receiver, "").replace("\"SECRET\"", "\"NO_SUCH_VARIABLE\""),
    );
    let output = hub.cli(&["doctor"]);
    assert!(
        text(&output).contains("NO_SUCH_VARIABLE is not set"),
        "{output:?}"
    );
    reload(&hub);
    fail(&mut hub.client(), json!({}));
    until_failing(&mut hub.client(), "webhook", "no secret for the signature");
}

#[test]
fn pending_events_are_metrics() {
    let receiver = Receiver::down();
    let hub = setup(&webhook(&receiver, "")).start();
    let mut client = hub.client();
    fail(&mut client, json!({}));
    until_failing(&mut client, "webhook", "cannot reach");
    let metrics = client.call("metrics", json!({})).to_string();
    for name in [
        "kirosu_notify_pending",
        "kirosu_notify_failures",
        "kirosu_notify_lost",
    ] {
        assert!(metrics.contains(name), "{name}: {metrics}");
    }
}
