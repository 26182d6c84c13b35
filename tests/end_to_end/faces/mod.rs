//! Each verb through each face, JSON-RPC, REST, the command line and MCP: the same result, the same error, the same refusal.
//!
//! `table.rs` has a row for each verb of the protocol. A row makes the parameters of a call, and says which fields of the answers must
//! be equal; each face gets a call of its own, so a verb that changes something is carried out once per face.

mod table;

use crate::common::http::with;
use crate::common::process::{address, setup};
use crate::common::{Client, Hub, word};
use kirosu_protocol::access::AccessRole;
use kirosu_protocol::{Method, Right};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use table::{NO_ROUTE, Row, done_run, rows};

/// A hub with its gateway, and a key of each role.
pub struct World {
    hub: Hub,
    address: String,
    keys: HashMap<AccessRole, String>,
    clients: HashMap<AccessRole, Client>,
    servers: HashMap<AccessRole, McpServer>,
    /// Calls so far, for names that are not used twice.
    calls: usize,
}

/// The result of a call, or the name and the sentence of the error.
type Called = Result<Value, (String, String)>;

impl World {
    fn start() -> World {
        let hub = setup().start();
        let address = address(&hub);
        let mut world = World {
            hub,
            address,
            keys: HashMap::new(),
            clients: HashMap::new(),
            servers: HashMap::new(),
            calls: 0,
        };
        for role in AccessRole::ALL {
            let params = json!({"name": format!("key-{role}"), "role": role.as_str()});
            let added = world.hub.client().call("key_add", params);
            let key = added["key"].as_str().unwrap().to_owned();
            let mut client = world.hub.client();
            client.call("hello", json!({"auth_token": key}));
            world.clients.insert(role, client);
            world.keys.insert(role, key);
        }
        // Task 1, of calls that are refused for their role, is a run: commands for runs read it first.
        assert_eq!(done_run(&mut world)["task_id"], 1);
        world
    }

    /// The connection of a role's key.
    pub fn client(&mut self, role: AccessRole) -> &mut Client {
        self.clients.get_mut(&role).unwrap()
    }

    /// A number that no other call has.
    pub fn number(&mut self) -> usize {
        self.calls += 1;
        self.calls
    }

    fn wire(&mut self, role: AccessRole, verb: Method, params: &Value) -> Called {
        let client = self.client(role);
        let id = client.send(verb.name(), params.clone());
        let answer = client.answer(id);
        match answer["error"].is_object() {
            false => Ok(answer["result"].clone()),
            true => {
                let message = answer["error"]["message"].as_str().unwrap();
                Err((word(&answer["error"]).to_owned(), message.to_owned()))
            }
        }
    }

    fn rest(&self, role: AccessRole, route: &str, params: &Value) -> Called {
        let (method, template) = route.split_once(' ').unwrap();
        let mut params = params.as_object().unwrap().clone();
        let parts = template.split('/').map(|part| {
            match part.strip_prefix('{').and_then(|it| it.strip_suffix('}')) {
                None => part.to_owned(),
                Some(name) => text(&params.remove(name).unwrap_or_else(|| panic!("no {name}"))),
            }
        });
        let mut path = parts.collect::<Vec<_>>().join("/");
        let key = format!("X-Kiro-Key: {}\r\n", self.keys[&role]);
        let answer = match method {
            "POST" | "PATCH" => {
                let body = Value::Object(params).to_string();
                with(&self.address, method, &path, &key, &body)
            }
            _ => {
                let query: Vec<String> = params
                    .iter()
                    .map(|(name, value)| format!("{name}={}", text(value)))
                    .collect();
                if !query.is_empty() {
                    path = format!("{path}?{}", query.join("&"));
                }
                with(&self.address, method, &path, &key, "")
            }
        };
        let body = answer.json();
        match answer.status {
            200 => Ok(body),
            _ => {
                assert!(
                    answer.head.contains("application/problem+json"),
                    "{answer:?}"
                );
                assert_eq!(body["status"], answer.status, "{answer:?}");
                Err((text(&body["code"]), text(&body["detail"])))
            }
        }
    }

