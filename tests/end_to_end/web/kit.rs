//! A hub with a page, and a browser of a few lines.

use crate::common::http::{Answer, with};
use crate::common::process::address;
use crate::common::{Hub, Setup};
use serde_json::{Value, json};
use std::process::{Command, Output, Stdio};

/// A hub with a page, whose clients need a key for more than the Python version's methods.
pub fn setup() -> Setup {
    Setup::new()
        .environment("KIROSU_HUB__KEYLESS", "owner")
        .set("gateway.enabled=true")
        .set("gateway.port=0")
}

/// The key that a hub has made for itself.
pub fn own_key(hub: &Hub) -> String {
    let file = hub.setup.directory.path();
    let file = file.join(".local/share/kirosu/hub.key");
    std::fs::read_to_string(file).unwrap().trim().to_owned()
}

/// Sends a request with the hub's own key.
pub fn call(hub: &Hub, method: &str, mut params: Value) -> Value {
    params["auth_token"] = json!(own_key(hub));
    hub.client().call(method, params)
}

/// Adds a key with a role. Returns its secret.
pub fn add_key(hub: &Hub, name: &str, role: &str) -> String {
    let added = call(hub, "key_add", json!({"name": name, "role": role}));
    added["key"].as_str().unwrap().to_owned()
}

/// A command of the built binary for this hub, with nothing of the surroundings.
pub fn command(hub: &Hub, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kirosu"));
    command
        .args(arguments)
        .args(["--port", &hub.port.to_string()])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", hub.setup.directory.path())
        .env("USER", "ada")
        .current_dir(hub.setup.directory.path())
        .stdin(Stdio::null());
    command
}

/// Runs a command in a session without a terminal.
pub fn without_terminal(hub: &Hub, arguments: &[&str]) -> Output {
    let command = command(hub, arguments);
    let mut detached = Command::new("setsid");
    detached
        .arg("--wait")
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .current_dir(hub.setup.directory.path())
        .stdin(Stdio::null());
    detached.output().unwrap()
}

/// The standard output of a command on a terminal of its own.
pub fn on_a_terminal(hub: &Hub, arguments: &str) -> String {
    let line = format!(
        "{} {arguments} --port {}",
        env!("CARGO_BIN_EXE_kirosu"),
        hub.port
    );
    let output = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", hub.setup.directory.path())
        .env("USER", "ada")
        .current_dir(hub.setup.directory.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The ticket in a link.
pub fn ticket_in(text: &str) -> String {
    let (_, rest) = text
        .split_once("#ticket=")
        .unwrap_or_else(|| panic!("no link in {text}"));
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    rest[..end.unwrap_or(rest.len())].to_owned()
}

/// A browser: it keeps the cookie of its login, and its page sends the headers of the own origin.
pub struct Browser {
    pub address: String,
    /// `NAME=VALUE`; empty before the login.
    pub cookie: String,
}

impl Browser {
    pub fn new(hub: &Hub) -> Browser {
        Browser {
            address: address(hub),
            cookie: String::new(),
        }
    }

    /// Logged in.
    pub fn by(hub: &Hub, credential: &Value) -> Browser {
        let mut browser = Browser::new(hub);
        let answer = browser.log_in(credential);
        assert_eq!(answer.status, 204, "{answer:?}");
        browser
    }

    /// Posts a key or a ticket, and keeps the cookie.
    pub fn log_in(&mut self, credential: &Value) -> Answer {
        let answer = self.change("POST", "/session", &credential.to_string());
        if let Some(cookie) = set_cookie(&answer) {
            self.cookie = cookie.split(';').next().unwrap().to_owned();
        }
        answer
    }

    /// The headers of a request of the page itself.
    pub fn own_headers(&self) -> String {
        let origin = &self.address;
        format!(
            "Cookie: other=1; {}\r\nOrigin: http://{origin}\r\nSec-Fetch-Site: same-origin\r\nX-Kirosu-Csrf: 1\r\n",
            self.cookie
        )
    }

    pub fn change(&self, method: &str, path: &str, body: &str) -> Answer {
        with(&self.address, method, path, &self.own_headers(), body)
    }

    pub fn get(&self, path: &str) -> Answer {
        let headers = format!("Cookie: {}\r\nSec-Fetch-Site: same-origin\r\n", self.cookie);
        with(&self.address, "GET", path, &headers, "")
    }
}

/// The cookie that an answer sets. Its name and attributes are in lower case, as all of the head.
pub fn set_cookie(answer: &Answer) -> Option<&str> {
    let mut lines = answer.head.lines();
    lines.find_map(|line| line.strip_prefix("set-cookie: "))
}
