//! A scripted hub, and providers that misbehave on demand.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kirosu_protocol::client::Endpoint;
use kirosu_protocol::verbs::hello::SessionSecret;
use kirosu_protocol::{ErrorCode, HelloAnswer};
use kirosu_providers::{
    BoxFuture, Cancel, Containment, EventSink, FailureKind, Finished, Job, ProbeReport, Provider,
    ProviderOptions, RunFailure, RunnerCommand, build,
};
use kirosu_supervision::{BackoffPolicy, ChildSnapshot, Clock, Root, SupervisorSpec};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream};
use tokio::sync::mpsc;

use crate::{PoolOptions, SwarmHandle, SwarmOptions, specs};

/// Runs a test on one thread with paused time; no supervised child may be left behind.
pub(super) fn run<F: Future<Output = ()>>(test: F) {
    let system = actix_rt::System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap()
    });
    system.block_on(async {
        test.await;
        eventually("every supervised child has ended", || {
            kirosu_supervision::live_on_this_thread() == 0
        })
        .await;
    });
}

/// Waits until `holds` returns true; panics after a minute of paused time.
pub(super) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..60_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("waited in vain until {what}");
}

/// A request that waits for the test's answer.
#[derive(Debug)]
pub(super) struct Call {
    /// Number of its connection, from 0.
    pub(super) connection: usize,
    pub(super) method: String,
    pub(super) params: Value,
    id: Value,
    out: mpsc::UnboundedSender<Option<String>>,
}

impl Call {
    pub(super) fn answer(self, result: Value) {
        self.send(json!({"id": self.id, "result": result, "error": null}));
    }

    pub(super) fn ok(self) {
        self.answer(json!({"ok": true}));
    }

    pub(super) fn refuse(self, code: ErrorCode) {
        let error = json!({"code": code.number(), "message": code.as_str()});
        self.send(json!({"id": self.id, "result": null, "error": error}));
    }

