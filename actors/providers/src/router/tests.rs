//! The choice of a member, the switch to the next one, and the events of both.

use std::sync::Mutex;
use std::time::SystemTime;

use super::*;
use crate::event::ToolStatus;
use crate::gate::{AccountClosed, Gatekeeper, ProviderGate};
use crate::outcome::{Conversation, Finished, RunResult};

/// The behaviour of a fake member.
#[derive(Clone)]
enum Does {
    Answers,
    Fails(FailureKind),
    /// A tool runs before it fails.
    FailsLate(FailureKind),
    /// Answers with the conversation that it got.
    Resumes,
}

struct Fake(&'static str, Does);

impl Provider for Fake {
    fn name(&self) -> &str {
        self.0
    }

    fn probe(&self) -> BoxFuture<'_, ProbeReport> {
        let found = matches!(self.1, Does::Answers);
        Box::pin(std::future::ready(ProbeReport {
            found,
            version: None,
            command: self.0.to_owned(),
            problem: (!found).then(|| "install it".to_owned()),
        }))
    }

    fn run(&self, job: Job, events: EventSink, _: Cancel) -> BoxFuture<'_, RunResult> {
        let (name, does) = (self.0, self.1.clone());
        Box::pin(async move {
            let usage = Some(RunUsage {
                input: 10,
                ..RunUsage::default()
            });
            if let Does::FailsLate(_) = does {
                events
                    .send(RunEvent::Tool {
                        id: "1".to_owned(),
                        name: "bash".to_owned(),
                        status: ToolStatus::Started,
                        detail: None,
                    })
                    .await;
            }
            match does {
                Does::Fails(class) | Does::FailsLate(class) => {
                    let mut failure = RunFailure::new(class, format!("{name} has failed"));
                    failure.usage = usage;
                    Err(failure)
                }
                Does::Resumes => Ok(finished(
                    job.conversation.map_or("anew".to_owned(), |it| it.session),
                    usage,
                )),
                Does::Answers => Ok(finished(format!("{name} {:?}", job.model), usage)),
            }
        })
    }
}

fn finished(text: String, usage: Option<RunUsage>) -> Finished {
    Finished {
        text,
        usage,
        truncated: false,
        conversation: Some(Conversation {
            session: "c".to_owned(),
            total: RunUsage::default(),
        }),
        doubt: None,
    }
}

fn router(members: Vec<Fake>, retry_after_tools: bool) -> RouterProvider {
    let members = members.into_iter().map(|fake| Member {
        model: Some(format!("{}-model", fake.0)),
        provider: Arc::new(fake),
    });
    let on = ["rate_limited", "auth_required", "network", "missing"];
    RouterProvider(Arc::new(RouterPlan {
        name: "any".to_owned(),
        members: members.collect(),
        on: on.map(str::to_owned).to_vec(),
        retry_after_tools,
    }))
}

/// The outcome of a job, and the warnings.
async fn run(router: &RouterProvider, job: Job) -> (RunResult, Vec<String>) {
    let (sink, mut stream) = EventSink::channel(64);
    let outcome = router.run(job, sink, Cancel::never()).await;
    let mut warnings = Vec::new();
    while let Some(event) = stream.recv().await {
        if let RunEvent::Warning { message } = event {
            warnings.push(message);
        }
    }
    (outcome, warnings)
}

const LIMITED: FailureKind = FailureKind::RateLimited { until: None };

#[tokio::test]
async fn moves_on_after_a_provider_failure_with_a_warning() {
    for class in [
        LIMITED,
        FailureKind::AuthRequired,
        FailureKind::Network,
        FailureKind::Missing,
    ] {
        let router = router(
            vec![Fake("a", Does::Fails(class)), Fake("b", Does::Answers)],
            false,
        );
        let (outcome, warnings) = run(&router, Job::new("x", "/")).await;
        let done = outcome.unwrap();
        assert_eq!(done.text, "b Some(\"b-model\")");
        assert_eq!(done.usage.unwrap().input, 20, "both have cost something");
        assert_eq!(done.conversation.unwrap().session, "b:c");
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("'a' failed") && warnings[0].contains("'b' runs"));
    }
}

#[tokio::test]
async fn a_failure_of_the_task_is_the_tasks() {
    for class in [FailureKind::ProviderError, FailureKind::BadInput] {
        let router = router(
            vec![Fake("a", Does::Fails(class)), Fake("b", Does::Answers)],
            false,
        );
        let (outcome, warnings) = run(&router, Job::new("x", "/")).await;
        assert_eq!(outcome.unwrap_err().kind, class);
        assert!(warnings.is_empty());
    }
}

#[tokio::test]
async fn after_a_tool_ran_it_moves_on_only_when_configured() {
    for retries in [false, true] {
        let router = router(
            vec![
                Fake("a", Does::FailsLate(LIMITED)),
                Fake("b", Does::Answers),
            ],
            retries,
        );
        let (outcome, _) = run(&router, Job::new("x", "/")).await;
        assert_eq!(outcome.is_ok(), retries);
    }
}

#[tokio::test]
async fn a_conversation_goes_back_to_the_one_that_began_it() {
    let resumes = || router(vec![Fake("a", Does::Resumes)], false);
    for (session, expected) in [("a:c-7", "c-7"), ("b:c-7", "anew")] {
        let mut job = Job::new("x", "/");
        job.conversation = Some(Conversation {
            session: session.to_owned(),
            total: RunUsage::default(),
        });
        let (outcome, _) = run(&resumes(), job).await;
        assert_eq!(outcome.unwrap().text, expected);
    }
}

