//! Logins by a key, the cookie, and what it is refused for.

use super::kit::{Browser, add_key, call, own_key, set_cookie, setup};
use crate::common::http::{Answer, with};
use crate::common::{Hub, word};
use kirosu_protocol::access::WEB_SESSION_PREFIX;
use rustix::process::Signal;
use serde_json::json;
use std::time::{Duration, Instant};

fn with_own_key(hub: &Hub) -> Browser {
    Browser::by(hub, &json!({"key": own_key(hub)}))
}

fn refused(answer: &Answer, status: u16) -> String {
    assert_eq!(answer.status, status, "{answer:?}");
    answer.sentence()
}

#[test]
fn a_key_becomes_a_cookie_of_its_port_that_scripts_cannot_read() {
    let hub = setup().start();
    let mut browser = Browser::new(&hub);
    // Without a login it is a client without a key.
    assert_eq!(browser.get("/stats").status, 200);
    assert_eq!(browser.get("/keys").status, 403);
    let answer = browser.log_in(&json!({"key": own_key(&hub)}));
    assert_eq!(answer.status, 204, "{answer:?}");
    let cookie = set_cookie(&answer).unwrap();
    let port = browser.address.rsplit(':').next().unwrap();
    let begin = format!("kirosu_session_{port}={WEB_SESSION_PREFIX}");
    assert!(cookie.starts_with(&begin), "{cookie}");
    for attribute in ["; path=/", "; httponly", "; samesite=strict", "; expires="] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("secure"), "{cookie}");
    assert!(!answer.head.contains(&own_key(&hub)));
    assert_eq!(browser.get("/keys").status, 200);
    let added = browser.change("POST", "/tasks", r#"{"prompt":"p"}"#);
    assert_eq!(added.json()["task_id"], 1);
    // The hub of another port does not take it.
    let other = setup().start();
    let elsewhere = Browser {
        cookie: browser.cookie.clone(),
        ..Browser::new(&other)
    };
    assert_eq!(elsewhere.get("/keys").status, 403);
}

#[test]
fn the_cookie_is_secure_where_the_browser_uses_tls() {
    let hub = setup().start();
    let browser = Browser::new(&hub);
    let headers = format!("Origin: https://{}\r\n", browser.address);
    let body = json!({"key": own_key(&hub)}).to_string();
    let answer = with(&browser.address, "POST", "/session", &headers, &body);
    assert!(
        set_cookie(&answer).unwrap().contains("; secure"),
        "{answer:?}"
    );
}

#[test]
fn a_change_with_the_cookie_needs_the_header_and_the_origin_of_the_page() {
    let hub = setup().start();
    let browser = with_own_key(&hub);
    let (at, cookie) = (&browser.address, &browser.cookie);
    let send = |headers: &str| {
        let headers = format!("Cookie: {cookie}\r\n{headers}");
        with(at, "POST", "/tasks", &headers, r#"{"prompt":"p"}"#)
    };
    let own = format!("Origin: http://{at}\r\n");
    let csrf = "X-Kirosu-Csrf: 1\r\n";
    for headers in [
        String::new(),
        own.clone(),
        csrf.to_owned(),
        format!("{csrf}Origin: http://127.0.0.1:1\r\n"),
        format!("{csrf}Origin: null\r\n"),
        format!("{csrf}{own}Sec-Fetch-Site: same-site\r\n"),
        format!("{csrf}{own}Host: evil.example\r\n"),
    ] {
        refused(&send(&headers), 403);
    }
    for headers in [
        format!("{csrf}{own}"),
        format!("{csrf}Sec-Fetch-Site: same-origin\r\n"),
    ] {
        assert_eq!(send(&headers).status, 200, "{headers}");
    }
    // A page at another port of the host: the browser sends it the cookie, too.
    let spying = format!("Cookie: {cookie}\r\nSec-Fetch-Site: same-site\r\n");
    refused(&with(at, "GET", "/keys", &spying, ""), 403);
    let login = json!({"key": own_key(&hub)}).to_string();
    let foreign = "Origin: http://evil.example\r\n";
    refused(&with(at, "POST", "/session", foreign, &login), 403);
    assert_eq!(call(&hub, "stats", json!({}))["stats"]["queued"], 2);
}

#[test]
fn a_logout_ends_the_session_for_every_copy_of_its_cookie() {
    let hub = setup().start();
    let browser = with_own_key(&hub);
    let cookie = format!("Cookie: {}\r\n", browser.cookie);
    refused(
        &with(&browser.address, "DELETE", "/session", &cookie, ""),
        403,
    );
    assert_eq!(browser.get("/keys").status, 200);
    let answer = browser.change("DELETE", "/session", "");
    assert_eq!(answer.status, 204, "{answer:?}");
    assert!(
        set_cookie(&answer)
            .unwrap()
            .contains("expires=thu, 01 jan 1970")
    );
    let said = refused(&browser.get("/keys"), 401);
    assert!(said.contains("log in again"), "{said}");
    // Files of the page need no login.
    assert_eq!(browser.get("/").status, 200);
    assert_eq!(browser.change("DELETE", "/session", "").status, 204);
}

#[test]
fn a_wrong_key_costs_a_second_and_tries_are_bounded() {
    let hub = setup().start();
    let mut browser = Browser::new(&hub);
    for wrong in [
        json!({"key": "krs_0"}),
        json!({"key": "guess"}),
        json!({"ticket": "krl_0"}),
    ] {
        let begun = Instant::now();
        let answer = browser.log_in(&wrong);
        refused(&answer, 401);
        assert!(answer.head.contains("www-authenticate"), "{answer:?}");
        assert!(begun.elapsed() >= Duration::from_secs(1), "{wrong}");
        assert_eq!(browser.cookie, "");
    }
    for broken in [
        json!({}),
        json!({"key": ""}),
        json!({"key": "k", "ticket": "t"}),
        json!("k"),
    ] {
        let answer = browser.change("POST", "/session", &broken.to_string());
        assert!(matches!(answer.status, 401 | 422), "{broken}: {answer:?}");
    }
    // More at once than there are turns: the others are sent away.
    let address = &browser.address;
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..12)
            .map(|number| {
                let body = json!({"key": format!("krs_{number}")}).to_string();
                scope.spawn(move || with(address, "POST", "/session", "", &body).status)
            })
            .collect();
        tries.into_iter().map(|it| it.join().unwrap()).collect()
    });
    assert!(statuses.contains(&503), "{statuses:?}");
    assert!(
        statuses.iter().all(|it| matches!(it, 401 | 503)),
        "{statuses:?}"
    );
    assert_eq!(browser.log_in(&json!({"key": own_key(&hub)})).status, 204);
}

