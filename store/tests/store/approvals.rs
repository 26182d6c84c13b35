//! Permission requests: bound to their attempt, decided once, and inherited by the next attempt when the lease is lost.

use crate::common::{Bench, done, failed};
use kirosu_protocol::approval::PermissionOption;
use kirosu_protocol::{
    Approval, ApprovalKind, ApprovalsParams, AskAnswer, AskParams, Cursor, Error, ErrorCode,
    FailureClass, Fence, NewTask, PermissionState, RuleDecision, TaskId, Verdict, WhichState,
};
use kirosu_store::{Command, Outcome};
use serde_json::json;

fn question(task_id: TaskId, fence: Fence, call: &str, command: &str) -> AskParams {
    AskParams {
        task_id,
        fence: Some(fence),
        call: call.into(),
        tool: "shell".into(),
        title: command.into(),
        args: Some(json!({ "command": command })),
        ..AskParams::default()
    }
}

trait People {
    fn ask(&mut self, ask: AskParams) -> Result<AskAnswer, Error>;
    fn decide(&mut self, id: i64, verdict: Verdict) -> Result<Outcome, Error>;
    fn inbox(&mut self, state: WhichState) -> Vec<Approval>;
    fn lose(&mut self) -> Fence;
}

impl People for Bench {
    fn ask(&mut self, ask: AskParams) -> Result<AskAnswer, Error> {
        self.one(Command::RequestPermission(Box::new(ask)))
            .map(|outcome| match outcome {
                Outcome::Permission(asked) => asked,
                other => panic!("ask: {other:?}"),
            })
    }

    fn decide(&mut self, approval: i64, verdict: Verdict) -> Result<Outcome, Error> {
        self.one(Command::DecidePermission {
            approval,
            verdict,
            by: Some("ada".into()),
            reason: Some("because".into()),
            option: None,
        })
    }

    fn inbox(&mut self, state: WhichState) -> Vec<Approval> {
        let query = ApprovalsParams {
            state,
            task_id: None,
            limit: Some(1000),
            cursor: None,
        };
        self.reader.approvals(&query).unwrap().approvals
    }

    /// The lease is lost, and the task leased again.
    fn lose(&mut self) -> Fence {
        self.now += 60_000;
        assert_eq!(self.expire().len(), 1);
        self.lease(1)[0].fence
    }
}

fn leased() -> (Bench, TaskId) {
    let mut bench = Bench::new();
    let task = bench.enqueue(NewTask {
        max_attempts: Some(9),
        ..NewTask::chat("work")
    });
    bench.lease(1);
    (bench, task)
}

#[test]
fn a_request_waits_and_its_decision_is_returned_as_often_as_its_attempt_asks() {
    let (mut bench, task) = leased();
    let first = bench.ask(question(task, 1, "c1", "git push")).unwrap();
    assert_eq!(first.state, PermissionState::Open);
    let again = bench.ask(question(task, 1, "c1", "git push")).unwrap();
    assert_eq!(again, first);
    bench.decide(first.approval_id, Verdict::Approved).unwrap();
    bench.decide(first.approval_id, Verdict::Approved).unwrap();
    for _ in 0..2 {
        let told = bench.ask(question(task, 1, "c1", "git push")).unwrap();
        assert_eq!(told.state, PermissionState::Approved);
        assert_eq!(told.by.as_deref(), Some("ada"));
    }
    let contrary = bench
        .decide(first.approval_id, Verdict::Rejected)
        .unwrap_err();
    assert_eq!(contrary.code, ErrorCode::StaleApproval);
    assert_eq!(contrary.data.unwrap()["why"], "decided");
    // A call name that is reused for another tool gets no decision.
    let reused = bench
        .ask(question(task, 1, "c1", "git push --force"))
        .unwrap_err();
    assert_eq!(reused.code, ErrorCode::InvalidParams);
    // The same tool in another call is another request: one decision, one run.
    let other = bench.ask(question(task, 1, "c2", "git push")).unwrap();
    assert_ne!(other.approval_id, first.approval_id);
    let decisions = bench.detail(task).decisions;
    assert_eq!(decisions.len(), 1);
    assert_eq!(
        decisions[0].comment.as_deref(),
        Some("a1 shell: git push (because)")
    );
}