#[tokio::test]
async fn a_router_is_found_where_one_member_is() {
    let some = router(
        vec![Fake("a", Does::Fails(LIMITED)), Fake("b", Does::Answers)],
        false,
    );
    assert!(some.probe().await.found);
    let none = router(vec![Fake("a", Does::Fails(LIMITED))], false);
    let problem = none.probe().await.problem.unwrap();
    assert_eq!(problem, "a: install it");
    assert_eq!(some.routes(), ["a", "b"]);
}

/// A gate that is closed for some providers. Records the ends of runs.
#[derive(Default)]
struct FakeGatekeeper {
    closed: Mutex<Vec<String>>,
    until: Option<SystemTime>,
    ended: Arc<Mutex<Vec<bool>>>,
}

impl Gatekeeper for Arc<FakeGatekeeper> {
    fn choose(
        &self,
        providers: Vec<String>,
    ) -> BoxFuture<'static, Result<(usize, AccountPass), AccountClosed>> {
        let closed = self.closed.lock().unwrap();
        let free = providers.iter().position(|name| !closed.contains(name));
        let ended = self.ended.clone();
        let answer = match free {
            Some(place) => {
                let pass = AccountPass::new(move |outcome: &RunResult| {
                    ended.lock().unwrap().push(outcome.is_ok());
                });
                Ok((place, pass))
            }
            None => Err(AccountClosed {
                until: self.until,
                message: "all parked".to_owned(),
            }),
        };
        Box::pin(std::future::ready(answer))
    }

    fn closed(&self, providers: &[String]) -> Option<AccountClosed> {
        let closed = self.closed.lock().unwrap();
        let all = providers.iter().all(|name| closed.contains(name));
        all.then(|| AccountClosed {
            until: self.until,
            message: "all parked".to_owned(),
        })
    }
}

#[tokio::test]
async fn the_first_open_member_runs_and_its_end_is_reported() {
    let doors = Arc::new(FakeGatekeeper {
        closed: Mutex::new(vec!["a".to_owned()]),
        ..FakeGatekeeper::default()
    });
    let router = router(
        vec![Fake("a", Does::Answers), Fake("b", Does::Answers)],
        false,
    );
    let mut job = Job::new("x", "/");
    job.gate = ProviderGate::new(doors.clone());
    let (outcome, warnings) = run(&router, job).await;
    assert!(outcome.unwrap().text.starts_with('b'));
    assert!(warnings.is_empty(), "nothing has failed");
    assert_eq!(*doors.ended.lock().unwrap(), [true]);
}

#[tokio::test]
async fn when_all_are_parked_the_work_waits_for_the_first() {
    let until = Some(SystemTime::UNIX_EPOCH);
    let doors = Arc::new(FakeGatekeeper {
        closed: Mutex::new(vec!["a".to_owned(), "b".to_owned()]),
        until,
        ..FakeGatekeeper::default()
    });
    let router = router(
        vec![Fake("a", Does::Answers), Fake("b", Does::Answers)],
        false,
    );
    let mut job = Job::new("x", "/");
    job.gate = ProviderGate::new(doors);
    let failure = run(&router, job).await.0.unwrap_err();
    assert_eq!(failure.kind, FailureKind::RateLimited { until });
    assert!(failure.message.contains("all parked"));
}

/// A gate that opens only for `a`.
struct Slow;

impl Gatekeeper for Slow {
    fn choose(
        &self,
        providers: Vec<String>,
    ) -> BoxFuture<'static, Result<(usize, AccountPass), AccountClosed>> {
        Box::pin(async move {
            match providers.iter().position(|name| name == "a") {
                Some(place) => Ok((place, AccountPass::new(|_| {}))),
                None => std::future::pending().await,
            }
        })
    }

    fn closed(&self, _: &[String]) -> Option<AccountClosed> {
        None
    }
}

#[tokio::test]
async fn a_run_that_times_out_in_the_gate_keeps_the_usage_so_far() {
    let router = router(
        vec![Fake("a", Does::Fails(LIMITED)), Fake("b", Does::Answers)],
        false,
    );
    let mut job = Job::new("x", "/");
    job.gate = ProviderGate::new(Slow);
    job.timeouts.total = Some(Duration::from_millis(50));
    let failure = run(&router, job).await.0.unwrap_err();
    let which = TimeoutKind::Total;
    assert_eq!(failure.kind, FailureKind::Timeout { which });
    assert_eq!(failure.usage.unwrap().input, 10);
}

#[tokio::test]
async fn a_conversation_that_must_go_on_runs_with_its_member_alone() {
    let router = router(
        vec![
            Fake("a", Does::Answers),
            Fake("b", Does::Fails(LIMITED)),
            Fake("c", Does::Resumes),
        ],
        false,
    );
    let with = |session: &str| {
        let mut job = Job::new("x", "/");
        job.must_continue = true;
        job.conversation = Some(Conversation {
            session: session.to_owned(),
            total: RunUsage::default(),
        });
        job
    };
    let (outcome, _) = run(&router, with("c:s-1")).await;
    assert_eq!(outcome.unwrap().text, "s-1");
    // The others would begin a new one.
    let (outcome, warnings) = run(&router, with("b:s-1")).await;
    assert_eq!(outcome.unwrap_err().kind, LIMITED);
    assert!(warnings.is_empty(), "{warnings:?}");
    let (outcome, _) = run(&router, with("gone:s-1")).await;
    let failure = outcome.unwrap_err();
    assert_eq!(failure.kind, FailureKind::BadInput);
    assert!(
        failure.message.contains("gone:s-1 cannot be continued"),
        "{failure}"
    );
}
