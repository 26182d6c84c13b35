//! TLS of hub and gateway: verification of both sides, certificates as credentials, new certificates in a running hub.

mod gateway;
mod kit;
mod reload;
mod two_hosts;

use crate::common::{Client, Hub, Setup, sentence, until, word};
use kit::{Authority, Files, hub, run, tls, wrong_files};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

#[test]
fn clients_know_the_hub_by_fingerprint_by_authority_or_by_its_own_settings() {
    let (hub, files) = hub(&[]);
    assert_eq!(
        hub.first_line,
        format!("KIRO_SWARM_HUB tls://127.0.0.1:{}", hub.port)
    );
    assert!(hub.log().contains(&files.fingerprint), "{}", hub.log());
    let pinned = ["--tls-fingerprint", &files.fingerprint];
    let (code, said) = run(&hub, &["enqueue", "hello"], &pinned);
    assert_eq!(code, Some(0), "{said}");
    // As other programs print it, and one of several.
    let digits = files.fingerprint.strip_prefix("sha256:").unwrap();
    let several = format!("sha256:{}, {}", "0".repeat(64), digits.to_uppercase());
    let by_authority = ["--tls-ca", &files.certificate];
    let own = [
        "--set",
        &format!("hub.tls_certificate={}", files.certificate),
    ];
    for by in [["--tls-fingerprint", &several], by_authority, own] {
        let (code, said) = run(&hub, &["list", "--json"], &by);
        assert!(code == Some(0) && said.contains("hello"), "{by:?}: {said}");
    }
    let key = format!("hub.tls_key={}", files.key);
    let (code, said) = run(&hub, &["doctor", "--set", &key], &own);
    assert!(said.contains(&files.fingerprint), "{code:?} {said}");
}