#[test]
fn a_lost_attempts_question_becomes_the_next_ones_and_is_answered_once() {
    let (mut bench, task) = leased();
    let open = bench
        .ask(question(task, 1, "c1", "make"))
        .unwrap()
        .approval_id;
    let used = bench
        .ask(question(task, 1, "c2", "ls"))
        .unwrap()
        .approval_id;
    bench.decide(used, Verdict::Approved).unwrap();
    bench.ask(question(task, 1, "c2", "ls")).unwrap();
    let mut bench = bench.reopen();
    let fence = bench.lose();
    bench.decide(open, Verdict::Approved).unwrap();
    let told = bench.ask(question(task, fence, "z", "make")).unwrap();
    assert_eq!(
        (told.approval_id, told.state),
        (open, PermissionState::Approved)
    );
    // Whether `ls` has run is unknown, so a new request is needed.
    let again = bench.ask(question(task, fence, "y", "ls")).unwrap();
    assert_eq!(again.state, PermissionState::Open);
    assert_ne!(again.approval_id, used);
    // The same holds for `make`, as its decision was delivered.
    let fence = bench.lose();
    let again = bench.ask(question(task, fence, "z", "make")).unwrap();
    assert_eq!(again.state, PermissionState::Open);
    let stale = bench.ask(question(task, 1, "c1", "make")).unwrap_err();
    assert_eq!(stale.code, ErrorCode::StaleLease);
}

#[test]
fn a_late_decision_is_refused_with_the_reason_and_the_replacement() {
    let (mut bench, task) = leased();
    let old = bench
        .ask(question(task, 1, "c1", "make"))
        .unwrap()
        .approval_id;
    bench.ack(failed(task, Some(1))).unwrap();
    assert!(bench.inbox(WhichState::default()).is_empty());
    bench.now += 60_000;
    bench.one(Command::PromoteDue { limit: 10 }).unwrap();
    let fence = bench.lease(1)[0].fence;
    let new = bench
        .ask(question(task, fence, "c1", "make"))
        .unwrap()
        .approval_id;
    let error = bench.decide(old, Verdict::Approved).unwrap_err();
    assert_eq!(error.code, ErrorCode::StaleApproval);
    let data = error.data.unwrap();
    assert_eq!(data["why"], "attempt_over");
    assert_eq!(data["replaced_by"], new);
    let nobody = bench.decide(999, Verdict::Approved).unwrap_err();
    assert_eq!(nobody.code, ErrorCode::NotFound);
}

#[test]
fn a_crash_of_the_run_keeps_its_questions_an_end_of_the_task_does_not() {
    let (mut bench, task) = leased();
    let id = bench
        .ask(question(task, 1, "c1", "make"))
        .unwrap()
        .approval_id;
    let mut crashed = failed(task, Some(1));
    crashed.class = Some(FailureClass::Crashed);
    bench.ack(crashed).unwrap();
    assert_eq!(bench.inbox(WhichState::default()).len(), 1);
    bench
        .one(Command::Cancel {
            task,
            by: None,
            reason: None,
        })
        .unwrap();
    assert!(bench.inbox(WhichState::default()).is_empty());
    let void = bench.inbox(WhichState::Is(PermissionState::Void));
    assert_eq!(void[0].approval_id, Some(id));
}