#[test]
fn a_session_has_the_rights_of_its_key_and_ends_with_it() {
    let hub = setup().start();
    let person = Browser::by(&hub, &json!({"key": add_key(&hub, "ada", "person")}));
    let viewer = Browser::by(&hub, &json!({"key": add_key(&hub, "spy", "observe")}));
    let human = call(&hub, "enqueue", json!({"prompt": "?", "type": "human"}))["task_id"].clone();
    let approve = format!("/tasks/{human}/approve");
    let answer = viewer.change("POST", &approve, "{}");
    assert_eq!(
        answer.json()["error"]["data"]["right"],
        "person",
        "{answer:?}"
    );
    assert_eq!(viewer.get("/approvals").status, 200);
    assert_eq!(
        person
            .change("POST", &approve, r#"{"by":"mallory"}"#)
            .status,
        200
    );
    let task = call(&hub, "get", json!({"task_id": human}));
    assert_eq!(task["decisions"][0]["by"], "ada", "{task}");
    // The hub's own key does not decide as a person: a program may have sent it.
    let gated = call(
        &hub,
        "enqueue",
        json!({"prompt": "p", "requires_approval": true}),
    );
    let gated = format!("/tasks/{}/approve", gated["task_id"]);
    let admin = with_own_key(&hub);
    let said = refused(&admin.change("POST", &gated, "{}"), 403);
    assert!(said.contains("kirosu web"), "{said}");
    // A key for a program that sees no tasks.
    let key = add_key(&hub, "host", "work");
    let answer = Browser::new(&hub).log_in(&json!({"key": key}));
    refused(&answer, 403);

    call(&hub, "key_revoke", json!({"name": "ada"}));
    refused(&person.get("/approvals"), 401);
    assert_eq!(viewer.get("/approvals").status, 200);
}

#[test]
fn a_session_outlives_restarts_of_the_hub() {
    let hub = setup().set("gateway.port=0").start();
    let (live, over) = (with_own_key(&hub), with_own_key(&hub));
    assert_eq!(over.change("DELETE", "/session", "").status, 204);
    let hub = hub.kill().start();
    // The port is another one, and with it the name of the cookie.
    let again = |before: &Browser| {
        let secret = before.cookie.split_once('=').unwrap().1;
        let browser = Browser::new(&hub);
        let port = browser.address.rsplit(':').next().unwrap();
        Browser {
            cookie: format!("kirosu_session_{port}={secret}"),
            ..browser
        }
    };
    assert_eq!(again(&live).get("/keys").status, 200);
    assert_eq!(again(&over).get("/keys").status, 401);
}

#[test]
fn a_session_ends_when_the_hub_gets_another_key() {
    let hub = setup().start();
    let key = "a-key-that-was-set-0123456789-abcdef";
    let browser = with_own_key(&hub);
    let secret = browser.cookie.split_once('=').unwrap().1.to_owned();
    hub.signal(Signal::TERM);
    let mut hub = hub;
    hub.ended();
    let hub = hub.setup.clone().environment("KIRO_SWARM_KEY", key).start();
    let browser = Browser::new(&hub);
    let port = browser.address.rsplit(':').next().unwrap();
    let browser = Browser {
        cookie: format!("kirosu_session_{port}={secret}"),
        ..browser
    };
    assert_eq!(browser.get("/keys").status, 401);
}

#[test]
fn a_session_is_no_key_and_begins_no_other_one() {
    let hub = setup().start();
    let browser = with_own_key(&hub);
    let secret = browser.cookie.split_once('=').unwrap().1;
    let header = format!("X-Kiro-Key: {secret}\r\n");
    refused(&with(&browser.address, "GET", "/keys", &header, ""), 403);
    let token = json!(format!("client:{secret}"));
    let mut client = hub.client();
    let hello = client.call("hello", json!({"auth_token": token}));
    assert_eq!(hello["role"], "admin", "{hello}");
    for method in ["web_ticket", "web_login"] {
        let refused = client.refused(method, json!({}));
        assert_eq!(word(&refused), "forbidden", "{refused}");
    }
    let refused = hub
        .client()
        .refused("key_list", json!({"auth_token": secret}));
    assert!(
        matches!(word(&refused), "unauthorized" | "forbidden"),
        "{refused}"
    );
}
