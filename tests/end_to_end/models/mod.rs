//! A swarm on a real small model: SmolLM2-135M-Instruct, served by llama.cpp, both from PyPI (tests/end_to_end/models/). Its text is
//! weak; streaming, stopping on request and token counts are real.

mod runs;

use crate::common::{Client, PATIENCE, Setup, until, venv};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/end_to_end/models");

// ---------------------------------------------------------------- the model

/// The Python that has the server and the model, without what they depend on: the model is data, and comes with a plugin of a framework
/// that is not needed.
fn python() -> PathBuf {
    let requirements = format!("{HERE}/requirements.txt");
    venv::python("models", &requirements, &["--no-deps"])
}

/// The server; ended with the test.
struct Model {
    child: Child,
    /// Without `http://`.
    address: String,
}

impl Model {
    fn start(log: &Path) -> Model {
        let mut command = Command::new(python());
        command.arg(format!("{HERE}/serve.py"));
        Model::serve(&mut command, log)
    }

    /// Starts what prints its address.
    fn serve(command: &mut Command, log: &Path) -> Model {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(log).unwrap())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let address = line.trim().split_once("://").map(|it| it.1.to_owned());
        let address = address.unwrap_or_else(|| {
            panic!(
                "no address: {}",
                fs::read_to_string(log).unwrap_or_default()
            )
        });
        Model { child, address }
    }

    /// How many answers it works on.
    fn busy(&self) -> usize {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
            .write_all(b"GET /slots HTTP/1.0\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("is_processing"), "{answer}");
        answer.matches("\"is_processing\":true").count()
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// ---------------------------------------------------------------- the swarm

const KEY: &str = "a-key-that-nobody-checks";

/// A pool for each API, each on a queue of its name, with answers of at most 16 tokens; `endless` has no limit to its answers.
fn swarm(model: &Model) -> Setup {
    let base = format!("http://{}/v1", model.address);
    let mut setup = Setup::new()
        .up()
        .environment("OPENAI_API_KEY", KEY)
        .environment("ANTHROPIC_API_KEY", KEY)
        .set("providers.openai.api=responses")
        .set("providers.vllm.body={ ignore_eos = true }")
        .set("prices={ smol = { input = 1000, cached = 500, output = 2000 } }");
    for (queue, provider) in [
        ("chat", "llamacpp"),
        ("responses", "openai"),
        ("messages", "anthropic"),
        ("endless", "vllm"),
    ] {
        setup = setup
            .set(&format!("providers.{provider}.base_url={base}"))
            .set(&format!("pool.{queue}.provider={provider}"))
            .set(&format!("pool.{queue}.queues={queue}"))
            .set(&format!("pool.{queue}.model=smol"))
            .set(&format!("pool.{queue}.size=1"));
        if queue != "endless" {
            setup = setup.set(&format!("providers.{provider}.max_tokens=16"));
        }
    }
    setup.set("pool.chat.size=2")
}

fn enqueue(client: &mut Client, queue: &str, prompt: &str) -> i64 {
    client.enqueue_with(json!({"queue": queue, "prompt": prompt, "max_attempts": 1}))
}

fn done(client: &mut Client, id: i64) -> Value {
    // A machine that is busy otherwise takes its time for an answer.
    let wait = json!({"task_ids": [id], "timeout_seconds": 20});
    let mut waits = (0..6).map(|_| client.call("wait", wait.clone()));
    waits.find(|it| it["finished"] == true);
    let got = client.call("get", json!({"task_id": id}));
    assert_eq!(got["task"]["status"], "done", "{got}");
    got
}

#[test]
fn a_swarm_on_a_small_model_streams_stops_and_counts() {
    let folder = tempfile::tempdir().unwrap();
    let model = Model::start(&folder.path().join("model.log"));
    let hub = swarm(&model).start();
    let (mut client, mut watcher) = (hub.client(), hub.client());

    // Several tasks on two sessions, streamed.
    watcher.call("watch", json!({"kinds": ["output", "task"]}));
    let ids: Vec<i64> = (1..=3)
        .map(|n| {
            enqueue(
                &mut client,
                "chat",
                &format!("Tell me a short story about {n} cats."),
            )
        })
        .collect();
    let mut pieces = 0;
    loop {
        let event = watcher.notice("event");
        match (event["event"].as_str(), event["status"].as_str()) {
            (Some("output"), _) => pieces += 1,
            (_, Some("done")) => break,
            _ => {}
        }
    }
    assert!(
        pieces > 0,
        "the first task ended before any of its output was seen"
    );
    for id in &ids {
        let got = done(&mut client, *id);
        assert!(
            !got["task"]["result"].as_str().unwrap().trim().is_empty(),
            "{got}"
        );
        let (input, cached) = counted(&got);
        assert!(input + cached > 10, "{got}");
    }
    let said = client.call("get", json!({"task_id": ids[0], "output": true}));
    let streamed: String = said["output"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|it| it["text"].as_str())
        .collect();
    let result = said["task"]["result"].as_str().unwrap();
    assert!(
        result.starts_with(streamed.trim_end()),
        "{streamed:?} is not {result:?}"
    );

    // The other two APIs, on the same server.
    for queue in ["responses", "messages"] {
        let id = enqueue(&mut client, queue, "Say hello.");
        let got = done(&mut client, id);
        let (input, cached) = counted(&got);
        // When it is slow, this server leaves out the beginning of a stream of Anthropic's form, and with it the input.
        assert!(input + cached > 10 || queue == "messages", "{got}");
    }

    // One that would never end is cancelled in the middle, and its model is free again.
    let id = enqueue(&mut client, "endless", "Count for ever: 1, 2, 3,");
    let mut events = hub.client();
    events.call("watch", json!({"kinds": ["output"], "task_id": id}));
    events.notice("event");
    assert_eq!(model.busy(), 1);
    let begun = Instant::now();
    client.call("cancel", json!({"task_id": id}));
    client.call("wait", json!({"task_ids": [id], "timeout_seconds": 25}));
    until("the model is free", || (model.busy() == 0).then_some(()));
    let got = client.call("get", json!({"task_id": id, "output": true}));
    assert_eq!(got["task"]["status"], "cancelled", "{got}");
    println!("free {:?} after the cancel", begun.elapsed());
    let id = enqueue(&mut client, "chat", "Still there?");
    done(&mut client, id);

    assert!(!hub.log().contains(KEY), "the key is in the log");
}

/// The tokens of the input and those of it that were cached. Tokens were counted, and the cost is what the prices make of
/// them, marked as an estimate.
fn counted(got: &Value) -> (u64, u64) {
    let usage = &got["attempts"][0]["usage"];
    let of = |name: &str| {
        usage[name]
            .as_u64()
            .unwrap_or_else(|| panic!("no {name}: {got}"))
    };
    let (input, cached, output) = (
        of("input_tokens"),
        of("cache_read_tokens"),
        of("output_tokens"),
    );
    assert!((1..=16).contains(&output), "{usage}");
    let cost = (input * 1000 + cached * 500 + output * 2000) as f64 / 1e6;
    let told = usage["cost_usd"].as_f64().unwrap();
    assert!((told - cost).abs() < 1e-9, "{usage}");
    assert_eq!(usage["cost_estimated"], true, "{usage}");
    (input, cached)
}

// ---------------------------------------------------------------- TLS

/// An authority, and a server's certificate and key by it.
fn certificates(folder: &Path) {
    let openssl = |line: &str| {
        let command = Command::new("openssl")
            .args(line.split(' '))
            .current_dir(folder)
            .output();
        let output = command.expect("openssl runs (on Debian: apt-get install openssl)");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {line}: {said}");
    };
    let new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    openssl(&format!(
        "{new} -keyout ca.key -out ca.pem -subj /CN=authority"
    ));
    openssl(&format!(
        "{new} -keyout key.pem -out cert.pem -subj /CN=service -CA ca.pem -CAkey ca.key \
         -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE"
    ));
}

#[test]
fn a_service_is_asked_over_tls_and_only_if_the_platform_trusts_it() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let path = |name: &str| folder.path().join(name);
    let mut command = Command::new("python3");
    command
        .arg(format!("{HERE}/tls.py"))
        .args([path("cert.pem"), path("key.pem")]);
    let service = Model::serve(&mut command, &path("tls.log"));
    let setup = Setup::new()
        .up()
        .set(&format!(
            "providers.vllm.base_url=https://{}/v1",
            service.address
        ))
        .set("pool.p.provider=vllm")
        .set("pool.p.size=1");

    let trusting = setup
        .clone()
        .environment("SSL_CERT_FILE", path("ca.pem").to_str().unwrap());
    let hub = trusting.start();
    let mut client = hub.client();
    let id = client.enqueue("x");
    assert_eq!(done(&mut client, id)["task"]["result"], "over TLS");
    drop(hub);

    // Its own certificate does not make it trusted.
    let hub = Setup {
        directory: Setup::new().directory,
        ..setup
    }
    .start();
    let told = || hub.log().contains("invalid peer certificate").then_some(());
    until("the pool tells why", told);
}