#[test]
fn an_undelivered_decision_ends_with_an_attempt_that_was_acked() {
    let (mut bench, task) = leased();
    let id = bench
        .ask(question(task, 1, "c1", "make"))
        .unwrap()
        .approval_id;
    bench.decide(id, Verdict::Approved).unwrap();
    bench.ack(failed(task, Some(1))).unwrap();
    bench.now += 60_000;
    bench.one(Command::PromoteDue { limit: 10 }).unwrap();
    let fence = bench.lease(1)[0].fence;
    let again = bench.ask(question(task, fence, "c1", "make")).unwrap();
    assert_eq!(again.state, PermissionState::Open);
}

#[test]
fn a_withdrawn_request_is_answered_to_the_successor_only() {
    let (mut bench, task) = leased();
    let id = bench
        .ask(question(task, 1, "c1", "make"))
        .unwrap()
        .approval_id;
    // Two open calls with the same arguments are two requests.
    let twin = bench
        .ask(question(task, 1, "c2", "make"))
        .unwrap()
        .approval_id;
    assert_ne!(twin, id);
    let withdrawn = AskParams {
        withdrawn: true,
        ..question(task, 1, "c1", "make")
    };
    bench.ask(withdrawn).unwrap();
    bench.decide(id, Verdict::Rejected).unwrap();
    let told = bench.ask(question(task, 1, "c3", "make")).unwrap();
    assert_eq!(
        (told.approval_id, told.state),
        (id, PermissionState::Rejected)
    );
    assert_eq!(told.reason.as_deref(), Some("because"));
}

#[test]
fn requests_expire_at_the_reported_deadline() {
    let (mut bench, task) = leased();
    let asked = AskParams {
        wait_ms: Some(5_000),
        ..question(task, 1, "c1", "make")
    };
    let id = bench.ask(asked.clone()).unwrap().approval_id;
    assert_eq!(bench.store.next_deadline(), Some(bench.now + 5_000));
    bench.now += 5_000;
    let late = bench.decide(id, Verdict::Approved).unwrap_err();
    assert_eq!(late.data.unwrap()["why"], "expired");
    let counted = bench.one(Command::ExpirePermissions { limit: 10 }).unwrap();
    assert_eq!(
        counted,
        Outcome::Counted {
            count: 1,
            more: false
        }
    );
    assert_eq!(bench.ask(asked).unwrap().state, PermissionState::Expired);
    bench.ack(done(task, Some(1))).unwrap();
    let bench = bench.reopen();
    assert_eq!(bench.store.next_deadline(), None);
}

