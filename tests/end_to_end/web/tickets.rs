//! Tickets: who gets which rights, and who gets none.

use super::kit::{Browser, add_key, call, on_a_terminal, setup, ticket_in, without_terminal};
use crate::common::process::address;
use crate::common::{Hub, word};
use serde_json::{Value, json};

fn link(hub: &Hub, output: &str) -> Value {
    let answer: Value =
        serde_json::from_str(output.trim()).unwrap_or_else(|why| panic!("{why}: {output}"));
    let page = format!("http://{}/", address(hub));
    assert_eq!(answer["url"], page);
    assert!(
        answer["link"]
            .as_str()
            .unwrap()
            .starts_with(&format!("{page}#ticket=krl_"))
    );
    answer
}

/// A task that waits for approval, and the path of its approval.
fn gated(hub: &Hub) -> (Value, String) {
    let task = call(
        hub,
        "enqueue",
        json!({"prompt": "p", "requires_approval": true}),
    );
    let task = task["task_id"].clone();
    let path = format!("/tasks/{task}/approve");
    (task, path)
}

#[test]
fn a_link_from_a_terminal_decides_as_the_person_there_and_works_once() {
    let hub = setup().start();
    let answer = link(&hub, &on_a_terminal(&hub, "web --json"));
    assert_eq!(answer["who"], "ada");
    let rights = answer["rights"].as_array().unwrap();
    assert!(
        rights.contains(&json!("person")) && rights.contains(&json!("admin")),
        "{answer}"
    );
    let ticket = json!({"ticket": ticket_in(answer["link"].as_str().unwrap())});
    let browser = Browser::by(&hub, &ticket);
    let second = Browser::new(&hub).log_in(&ticket);
    assert_eq!(second.status, 401, "{second:?}");
    let (task, approve) = gated(&hub);
    let approved = browser.change("POST", &approve, r#"{"by":"mallory"}"#);
    assert_eq!(approved.status, 200, "{approved:?}");
    let detail = call(&hub, "get", json!({"task_id": task}));
    assert_eq!(detail["decisions"][0]["by"], "ada", "{detail}");
    let audit = call(&hub, "audit", json!({}));
    let entries = audit["entries"].as_array().unwrap();
    let is_of = |it: &&Value, method: &str| it["method"] == method && it["code"].is_null();
    let entry = |method: &str| entries.iter().find(|it| is_of(it, method)).unwrap();
    assert_eq!(entry("approve")["who"], "ada", "{audit}");
    assert_eq!(entry("web_login")["target"], "ada", "{audit}");
    assert!(!hub.log().contains("krl_") && !hub.log().contains("krw_"));
}

#[test]
fn a_link_without_a_terminal_gives_the_rights_of_the_key_and_not_those_of_a_person() {
    let hub = setup().start();
    let output = without_terminal(&hub, &["web", "--json"]);
    let answer = link(&hub, &String::from_utf8_lossy(&output.stdout));
    let rights = answer["rights"].as_array().unwrap();
    assert!(
        !rights.contains(&json!("person")) && rights.contains(&json!("admin")),
        "{answer}"
    );
    let ticket = ticket_in(answer["link"].as_str().unwrap());
    let browser = Browser::by(&hub, &json!({"ticket": ticket}));
    let (task, approve) = gated(&hub);
    assert_eq!(browser.change("POST", &approve, "{}").status, 403);
    assert_eq!(
        call(&hub, "get", json!({"task_id": task}))["task"]["status"],
        "awaiting_approval"
    );
    assert_eq!(browser.get("/keys").status, 200);

    let (key, mut client) = (add_key(&hub, "spy", "observe"), hub.client());
    client.call("hello", json!({"auth_token": key}));
    let made = client.call("web_ticket", json!({"by": "ada"}));
    assert_eq!(
        (&made["who"], &made["rights"]),
        (&json!("spy"), &json!(["connect", "observe"]))
    );
    let spy = Browser::by(&hub, &json!({"ticket": made["ticket"]}));
    assert_eq!(
        spy.change("POST", "/tasks", r#"{"prompt":"p"}"#).status,
        403
    );
    // A ticket ends with its key, and so does what came of another one.
    let unused = client.call("web_ticket", json!({}))["ticket"].clone();
    call(&hub, "key_revoke", json!({"name": "spy"}));
    assert_eq!(
        Browser::new(&hub).log_in(&json!({"ticket": unused})).status,
        401
    );
    assert_eq!(spy.get("/stats").status, 401);
}

#[test]
fn a_ticket_for_the_hubs_user_is_not_for_clients_that_claim_to_be_that_user() {
    let hub = setup().start();
    let made = call(&hub, "web_ticket", json!({"same_user": true}));
    let mut other = hub.client();
    other.call(
        "hello",
        json!({"auth_token": add_key(&hub, "ci", "enqueue")}),
    );
    let claim = json!({"ticket": made["ticket"], "same_user": true});
    assert_eq!(word(&other.refused("web_login", claim)), "not_found");
    let login = Browser::new(&hub).log_in(&json!({"ticket": made["ticket"]}));
    assert_eq!(login.status, 204, "{login:?}");
}

#[test]
fn a_client_without_a_key_or_without_the_right_to_look_on_gets_no_ticket() {
    let hub = setup().start();
    let refused = hub.client().refused("web_ticket", json!({}));
    assert_eq!(word(&refused), "forbidden", "{refused}");
    let key = add_key(&hub, "host", "work");
    let refused = hub
        .client()
        .refused("web_ticket", json!({"auth_token": key}));
    assert_eq!(refused["data"]["right"], "observe", "{refused}");
}

/// Ways of a program of a run to the page. Each prints a line with the answer.
const TRIES: &str = r#"
import json, os, pathlib, socket, subprocess, sys, urllib.request, urllib.error
host, port = os.environ["KIROSU_HUB"].rsplit(":", 1)
home, page, cookie, ticket, kirosu, own = sys.argv[1:]
key = pathlib.Path(home, ".local/share/kirosu/hub.key").read_text().strip()
clean = {"PATH": os.environ["PATH"], "HOME": home, "KIROSU_HUB__PORT": port}

def ask(method, **params):
    with socket.create_connection((host, int(port))) as s:
        s.sendall(json.dumps({"id": 1, "method": method, "params": params}).encode() + b"\n")
        return s.makefile().readline().strip()

def http(method, path, body=None, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"http://{page}{path}", body and json.dumps(body).encode(), headers, method=method)
    try:
        return urllib.request.urlopen(request, timeout=10).status
    except urllib.error.HTTPError as refused:
        return refused.status

print("token", ask("web_ticket", auth_token=os.environ["KIROSU_TOKEN"]))
print("token login", ask("web_login", auth_token=os.environ["KIROSU_TOKEN"]))
print("key", ask("web_ticket", auth_token=key))
print("own key", ask("web_ticket", auth_token=own))
print("own key login", ask("web_login", auth_token=own))
print("none", ask("web_ticket"))
print("session", ask("list", auth_token="client:" + cookie.split("=")[1]))
print("terminal", subprocess.run(["script", "-qec", f"{kirosu} web --print", "/dev/null"], env=clean, stdin=subprocess.DEVNULL, capture_output=True, text=True))
print("login by ticket", http("POST", "/session", {"ticket": ticket}))
print("login by key", http("POST", "/session", {"key": key}))
print("cookie", http("GET", "/keys", Cookie=cookie))
"#;

#[test]
fn a_program_of_a_run_gets_no_ticket_and_cannot_use_one_or_the_cookie_of_a_person() {
    let hub = setup()
        .up()
        .set("providers.tries.kind=command")
        .set("providers.tries.command=[\"sh\"]")
        .set("pool.p.provider=tries")
        .start();
    let ticket = || ticket_in(&on_a_terminal(&hub, "web --print"));
    let browser = Browser::by(&hub, &json!({"ticket": ticket()}));
    let unused = ticket();
    let home = hub.setup.directory.path();
    let file = home.join("tries.py");
    std::fs::write(&file, TRIES).unwrap();
    let script = format!(
        "python3 {} {} {} {} {unused} {} {} 2>&1",
        file.display(),
        home.display(),
        browser.address,
        browser.cookie,
        env!("CARGO_BIN_EXE_kirosu"),
        add_key(&hub, "tool", "person"),
    );
    let task = call(
        &hub,
        "enqueue",
        json!({"prompt": script, "max_attempts": 1}),
    )["task_id"]
        .clone();
    call(
        &hub,
        "wait",
        json!({"task_ids": [task], "timeout_seconds": 120}),
    );
    let detail = call(&hub, "get", json!({"task_id": task}));
    let said = detail["task"]["result"]
        .as_str()
        .unwrap_or_else(|| panic!("{detail}"));
    let line = |name: &str| {
        let line = said
            .lines()
            .find(|line| line.starts_with(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("{name}: {said}"))
    };
    for name in ["token", "token login", "own key", "own key login"] {
        assert!(line(name).contains("forbidden"), "{}", line(name));
    }
    for name in ["key", "none", "session", "terminal"] {
        assert!(line(name).contains("KIROSU_TOKEN"), "{}", line(name));
    }
    for name in ["login by ticket", "login by key", "cookie"] {
        assert!(line(name).ends_with(" 403"), "{}", line(name));
    }
    assert!(!said.contains("krl_") && !said.contains("krw_"), "{said}");
    // It has not used the ticket up.
    Browser::by(&hub, &json!({"ticket": unused}));
    assert_eq!(browser.get("/keys").status, 200);
}

#[test]
fn a_gateway_in_another_process_takes_the_hubs_tickets() {
    let hub = setup().start();
    let setup = hub.setup.clone();
    let api = crate::common::process::Api::start(&setup, hub.port, &[]);
    let mut browser = Browser {
        address: api.address.clone(),
        cookie: String::new(),
    };
    let at = format!("http://{}", api.address);
    let link = on_a_terminal(&hub, &format!("web --print --at {at}"));
    assert!(link.contains(&format!("{at}/#ticket=krl_")), "{link}");
    assert_eq!(
        browser.log_in(&json!({"ticket": ticket_in(&link)})).status,
        204
    );
    let (task, approve) = gated(&hub);
    assert_eq!(browser.change("POST", &approve, "{}").status, 200);
    assert_eq!(
        call(&hub, "get", json!({"task_id": task}))["decisions"][0]["by"],
        "ada"
    );
    // A restart of that gateway ends no login.
    assert!(api.stop().success());
    let api = crate::common::process::Api::start(&setup, hub.port, &[]);
    let port = api.address.rsplit(':').next().unwrap();
    let secret = browser.cookie.split_once('=').unwrap().1;
    let again = Browser {
        address: api.address.clone(),
        cookie: format!("kirosu_session_{port}={secret}"),
    };
    assert_eq!(again.get("/keys").status, 200);
}