    /// Sends a notice on the same connection.
    pub(super) fn notify(&self, method: &str, params: Value) {
        self.send(json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    /// Breaks the connection without an answer.
    pub(super) fn cut(self) {
        let _ = self.out.send(None);
    }

    pub(super) fn param(&self, key: &str) -> &str {
        self.params[key].as_str().unwrap_or_default()
    }

    fn send(&self, line: Value) {
        let _ = self.out.send(Some(format!("{line}\n")));
    }
}

/// The scripted hub.
pub(super) struct Hub {
    calls: mpsc::UnboundedReceiver<Call>,
    /// Calls that arrived while the test waited for others.
    passed: VecDeque<Call>,
    /// Number of connections that have ended.
    pub(super) ended: Arc<AtomicU32>,
    /// The start of the hub, as its `hello` reports it.
    pub(super) boot: &'static str,
    endpoint: Endpoint,
}

impl Hub {
    pub(super) fn start() -> Self {
        let (door, mut visitors) = mpsc::channel::<DuplexStream>(8);
        let (sender, calls) = mpsc::unbounded_channel();
        let ended = Arc::new(AtomicU32::new(0));
        let count = ended.clone();
        tokio::spawn(async move {
            let mut connection = 0;
            while let Some(stream) = visitors.recv().await {
                tokio::spawn(attend(connection, stream, sender.clone(), count.clone()));
                connection += 1;
            }
        });
        Self {
            calls,
            passed: VecDeque::new(),
            ended,
            boot: "b",
            endpoint: Endpoint::InMemory(door),
        }
    }

    /// Returns the next call of this method; keeps others, and answers output and heartbeats.
    pub(super) async fn expect(&mut self, method: &str) -> Call {
        if let Some(at) = self.passed.iter().position(|call| call.method == method) {
            return self.passed.remove(at).unwrap();
        }
        let limit = tokio::time::Instant::now() + Duration::from_secs(3600);
        loop {
            let next = tokio::time::timeout_at(limit, self.calls.recv()).await;
            let Ok(Some(call)) = next else {
                panic!("waited in vain for {method}; {:?}", self.passed);
            };
            match call.method.as_str() {
                found if found == method => return call,
                "output" => call.ok(),
                "heartbeat" => call.answer(json!({"ok": true, "leased_until": 0.0})),
                _ => self.passed.push_back(call),
            }
        }
    }

    /// Takes a `hello` and answers it; `leases` are those that the hub believes to be held.
    pub(super) async fn welcome(&mut self, leases: &[(i64, i64)]) -> Greeting {
        let call = self.expect("hello").await;
        let seen = Greeting {
            connection: call.connection,
            session: call.param("session_id").to_owned(),
            resume: call.params["resume"] == json!(true),
        };
        let held = |(task_id, fence): &(i64, i64)| json!({"task_id": task_id, "fence": fence});
        let mut answer = serde_json::to_value(HelloAnswer {
            protocol: 1,
            resumed: seen.resume,
            boot_id: self.boot.into(),
            ..HelloAnswer::default()
        })
        .unwrap();
        answer["leases"] = leases.iter().map(held).collect();
        call.answer(answer);
        seen
    }

    /// Takes a session's `hello` and its parked lease request, which it returns.
    pub(super) async fn park(&mut self) -> Call {
        self.welcome(&[]).await;
        self.expect("lease").await
    }

    /// Whether a call of this method has arrived and was not taken.
    pub(super) fn has(&mut self, method: &str) -> bool {
        while let Ok(call) = self.calls.try_recv() {
            self.passed.push_back(call);
        }
        self.passed.iter().any(|call| call.method == method)
    }
}

/// The contents of a `hello`.
#[derive(Debug)]
pub(super) struct Greeting {
    pub(super) connection: usize,
    pub(super) session: String,
    pub(super) resume: bool,
}

async fn attend(
    connection: usize,
    stream: DuplexStream,
    sender: mpsc::UnboundedSender<Call>,
    ended: Arc<AtomicU32>,
) {
    let (reader, mut writer) = tokio::io::split(stream);
    let mut lines = BufReader::new(reader).lines();
    let (out, mut param) = mpsc::unbounded_channel::<Option<String>>();
    loop {
        tokio::select! {
            line = lines.next_line() => {
                let Ok(Some(line)) = line else { break };
                let mut line: Value = serde_json::from_str(&line).unwrap();
                let method = line["method"].as_str().unwrap().to_owned();
                let (params, id) = (line["params"].take(), line["id"].take());
                let _ = sender.send(Call { connection, method, params, id, out: out.clone() });
            }
            line = param.recv() => match line.flatten() {
                Some(line) => {
                    if writer.write_all(line.as_bytes()).await.is_err() {
                        break;
                    }
                }
                None => break,
            }
        }
    }
    ended.fetch_add(1, Ordering::Relaxed);
}

/// A task as `lease` returns it.
pub(super) fn task(task_id: i64, fence: i64, prompt: &str) -> Value {
    json!({
        "task_id": task_id, "prompt": prompt, "system_prompt": null, "type": "chat", "status": "leased",
        "created_at": 0.0, "updated_at": 0.0, "leased_until": null, "worker_id": null, "result": null, "error": null,
        "fence": fence, "queue": "default", "priority": 0, "attempts": 1,
    })
}

/// The answer to a lease request.
pub(super) fn grant(task: Value) -> Value {
    json!({"tasks": [task]})
}

/// A running swarm.
pub(super) struct Swarm {
    pub(super) hub: Hub,
    pub(super) root: Root,
    pub(super) handle: SwarmHandle,
}

impl Swarm {
    /// Starts these pools, with a drain of ten seconds.
    pub(super) fn start(pools: Vec<PoolOptions>) -> Self {
        let hub = Hub::start();
        let options = SwarmOptions {
            endpoint: hub.endpoint.clone(),
            key: Some("k".into()),
            agent_hub: None,
            pools,
            instance: "here:1-b".into(),
            session_secret: SessionSecret("secret".into()),
            host: "here".into(),
            drain: Duration::from_secs(10),
        };
        let (spec, handle) = specs(options);
        let root = Root::start(SupervisorSpec::new("root").child(spec), Clock::test(0));
        Self { hub, root, handle }
    }

    pub(super) fn node(&self, path: &str) -> Option<ChildSnapshot> {
        self.root.tree().snapshot_at(path)
    }

    /// Whether the tree has nothing at this path.
    pub(super) fn lacks(&self, path: &str) -> bool {
        self.node(path).is_none()
    }

    /// Ends it without grace.
    pub(super) async fn kill(self) {
        self.root.kill();
        self.root.ended().await;
    }
}

/// A pool named `p` that answers with the prompt after `delay`; its sessions restart after 50 ms.
pub(super) fn echo(delay: Duration) -> PoolOptions {
    let options = ProviderOptions {
        name: "echo".into(),
        kind: "echo".into(),
        delay,
        ..ProviderOptions::default()
    };
    let containment = Containment::new(RunnerCommand::this_executable("none"), "test");
    pool_of("p", build(&options, &containment).unwrap())
}

/// A pool of this provider.
pub(super) fn pool_of(name: &str, provider: Arc<dyn Provider>) -> PoolOptions {
    let delay = Duration::from_millis(50);
    PoolOptions {
        backoff: BackoffPolicy {
            initial: delay,
            max: delay,
            factor: 1.0,
            jitter: 0.0,
            healthy_after: Duration::from_secs(1),
        },
        lease: Duration::from_secs(30),
        ..PoolOptions::new(name, provider, std::env::temp_dir())
    }
}

/// The behaviour of a [`Stub`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Does {
    Panics,
    Fails(FailureKind),
    /// Answers with its job, as JSON.
    ReturnsJob,
}

/// A provider that misbehaves.
pub(super) struct Stub {
    pub(super) name: &'static str,
    pub(super) does: Does,
    /// Number of probes that fail before one succeeds.
    pub(super) missing: AtomicU32,
    pub(super) dangerous: bool,
}

impl Stub {
    pub(super) fn new(does: Does) -> Self {
        Self {
            name: "stub",
            does,
            missing: AtomicU32::new(0),
            dangerous: false,
        }
    }
}

impl Provider for Stub {
    fn name(&self) -> &str {
        self.name
    }

    fn dangerous(&self) -> bool {
        self.dangerous
    }

    fn probe(&self) -> BoxFuture<'_, ProbeReport> {
        let less = |left: u32| left.checked_sub(1);
        let missing = self
            .missing
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok();
        Box::pin(std::future::ready(ProbeReport {
            found: !missing,
            version: None,
            command: "stub".into(),
            problem: missing.then(|| "install it".into()),
        }))
    }

    fn run(
        &self,
        job: Job,
        _: EventSink,
        _: Cancel,
    ) -> BoxFuture<'_, Result<Finished, RunFailure>> {
        let does = self.does;
        Box::pin(async move {
            match does {
                Does::Panics => panic!("provider bug"),
                Does::Fails(class) => Err(RunFailure::new(class, "no")),
                Does::ReturnsJob => Ok(Finished {
                    text: json!({
                        "system_prompt": job.system_prompt, "model": job.model, "workdir": job.workdir,
                        "total": job.timeouts.total.map(|t| t.as_millis() as u64), "env": job.env,
                    })
                    .to_string(),
                    usage: None,
                    truncated: false,
                    conversation: None,
                    doubt: None,
                }),
            }
        })
    }
}