#[test]
fn the_decision_of_a_rule_is_recorded_with_its_name() {
    let (mut bench, task) = leased();
    let decided = Some(RuleDecision {
        verdict: Verdict::Approved,
        rule: "reads".into(),
    });
    let told = bench
        .ask(AskParams {
            decided,
            ..question(task, 1, "c1", "ls")
        })
        .unwrap();
    assert_eq!(told.state, PermissionState::Approved);
    assert!(bench.inbox(WhichState::default()).is_empty());
    let kept = &bench.inbox(WhichState::Any)[0];
    assert_eq!(kept.rule.as_deref(), Some("reads"));
    assert_eq!(kept.args.as_deref(), Some(r#"{"command":"ls"}"#));
    assert!(kept.decided_at.is_some() && kept.by.is_none());
}

#[test]
fn the_inbox_is_one_list_page_by_page() {
    let (mut bench, task) = leased();
    for n in 0..40 {
        bench
            .ask(question(task, 1, &format!("c{n}"), &format!("run {n}")))
            .unwrap();
    }
    let asks = bench.enqueue(NewTask {
        requires_approval: true,
        ..NewTask::chat("may I")
    });
    let human = bench.enqueue(NewTask {
        task_type: "human".into(),
        ..NewTask::chat("name it")
    });
    for limit in [1, 7, 16, 20, 41, 42, 100] {
        let (mut cursor, mut all) = (None, Vec::new());
        loop {
            let query = ApprovalsParams {
                state: WhichState::default(),
                task_id: None,
                limit: Some(limit),
                cursor,
            };
            let page = bench.reader.approvals(&query).unwrap();
            assert!(page.approvals.len() <= limit as usize);
            all.extend(page.approvals);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        let questions: Vec<i64> = all.iter().filter_map(|a| a.approval_id).collect();
        assert_eq!(
            questions,
            (1..=40).collect::<Vec<i64>>(),
            "pages of {limit}"
        );
        let tasks: Vec<_> = all[40..].iter().map(|a| (a.what, a.task_id)).collect();
        assert_eq!(
            tasks,
            [(ApprovalKind::Run, asks), (ApprovalKind::Human, human)]
        );
    }
    let history = ApprovalsParams {
        state: WhichState::Any,
        task_id: Some(task),
        limit: Some(3),
        cursor: Some(Cursor::Tool(11)),
    };
    let page = bench.reader.approvals(&history).unwrap();
    let ids: Vec<_> = page
        .approvals
        .iter()
        .filter_map(|a| a.approval_id)
        .collect();
    assert_eq!(ids, [10, 9, 8]);
}

#[test]
fn one_task_cannot_fill_the_inbox() {
    let (mut bench, task) = leased();
    let asks = (0..1000).map(|n| {
        Command::RequestPermission(Box::new(question(task, 1, &n.to_string(), &n.to_string())))
    });
    assert!(bench.batch(asks.collect()).iter().all(Result::is_ok));
    let refused = bench.ask(question(task, 1, "more", "more")).unwrap_err();
    assert_eq!(refused.code, ErrorCode::Busy);
    bench.ack(done(task, Some(1))).unwrap();
    assert!(bench.inbox(WhichState::default()).is_empty());
    // Pruned requests leave nothing behind, and their ids are not reused.
    bench.now += 1_000_000;
    let before_ms = bench.now;
    bench
        .one(Command::Prune {
            before_ms,
            limit: 100,
        })
        .unwrap();
    assert!(bench.inbox(WhichState::Any).is_empty());
    let task = bench.chat("next");
    bench.lease(1);
    assert_eq!(
        bench.ask(question(task, 1, "c", "x")).unwrap().approval_id,
        1001
    );
}

#[test]
fn the_cost_of_a_request_does_not_depend_on_the_others() {
    let (mut bench, task) = leased();
    let crowd = bench.chat("crowd");
    bench.lease(1);
    let cost = |bench: &mut Bench, task, call: &str| {
        let asked = |n: usize| question(task, 1, &format!("{call} {n}"), &format!("{call} {n}"));
        // The shortest of three: other tests use the processor, too.
        let times = [0, 30, 60].map(|first| {
            let begin = std::time::Instant::now();
            let commands = (first..first + 30)
                .map(|n| Command::RequestPermission(Box::new(asked(n))))
                .collect();
            assert!(bench.batch(commands).iter().all(Result::is_ok));
            begin.elapsed()
        });
        times.into_iter().min().unwrap()
    };
    let first = cost(&mut bench, task, "a");
    // Open requests and requests that a rule has decided, with long arguments.
    let long = "x".repeat(60_000);
    let others = (0..1500).map(|n| {
        let mut other = question(crowd, 1, &n.to_string(), &format!("{n} {long}"));
        other.decided = (n >= 900).then(|| RuleDecision {
            verdict: Verdict::Approved,
            rule: "all".into(),
        });
        Command::RequestPermission(Box::new(other))
    });
    assert!(bench.batch(others.collect()).iter().all(Result::is_ok));
    for (task, call) in [(task, "b"), (crowd, "c")] {
        let later = cost(&mut bench, task, call);
        let most = first * 10 + std::time::Duration::from_millis(50);
        assert!(later < most, "{call}: {later:?}, the first took {first:?}");
    }
}

#[test]
fn a_question_with_options_is_approved_by_one_of_them() {
    let (mut bench, task) = leased();
    let option = |id: &str, name: &str| PermissionOption {
        id: id.into(),
        name: name.into(),
    };
    let asked = AskParams {
        options: vec![option("pg", "Postgres"), option("my", "MySQL")],
        ..question(task, 1, "c1", "Which database?")
    };
    let id = bench.ask(asked.clone()).unwrap().approval_id;
    assert_eq!(bench.inbox(WhichState::default())[0].options, asked.options);
    let decide = |bench: &mut Bench, verdict, option: Option<&str>| {
        bench.one(Command::DecidePermission {
            approval: id,
            verdict,
            by: None,
            reason: None,
            option: option.map(str::to_owned),
        })
    };
    for wrong in [None, Some("sqlite")] {
        let refused = decide(&mut bench, Verdict::Approved, wrong).unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidParams);
        assert!(
            refused.message.contains("pg (Postgres), my (MySQL)"),
            "{refused}"
        );
    }
    decide(&mut bench, Verdict::Approved, Some("mysql")).unwrap();
    // The same decision again is harmless, another one is refused.
    decide(&mut bench, Verdict::Approved, Some("my")).unwrap();
    decide(&mut bench, Verdict::Approved, None).unwrap();
    let stale = decide(&mut bench, Verdict::Approved, Some("pg")).unwrap_err();
    assert_eq!(stale.code, ErrorCode::StaleApproval);
    let mut bench = bench.reopen();
    let told = bench.ask(asked.clone()).unwrap();
    assert_eq!(told.option.as_deref(), Some("my"));
    assert_eq!(
        bench.inbox(WhichState::Any)[0].option.as_deref(),
        Some("my")
    );
    // A decision does not apply to a request with other options.
    let other = AskParams {
        options: vec![option("pg", "Postgres"), option("or", "Oracle")],
        call: "c2".into(),
        ..asked
    };
    assert_eq!(bench.ask(other).unwrap().state, PermissionState::Open);
    let plain = bench
        .ask(question(task, 1, "c3", "make"))
        .unwrap()
        .approval_id;
    let refused = bench
        .one(Command::DecidePermission {
            approval: plain,
            verdict: Verdict::Approved,
            by: None,
            reason: None,
            option: Some("pg".into()),
        })
        .unwrap_err();
    assert_eq!(refused.code, ErrorCode::InvalidParams);
}

fn timed(task: TaskId, fence: Fence, seconds: u64) -> AskParams {
    AskParams {
        wait_ms: Some(seconds * 1000),
        ..question(task, fence, &format!("c{fence}"), "git push")
    }
}

#[test]
fn an_expired_request_is_made_again_by_the_next_attempt() {
    let (mut b, task) = leased();
    assert_eq!(b.ask(timed(task, 1, 1)).unwrap().approval_id, 1);
    b.now += 1000;
    b.one(Command::ExpirePermissions { limit: 10 }).unwrap();
    let fence = b.lose();
    let asked = b.ask(timed(task, fence, 3600)).unwrap();
    assert_eq!((asked.approval_id, asked.state), (2, PermissionState::Open));
    // Nor does it apply to a request whose deadline has passed unnoticed.
    b.now += 3_600_000;
    let fence = match b.expire().len() {
        1 => b.lease(1)[0].fence,
        _ => b.lose(),
    };
    let asked = b.ask(timed(task, fence, 3600)).unwrap();
    assert_eq!((asked.approval_id, asked.state), (3, PermissionState::Open));
}

#[test]
fn a_question_that_is_taken_over_waits_as_long_as_its_new_attempt_says() {
    let (mut b, task) = leased();
    b.ask(timed(task, 1, 100)).unwrap();
    let fence = b.lose();
    b.ask(timed(task, fence, 3600)).unwrap();
    b.now += 100_000;
    b.one(Command::ExpirePermissions { limit: 10 }).unwrap();
    let open = b.inbox(WhichState::Is(PermissionState::Open));
    assert_eq!(open.len(), 1, "{open:?}");
    assert_eq!(
        open[0].expires_at,
        Some((b.now - 100_000 + 3_600_000) as f64 / 1000.0)
    );
}
