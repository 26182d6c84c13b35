//! HTTPS of gateway and metrics.

use super::kit::{Authority, Files, run};
use crate::common::http;
use crate::common::process::{address, setup};
use crate::common::{Hub, until};
use std::process::Command;

/// The status and the body that curl gets; the status is 0 without a response.
fn curl(address: &str, path: &str, arguments: &[&str]) -> (u32, String) {
    let output = Command::new("curl")
        .args([
            "--silent",
            "--max-time",
            "20",
            "--write-out",
            "\n%{http_code}",
        ])
        .args(arguments)
        .arg(format!("https://{address}{path}"))
        .output()
        .expect("curl is installed");
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, code) = text.rsplit_once('\n').unwrap();
    (code.parse().unwrap(), body.to_owned())
}

fn metrics(hub: &Hub) -> String {
    until("the log names the metrics' address", || {
        let log = hub.log();
        let line = log
            .lines()
            .rev()
            .find(|l| l.contains("metrics are served"))?;
        let (_, address) = line.split_once("address=")?;
        address.split_whitespace().next().map(str::to_owned)
    })
}

#[test]
fn rest_and_metrics_are_served_over_tls_only() {
    let setup = setup();
    let home = setup.directory.path().to_owned();
    let files = Files::new(&home, "web", &["127.0.0.1", "localhost"]);
    let authority = Authority::new("scrapers");
    let ca = home.join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    let setup = ["gateway", "metrics"].iter().fold(setup, |setup, section| {
        setup
            .set(&format!("{section}.enabled=true"))
            .set(&format!("{section}.port=0"))
            .set(&format!("{section}.tls_certificate={}", files.certificate))
            .set(&format!("{section}.tls_key={}", files.key))
    });
    let setup = setup.set(&format!("metrics.tls_client_ca={}", ca.display()));
    let hub = setup.start();
    let rest = address(&hub);
    let trust = ["--cacert", files.certificate.as_str()];
    let post = [
        "--data",
        r#"{"prompt": "over https"}"#,
        "-H",
        "content-type: application/json",
    ];
    let (status, body) = curl(&rest, "/tasks", &[&trust[..], &post].concat());
    assert!(status / 100 == 2, "{status} {body}");
    let page = ["-H", "origin: https://evil.example"];
    assert_eq!(curl(&rest, "/tasks", &[&trust[..], &page].concat()).0, 403);
    let own = format!("origin: https://{rest}");
    let (status, body) = curl(&rest, "/tasks", &[&trust[..], &["-H", &own]].concat());
    assert!(
        status == 200 && body.contains("over https"),
        "{status} {body}"
    );
    assert_eq!(curl(&rest, "/tasks", &[]).0, 0, "an unknown certificate");
    let plain = http::get(&rest, "/tasks");
    assert_eq!(plain.status, 400);
    assert!(plain.body.contains("https://"), "{plain:?}");

    let figures = metrics(&hub);
    assert_eq!(
        curl(&figures, "/metrics", &trust).0,
        0,
        "no certificate of the client"
    );
    let scraper = authority.sign(&home, "scraper");
    let own = [
        "--cert",
        scraper.certificate.as_str(),
        "--key",
        &scraper.key,
    ];
    let (status, body) = curl(&figures, "/metrics", &[&trust[..], &own].concat());
    assert!(
        status == 200 && body.contains("kirosu_up 1"),
        "{status} {body}"
    );
}

#[test]
fn a_certificate_is_a_credential_over_https_until_it_is_revoked() {
    let setup = setup();
    let home = setup.directory.path().to_owned();
    let files = Files::new(&home, "web", &["127.0.0.1", "localhost"]);
    let client = Files::new(&home, "client", &["ci"]);
    let hub = setup
        .set("hub.keyless=off")
        .set("gateway.enabled=true")
        .set("gateway.port=0")
        .set(&format!("gateway.tls_certificate={}", files.certificate))
        .set(&format!("gateway.tls_key={}", files.key))
        .start();
    let rest = address(&hub);
    let own = [
        "--cacert",
        files.certificate.as_str(),
        "--cert",
        &client.certificate,
        "--key",
        &client.key,
    ];
    let list = || curl(&rest, "/tasks", &own);
    let (status, body) = list();
    assert!(
        status == 403 && body.contains(&client.fingerprint) && body.contains("kirosu key add"),
        "{status} {body}"
    );
    let add = ["key", "add", "ci", "--role", "observe", "--certificate"];
    let (code, said) = run(&hub, &[&add[..], &[&client.certificate]].concat(), &[]);
    assert_eq!(code, Some(0), "{said}");
    let (status, body) = list();
    assert_eq!(status, 200, "{body}");
    let (status, body) = curl(
        &rest,
        "/tasks",
        &[
            &own[..],
            &[
                "--data",
                r#"{"prompt": "x"}"#,
                "-H",
                "content-type: application/json",
            ],
        ]
        .concat(),
    );
    assert!(status == 403 && body.contains("enqueue"), "{status} {body}");
    // A page of another site, whose requests the browser sends with the certificate.
    let page = ["-H", "origin: https://evil.example"];
    assert_eq!(curl(&rest, "/tasks", &[&own[..], &page].concat()).0, 403);
    // The fingerprint is public, and no key.
    let header = format!("x-kiro-key: {}", client.fingerprint);
    let without = ["--cacert", files.certificate.as_str(), "-H", &header];
    assert_eq!(curl(&rest, "/tasks", &without).0, 403);
    let (code, said) = run(&hub, &["key", "revoke", "ci"], &[]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(list().0, 403);
}