#[test]
fn a_hub_with_another_certificate_gets_nothing() {
    let (hub, files) = hub(&[]);
    let other = Files::new(hub.setup.directory.path(), "other", &["127.0.0.1"]);
    for (by, part) in [
        (
            ["--tls-fingerprint", &other.fingerprint],
            "another than the pinned one",
        ),
        (
            ["--tls-ca", &other.certificate],
            "its certificate is not trusted",
        ),
    ] {
        let (code, said) = run(&hub, &["enqueue", "a secret prompt"], &by);
        assert!(code == Some(5) && said.contains(part), "{code:?} {said}");
        assert!(said.contains("nothing was sent"), "{said}");
    }
    let (code, said) = run(&hub, &["stats"], &["--tls-fingerprint", "sha256:1234"]);
    assert!(
        code == Some(2) && said.contains("is not a fingerprint"),
        "{code:?} {said}"
    );
    let log = until("both handshakes failed", || {
        let log = hub.log();
        (log.matches("a TLS handshake failed").count() >= 2).then_some(log)
    });
    assert!(log.contains("127.0.0.1:"), "{log}");
    let (_, said) = run(
        &hub,
        &["list", "--json"],
        &["--tls-fingerprint", &files.fingerprint],
    );
    assert!(!said.contains("secret"), "{said}");
    // The name counts with an authority, not with a fingerprint.
    let named = Files::new(hub.setup.directory.path(), "named", &["hub.example"]);
    let setup = tls(Setup::new(), &named);
    let elsewhere = setup.start();
    let (code, said) = run(&elsewhere, &["stats"], &["--tls-ca", &named.certificate]);
    assert!(
        code == Some(5) && said.contains("not trusted"),
        "{code:?} {said}"
    );
    let (code, said) = run(
        &elsewhere,
        &["stats"],
        &["--tls-fingerprint", &named.fingerprint],
    );
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_plain_client_and_a_plain_port_name_the_missing_setting() {
    let (secure, files) = hub(&[]);
    let (code, said) = run(&secure, &["stats"], &[]);
    assert!(
        code == Some(1) && said.contains("takes only TLS"),
        "{code:?} {said}"
    );
    assert!(said.contains("hub.tls_fingerprint"), "{said}");
    let mut client = Client::connect(secure.port);
    let answer = client.exchange(r#"{"id":1,"method":"stats"}"#);
    assert_eq!(word(&answer["error"]), "parse_error");
    assert!(sentence(&answer["error"]).contains("takes only TLS"));
    assert!(client.is_closed());

    let plain = Hub::start();
    let (code, said) = run(
        &plain,
        &["stats"],
        &["--tls-fingerprint", &files.fingerprint],
    );
    assert!(
        code == Some(5) && said.contains("without TLS only"),
        "{code:?} {said}"
    );
    until("the hub's log names the cause", || {
        plain.log().contains("takes no TLS").then_some(())
    });
}

#[test]
fn texts_of_megabytes_pass_in_both_directions() {
    let (hub, files) = hub(&[]);
    let prompt: String = (0..600_000).map(|n| format!("{n} ")).collect();
    let path = hub.setup.directory.path().join("prompts.jsonl");
    std::fs::write(&path, format!("{}\n", json!({"prompt": prompt}))).unwrap();
    let pinned = ["--tls-fingerprint", &files.fingerprint];
    let (code, said) = run(
        &hub,
        &["enqueue", "--jsonl", path.to_str().unwrap()],
        &pinned,
    );
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = run(&hub, &["get", "1", "--json"], &pinned);
    assert_eq!(code, Some(0));
    assert!(said.contains(&prompt), "{} bytes", said.len());
}

#[test]
fn a_handshake_that_does_not_end_is_ended() {
    let (hub, _) = hub(&["hub.keyless=off"]);
    let mut stream = TcpStream::connect(("127.0.0.1", hub.port)).unwrap();
    stream.write_all(&[0x16, 3, 1, 2, 0, 1]).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    let begun = Instant::now();
    let mut rest = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut rest);
    let taken = begun.elapsed();
    assert!(
        taken > Duration::from_secs(8) && taken < Duration::from_secs(20),
        "{taken:?}"
    );
}

#[test]
fn plain_connections_beyond_loopback_need_a_setting() {
    let key = "a-key-of-more-than-32-characters-in-all";
    let open = || {
        let setup = Setup::new().argument("--host").argument("0.0.0.0");
        setup.environment("KIRO_SWARM_KEY", key)
    };
    let (status, _, log) = open().run();
    assert_eq!(status.code(), Some(1));
    for part in [
        "without TLS",
        "tls_certificate",
        "plain_beyond_loopback",
        "kirosu tls new",
    ] {
        assert!(log.contains(part), "{log}");
    }
    let gateway = open().set("hub.plain_beyond_loopback=true");
    let gateway = gateway
        .set("gateway.enabled=true")
        .set("gateway.host=0.0.0.0");
    let (status, _, log) = gateway.run();
    assert_eq!(status.code(), Some(1));
    assert!(
        log.contains("gateway.host") && log.contains("without TLS"),
        "{log}"
    );
    let setup = open();
    let files = Files::new(setup.directory.path(), "hub", &["127.0.0.1"]);
    let hub = tls(setup, &files).start();
    assert!(hub.first_line.starts_with("KIRO_SWARM_HUB tls://0.0.0.0:"));
    let by = ["--tls-fingerprint", files.fingerprint.as_str()];
    let (code, said) = kit::run_with(&hub, &["stats"], &by, &[("KIRO_SWARM_KEY", key)]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn the_check_of_the_settings_names_the_file_at_fault() {
    let setup = Setup::new();
    let folder = setup.directory.path().to_owned();
    let files = Files::new(&folder, "hub", &["localhost"]);
    for (settings, key, part) in wrong_files(&folder, &files) {
        let mut arguments = vec!["config", "check"];
        for setting in &settings {
            arguments.extend(["--set", setting]);
        }
        let output = kit::command(&folder, &arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{settings:?}");
        assert!(
            said.contains(key) && said.contains(part),
            "{settings:?}: {said}"
        );
    }
    let mode = |path: &str| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&files.key), 0o600);
    let again = kit::command(&folder, &["tls", "new", "--name", "x", "--out", "hub"]);
    let output = { again }.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("it exists"));
}

#[test]
fn a_certificate_is_a_credential_until_it_is_revoked() {
    let (hub, files) = hub(&["hub.keyless=off"]);
    let folder = hub.setup.directory.path();
    let client = Files::new(folder, "client", &["ci"]);
    let pinned = ["--tls-fingerprint", files.fingerprint.as_str()];
    let own = [pinned.as_slice(), &client.identity()].concat();
    let (code, said) = run(&hub, &["stats"], &own);
    assert!(
        code == Some(1) && said.contains("is not a credential of this hub"),
        "{said}"
    );
    assert!(said.contains(&client.fingerprint), "{said}");

    let add = [
        "key",
        "add",
        "ci",
        "--role",
        "enqueue",
        "--queues",
        "a",
        "--certificate",
    ];
    let add = |certificate: &str| run(&hub, &[&add[..], &[certificate]].concat(), &pinned);
    let (code, said) = add(&client.certificate);
    assert!(
        code == Some(0) && said.trim().ends_with(&client.fingerprint),
        "{said}"
    );
    let (code, said) = run(&hub, &["enqueue", "mine", "--queue", "a"], &own);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = run(&hub, &["enqueue", "mine", "--queue", "b"], &own);
    assert!(code == Some(1) && said.contains("queue"), "{said}");
    let (code, said) = run(&hub, &["shutdown"], &own);
    assert!(
        code == Some(1) && said.contains("the right `admin`"),
        "{said}"
    );
    let (_, said) = run(&hub, &["audit", "--json"], &pinned);
    assert!(
        said.contains("\"who\": \"ci\"") || said.contains("\"who\":\"ci\""),
        "{said}"
    );
    let (_, said) = run(&hub, &["key", "list"], &pinned);
    assert!(said.contains(&client.fingerprint), "{said}");
    let (code, said) = run(
        &hub,
        &[
            "key",
            "add",
            "ci-2",
            "--role",
            "admin",
            "--certificate",
            &client.fingerprint,
        ],
        &pinned,
    );
    assert!(
        code == Some(1) && said.contains("that of the key `ci`"),
        "{said}"
    );
    // Another private key does not help: the file of the certificate is public.
    let stolen = [
        format!("hub.tls_client_certificate={}", client.certificate),
        format!("hub.tls_client_key={}", files.key),
    ];
    let stolen = [
        pinned[0], pinned[1], "--set", &stolen[0], "--set", &stolen[1],
    ];
    let (code, said) = run(&hub, &["stats"], &stolen);
    assert!(code != Some(0), "{said}");
    // Nor does the fingerprint as a key.
    let as_key = [("KIRO_SWARM_KEY", client.fingerprint.as_str())];
    let (code, said) = kit::run_with(&hub, &["stats"], &pinned, &as_key);
    assert!(code == Some(1) && said.contains("KIRO_SWARM_KEY"), "{said}");

    let (code, _) = run(&hub, &["key", "revoke", "ci"], &pinned);
    assert_eq!(code, Some(0));
    let (code, said) = run(&hub, &["enqueue", "late", "--queue", "a"], &own);
    assert!(code == Some(1) && said.contains("not any more"), "{said}");
}

#[test]
fn an_authority_of_clients_shuts_out_all_other_certificates() {
    let authority = Authority::new("ours");
    let setup = Setup::new();
    let folder = setup.directory.path().to_owned();
    let ca = folder.join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    let files = Files::new(&folder, "hub", &["127.0.0.1"]);
    let setup = tls(setup, &files).set(&format!("hub.tls_client_ca={}", ca.display()));
    let hub = setup.start();
    let pinned = ["--tls-fingerprint", files.fingerprint.as_str()];
    let (code, said) = run(&hub, &["stats"], &pinned);
    assert!(
        code == Some(5) && said.contains("tls_client_certificate"),
        "{code:?} {said}"
    );
    let with = |client: &Files| {
        run(
            &hub,
            &["stats"],
            &[pinned.as_slice(), &client.identity()].concat(),
        )
    };
    let stranger = Authority::new("theirs").sign(&folder, "stranger");
    let (code, said) = with(&stranger);
    assert!(
        code == Some(5) && said.contains("tls_client_certificate"),
        "{code:?} {said}"
    );
    let friend = authority.sign(&folder, "friend");
    // It has passed the door, and has no credential of its own.
    let (code, said) = with(&friend);
    assert!(
        code == Some(1) && said.contains("is not a credential"),
        "{code:?} {said}"
    );
    let key = std::fs::read_to_string(folder.join(".local/share/kirosu/hub.key")).unwrap();
    let by = [pinned.as_slice(), &friend.identity()].concat();
    let key = [("KIRO_SWARM_KEY", key.trim())];
    let (code, said) = kit::run_with(&hub, &["stats"], &by, &key);
    assert_eq!(code, Some(0), "{said}");
}