    fn cli(&self, role: AccessRole, arguments: &[String]) -> Called {
        let home = self.hub.setup.directory.path();
        let output = Command::new(env!("CARGO_BIN_EXE_kirosu"))
            .args(arguments)
            .args([
                "--json",
                "--config",
                "/dev/null",
                "--port",
                &self.hub.port.to_string(),
            ])
            .env_clear()
            .env("HOME", home)
            .env("KIRO_SWARM_KEY", &self.keys[&role])
            .current_dir(home)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes);
        match output.status.code() {
            Some(0) => Ok(read(&output.stdout).unwrap_or_else(|why| panic!("{why}: {output:?}"))),
            _ => {
                let error = read(&output.stderr).unwrap_or_else(|why| panic!("{why}: {output:?}"));
                let error = &error["error"];
                Err((text(&error["code"]), text(&error["message"])))
            }
        }
    }

    fn mcp(&mut self, role: AccessRole, tool: &str, arguments: &Value) -> Called {
        let (port, key) = (self.hub.port, self.keys[&role].clone());
        let server = self
            .servers
            .entry(role)
            .or_insert_with(|| McpServer::start(port, &key));
        let answer = server.call("tools/call", json!({"name": tool, "arguments": arguments}));
        let result = &answer["result"];
        if result["isError"] != true {
            assert!(result["structuredContent"].is_object(), "{tool}: {answer}");
            return Ok(result["structuredContent"].clone());
        }
        let said = text(&result["content"][0]["text"]);
        let code = said
            .trim_end_matches(')')
            .rsplit_once('(')
            .map(|(_, code)| code.to_owned());
        Err((code.unwrap_or_default(), said))
    }
}

/// A value as a path, query or message has it.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// `kirosu mcp` with all of its tools, spoken to in JSON lines.
struct McpServer {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    calls: u64,
}

impl McpServer {
    fn start(port: u16, key: &str) -> McpServer {
        let mut child = Command::new(env!("CARGO_BIN_EXE_kirosu"))
            .args([
                "mcp",
                "--decisions",
                "--config",
                "/dev/null",
                "--port",
                &port.to_string(),
            ])
            .env_clear()
            .env("KIRO_SWARM_KEY", key)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut server = McpServer {
            stdin: child.stdin.take().unwrap(),
            stdout: BufReader::new(child.stdout.take().unwrap()),
            child,
            calls: 0,
        };
        server.call(
            "initialize",
            json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "faces", "version": "1"}}),
        );
        server.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        server
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.stdin, "{message}").unwrap();
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        loop {
            let mut line = String::new();
            assert!(
                self.stdout.read_line(&mut line).unwrap() > 0,
                "kirosu mcp has ended"
            );
            let message: Value = serde_json::from_str(&line).unwrap();
            if message["id"] == id {
                return message;
            }
        }
    }
}

impl Drop for McpServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A role that has a right, and one that lacks it. `None`: every role has it.
fn roles(right: Right) -> (AccessRole, Option<AccessRole>) {
    let having = AccessRole::ALL.into_iter().filter(|role| role.has(right));
    // The most limited one.
    let having = having
        .min_by_key(|role| *role == AccessRole::Admin)
        .unwrap();
    let lacking = AccessRole::ALL
        .into_iter()
        .rev()
        .find(|role| !role.has(right));
    (having, lacking)
}

fn keys_of(value: &Value) -> Vec<&String> {
    value
        .as_object()
        .map(|it| it.keys().collect())
        .unwrap_or_default()
}

fn compare(row: &Row, wire: &Value, face: &str, answer: &Value, fields: &[(&str, &str)]) {
    for (ours, theirs) in fields {
        let expected = wire
            .pointer(ours)
            .unwrap_or_else(|| panic!("{:?}: {ours} in {wire}", row.verb));
        let found = answer.pointer(theirs);
        assert_eq!(
            found,
            Some(expected),
            "{:?} by {face}: {theirs} in {answer}",
            row.verb
        );
    }
}

#[test]
fn each_verb_has_the_same_result_error_and_refusal_in_each_face() {
    let mut world = World::start();
    let table = rows();
    let covered: HashSet<Method> = table.iter().map(|row| row.verb).collect();
    for verb in Method::ALL {
        assert!(covered.contains(&verb), "{verb:?} has no row");
    }
    let mut failed = Vec::new();
    for row in &table {
        // The other rows are looked at, too.
        let called = catch_unwind(AssertUnwindSafe(|| call(&mut world, row)));
        if called.is_err() {
            failed.push(row.verb);
        }
    }
    assert!(failed.is_empty(), "the faces differ in {failed:?}");
}

