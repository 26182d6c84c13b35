//! New certificates in a running hub.

use super::kit::{self, Files, hub, run};
use crate::common::{until, until_within};
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

struct Watch(Child, Receiver<String>);

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_new_certificate_serves_new_connections_and_a_broken_one_changes_nothing() {
    let (hub, files) = hub(&[]);
    let home = hub.setup.directory.path();
    let port = hub.port.to_string();
    let before = files.fingerprint.clone();
    let old = ["--tls-fingerprint", before.as_str()];
    let arguments = ["watch", "--json", "--port", &port];
    let mut watch = kit::command(home, &[&arguments[..], &old].concat());
    let mut watch = watch.stdout(Stdio::piped()).spawn().unwrap();
    let (said, lines) = channel();
    let output = BufReader::new(watch.stdout.take().unwrap());
    std::thread::spawn(move || {
        let lines = output.lines().map_while(Result::ok);
        lines.for_each(|line| drop(said.send(line)));
    });
    let watch = Watch(watch, lines);
    let sees = |prompt: &str, flags: &[&str]| {
        until("the watch sees the task", || {
            let (code, said) = run(&hub, &["enqueue", prompt], flags);
            assert_eq!(code, Some(0), "{said}");
            watch.1.recv_timeout(Duration::from_millis(200)).ok()
        });
    };
    sees("before", &old);

    let new = Files::new(home, "new", &["127.0.0.1"]);
    std::fs::copy(&new.certificate, &files.certificate).unwrap();
    std::fs::copy(&new.key, &files.key).unwrap();
    let pinned = ["--tls-fingerprint", new.fingerprint.as_str()];
    until_within(Duration::from_secs(20), "the new one is in use", || {
        (run(&hub, &["ping"], &pinned).0 == Some(0)).then_some(())
    });
    assert_eq!(
        run(&hub, &["ping"], &old).0,
        Some(5),
        "the old one is out of use"
    );
    while watch.1.try_recv().is_ok() {}
    sees("after, over the old connection", &pinned);
    assert!(hub.log().contains("a new certificate is in use"));

    std::fs::write(&files.certificate, "no certificate\n").unwrap();
    until_within(Duration::from_secs(20), "the fault is logged", || {
        assert_eq!(run(&hub, &["ping"], &pinned).0, Some(0));
        hub.log()
            .contains("the previous one stays in use")
            .then_some(())
    });
    let (code, said) = run(&hub, &["reload"], &pinned);
    assert!(
        code == Some(1) && said.contains("has no certificate"),
        "{said}"
    );

    let third = Files::new(home, "third", &["127.0.0.1"]);
    std::fs::copy(&third.certificate, &files.certificate).unwrap();
    std::fs::copy(&third.key, &files.key).unwrap();
    let either = format!("{},{}", new.fingerprint, third.fingerprint);
    let (code, said) = run(&hub, &["reload"], &["--tls-fingerprint", &either]);
    assert_eq!(code, Some(0), "{said}");
    let pinned = ["--tls-fingerprint", third.fingerprint.as_str()];
    assert_eq!(run(&hub, &["ping"], &pinned).0, Some(0));
}
