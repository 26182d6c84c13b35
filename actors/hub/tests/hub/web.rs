//! The times of logins to the web page: a ticket, a session, and what waits under one.

use crate::support::TestHub;
use serde_json::{Value, json};
use tokio::runtime::Builder;

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
/// More than the test takes.
const MARGIN: i64 = 30 * SECOND;

/// A request that a gateway passes on for a browser with this session.
fn of_browser(session: &Value) -> Value {
    json!({"auth_token": format!("client:{}", session.as_str().unwrap())})
}

async fn test() {
    let directory = tempfile::tempdir().unwrap();
    let hub = TestHub::start(directory.path());
    let mut admin = hub.client().await;
    // A part of this process has no key to give on.
    admin.send("web_ticket", json!({})).await;
    assert_eq!(admin.refusal().await["data"]["code"], "forbidden");
    admin.call("hello", json!({"auth_token": "key"})).await;
    let ticket = admin.call("web_ticket", json!({"by": "ada"})).await;
    let late = admin.call("web_ticket", json!({})).await["ticket"].clone();
    assert_eq!(ticket["who"], "ada", "{ticket}");
    hub.clock.jump_ms(5 * MINUTE - MARGIN);
    let login = json!({"ticket": ticket["ticket"]});
    let session = admin.call("web_login", login.clone()).await["session"].clone();
    hub.clock.jump_ms(MARGIN);
    for ticket in [login, json!({"ticket": late})] {
        admin.send("web_login", ticket).await;
        assert_eq!(admin.refusal().await["data"]["code"], "not_found");
    }

    let mut page = hub.client().await;
    let hello = page.call("hello", of_browser(&session)).await;
    assert_eq!(hello["name"], "ada", "{hello}");
    assert_eq!(page.call("watch", json!({})).await["lagged"], Value::Null);
    hub.clock.jump_ms(12 * HOUR - 2 * MARGIN);
    page.call("stats", json!({})).await;
    hub.clock.jump_ms(2 * MARGIN);
    // Events of after its end are not for it.
    admin.call("enqueue", json!({"prompt": "secret"})).await;
    let end = page.read().await;
    assert_eq!(end["params"]["lagged"], true, "{end}");
    page.send("stats", json!({})).await;
    assert_eq!(page.refusal().await["data"]["code"], "unauthorized");
    // Without the gateway's mark the secret is none.
    let fresh = admin.call("web_login", json!({})).await["session"].clone();
    let mut other = hub.client().await;
    other.send("stats", json!({"auth_token": fresh})).await;
    assert_eq!(other.refusal().await["data"]["code"], "unauthorized");
    other.call("stats", of_browser(&fresh)).await;
    drop((admin, page, other));
    hub.root.shutdown().await;
}

#[test]
fn a_ticket_lasts_five_minutes_and_a_session_twelve_hours() {
    // In real time: while a process is examined on another thread, paused time would pass.
    let one_thread = || Builder::new_current_thread().enable_all().build().unwrap();
    actix_rt::System::with_tokio_rt(one_thread).block_on(test());
}