fn call(world: &mut World, row: &Row) {
    let (role, lacking) = roles(row.verb.right());
    let role = row.role.unwrap_or(role);
    if let Some(lacking) = lacking {
        refused(world, row, lacking);
    }
    if let Some((params, code)) = &row.wrong {
        wrong(world, row, role, params, code);
    }
    if let Some(make) = row.params {
        same(world, row, role, make);
    }
}

/// The key of another role is refused by each face.
fn refused(world: &mut World, row: &Row, lacking: AccessRole) {
    let params = &row.sample;
    let wire = world.wire(lacking, row.verb, params).unwrap_err();
    assert_eq!(wire.0, "forbidden", "{:?}: {wire:?}", row.verb);
    if row.route != NO_ROUTE {
        let rest = world.rest(lacking, row.route, params).unwrap_err();
        assert_eq!(rest, wire, "{:?} by REST", row.verb);
    }
    if let Some(cli) = &row.cli {
        let cli = world.cli(lacking, &(cli.arguments)(params)).unwrap_err();
        assert_eq!(
            cli.0, "forbidden",
            "{:?} by the command line: {cli:?}",
            row.verb
        );
    }
    if let Some(mcp) = &row.mcp {
        let mcp = world
            .mcp(lacking, mcp.tool, &(mcp.arguments)(params))
            .unwrap_err();
        assert_eq!(mcp.0, "forbidden", "{:?} by MCP: {mcp:?}", row.verb);
    }
}

/// A wrong call has the same error in each face.
fn wrong(world: &mut World, row: &Row, role: AccessRole, params: &Value, code: &str) {
    let wire = world.wire(role, row.verb, params).unwrap_err();
    assert_eq!(wire.0, code, "{:?}: {wire:?}", row.verb);
    if row.route != NO_ROUTE {
        let rest = world.rest(role, row.route, params).unwrap_err();
        assert_eq!(rest, wire, "{:?} by REST", row.verb);
    }
    if let Some(cli) = &row.cli {
        let cli = world.cli(role, &(cli.arguments)(params)).unwrap_err();
        assert_eq!(cli.0, code, "{:?} by the command line: {cli:?}", row.verb);
    }
    if let Some(mcp) = &row.mcp {
        let mcp = world
            .mcp(role, mcp.tool, &(mcp.arguments)(params))
            .unwrap_err();
        assert_eq!(mcp.0, code, "{:?} by MCP: {mcp:?}", row.verb);
    }
}

/// A right call has the same result in each face.
fn same(world: &mut World, row: &Row, role: AccessRole, make: fn(&mut World) -> Value) {
    let params = make(world);
    let wire = world.wire(role, row.verb, &params);
    let wire = wire.unwrap_or_else(|why| panic!("{:?} {params}: {why:?}", row.verb));
    if row.route != NO_ROUTE {
        let params = make(world);
        let rest = world.rest(role, row.route, &params);
        let rest = rest.unwrap_or_else(|why| panic!("{:?} by REST {params}: {why:?}", row.verb));
        assert_eq!(keys_of(&rest), keys_of(&wire), "{:?} by REST", row.verb);
        let fields: Vec<(&str, &str)> = row.same.iter().map(|field| (*field, *field)).collect();
        compare(row, &wire, "REST", &rest, &fields);
    }
    if let Some(cli) = &row.cli {
        let params = make(world);
        let answer = world.cli(role, &(cli.arguments)(&params));
        let answer = answer
            .unwrap_or_else(|why| panic!("{:?} by the command line {params}: {why:?}", row.verb));
        compare(row, &wire, "the command line", &answer, cli.same);
    }
    if let Some(mcp) = &row.mcp {
        let params = make(world);
        let answer = world.mcp(role, mcp.tool, &(mcp.arguments)(&params));
        let answer = answer.unwrap_or_else(|why| panic!("{:?} by MCP {params}: {why:?}", row.verb));
        compare(row, &wire, "MCP", &answer, mcp.same);
    }
}
