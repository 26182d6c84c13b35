//! Explanations as sentences.

use super::evidence::{RunEvidence, StepEvidence};
use super::reasons::{Explanation, of_item, of_planned, of_run, of_step};
use crate::cli::show::run::tests::{run, step};
use kirosu_plan::{PlanFormat, compile};
use kirosu_protocol::{
    ItemInfo, ItemState, RunState, Status, StepInfo, StepState, Task, WaitReason, Waiting,
};
use serde_json::json;

fn task(task_id: i64, status: Status, kind: &str) -> Task {
    let fields = json!({
        "task_id": task_id, "prompt": "Go\non?", "system_prompt": null, "type": kind, "status": status, "created_at": 0.0,
        "updated_at": 60.0, "leased_until": null, "worker_id": "coders-1@host", "result": null, "error": null, "fence": 1,
        "queue": "default", "priority": 0, "attempts": 1,
    });
    serde_json::from_value(fields).unwrap()
}

fn waits(task_id: i64, kind: &str, message: &str, until: Option<f64>) -> Task {
    Task {
        waiting: Some(Box::new(Waiting {
            reason: WaitReason::RateLimited,
            message: message.into(),
            until,
            task_id: None,
            pool: None,
        })),
        ..task(task_id, Status::Queued, kind)
    }
}

fn item(key: &str, class: &str, error: &str) -> ItemInfo {
    ItemInfo {
        step: "read".into(),
        index: 0,
        key: key.into(),
        state: ItemState::Failed,
        task_id: Some(46),
        cached: false,
        class: Some(class.into()),
        error: Some(error.into()),
        result: None,
    }
}

fn evidence(steps: Vec<StepInfo>, state: RunState, reason: Option<&str>) -> RunEvidence {
    let plan = "
pipeline:
  - { id: read, map: { over: [1] }, prompt: p }
  - { id: digest, depends_on: [read], prompt: p }
  - { id: merge, reduce: { of: read }, prompt: p }
  - { id: after, depends_on: [merge], prompt: p }
  - { id: tell, always: true, prompt: p }
";
    let mut run = run(steps);
    (run.state, run.reason) = (state, reason.map(str::to_owned));
    RunEvidence {
        run,
        task: task(42, Status::Leased, "plan"),
        plan: compile(plan, PlanFormat::Yaml).ok(),
        budgets: Vec::new(),
    }
}

fn texts(explanation: &Explanation) -> Vec<&str> {
    let causes = explanation.causes.iter();
    causes.map(|cause| cause.text.as_str()).collect()
}

fn commands(explanation: &Explanation) -> Vec<&str> {
    let commands = explanation.commands.iter();
    commands.map(|remedy| remedy.command.as_str()).collect()
}

#[test]
fn a_step_that_stopped_after_failures_has_their_classes_and_the_command() {
    let mut read = step("read", "map", StepState::Open);
    (read.total, read.made, read.failed) = (Some(60), 5, 5);
    read.reason = Some("breaker".into());
    let mut failures = vec![item("a.md", "timeout", "no\nanswer"); 4];
    failures.push(item("b.md", "refused", "no"));
    let of = StepEvidence {
        step: read.clone(),
        tasks: Vec::new(),
        failures,
    };
    let found = of_step(&of, 42, RunState::Waiting, 100.0);
    assert!(texts(&found)[0].contains("`breaker`"), "{found:?}");
    assert_eq!(
        texts(&found)[1..],
        [
            "5 items failed: 4 timeout, 1 refused",
            "a.md: no answer",
            "a.md: no answer",
            "a.md: no answer"
        ]
    );
    assert_eq!(commands(&found), ["kirosu run resume 42"]);
    assert_eq!(found.next, None);
    let reason = "breaker: 5 items of the step read failed in a row with timeout";
    let whole = of_run(&evidence(vec![read], RunState::Waiting, Some(reason)));
    assert_eq!(texts(&whole), [reason]);
    assert_eq!(
        commands(&whole),
        ["kirosu run resume 42", "kirosu run cancel 42"]
    );
}

#[test]
fn tasks_that_wait_for_one_reason_are_counted_and_its_end_is_named() {
    let mut read = step("read", "map", StepState::Open);
    (read.total, read.made, read.open) = (Some(60), 6, 5);
    let parked = "pool 'fast' takes no tasks: its account is over the provider's limit";
    let of = StepEvidence {
        step: read,
        tasks: vec![
            task(46, Status::Leased, "chat"),
            task(47, Status::Leased, "chat"),
            waits(48, "chat", parked, Some(900.0)),
            waits(49, "chat", parked, Some(900.0)),
            waits(50, "chat", "a person has to approve it", None),
        ],
        failures: Vec::new(),
    };
    let found = of_step(&of, 42, RunState::Open, 100.0);
    assert_eq!(
        texts(&found),
        [
            "2 tasks run, the longest, task 46, for 40 s on coders-1@host",
            &format!("2 tasks wait: {parked}"),
            "task 50 waits: a person has to approve it"
        ]
    );
    assert_eq!(found.causes[1].until, Some(900.0));
    assert_eq!(
        found.next.as_deref(),
        Some("54 further items get their tasks as these end")
    );
}

#[test]
fn a_question_has_its_text_and_the_commands_that_answer() {
    let ok = step("ok", "approve", StepState::Open);
    let of = StepEvidence {
        step: ok.clone(),
        tasks: vec![waits(77, "human", "a person has to answer it", None)],
        failures: Vec::new(),
    };
    let found = of_step(&of, 42, RunState::Waiting, 100.0);
    assert_eq!(
        texts(&found),
        ["task 77 waits: \"Go on?\" a person has to answer it"]
    );
    let decide = [
        "kirosu answer 77 TEXT",
        "kirosu approve 77",
        "kirosu reject 77",
    ];
    assert_eq!(commands(&found), decide);
    // Resume does not answer it.
    let whole = of_run(&evidence(
        vec![ok],
        RunState::Waiting,
        Some("person: the step ok asks a question"),
    ));
    assert_eq!(commands(&whole), ["kirosu run cancel 42"]);
}

#[test]
fn a_step_that_has_not_begun_names_the_steps_that_it_waits_for() {
    let evidence = evidence(
        vec![step("read", "map", StepState::Open)],
        RunState::Open,
        None,
    );
    let steps = evidence.not_begun();
    let ids: Vec<&str> = steps.iter().map(|step| step.id.as_str()).collect();
    assert_eq!(ids, ["digest", "merge", "after", "tell"]);
    let digest = of_planned(steps[0], &evidence);
    assert_eq!(
        texts(&digest),
        ["it waits for the step read, which is open"]
    );
    assert_eq!(
        digest.next.as_deref(),
        Some("it begins when they have ended")
    );
    let merge = of_planned(steps[1], &evidence);
    assert_eq!(
        texts(&merge),
        ["it waits for the first results of the step read, which is open"]
    );
    assert_eq!(
        merge.next.as_deref(),
        Some("it begins when these are there")
    );
    let mut begun = step("merge", "reduce", StepState::Open);
    (begun.total, begun.made, begun.done) = (Some(3), 1, 1);
    let of = StepEvidence {
        step: begun,
        tasks: Vec::new(),
        failures: Vec::new(),
    };
    let found = of_step(&of, 42, RunState::Open, 100.0);
    assert_eq!(
        found.next.as_deref(),
        Some("2 further items get their tasks when what they merge has ended")
    );
    let tell = of_planned(steps[3], &evidence);
    assert!(
        texts(&tell)[0].contains("at the end of the run"),
        "{tell:?}"
    );
}

#[test]
fn a_step_after_a_reduce_that_was_skipped_early_waits_for_its_map() {
    let steps = vec![
        step("read", "map", StepState::Open),
        step("merge", "reduce", StepState::Skipped),
    ];
    let evidence = evidence(steps, RunState::Open, None);
    let after = of_planned(evidence.planned("after").unwrap(), &evidence);
    assert_eq!(
        texts(&after),
        ["it waits for the step read, which the step merge merges and which is open"]
    );
}

#[test]
fn a_budget_that_is_used_up_is_raised_by_a_person() {
    let reason = "budget: 2 tasks wait because it is used up";
    let mut waiting = evidence(
        vec![step("read", "map", StepState::Open)],
        RunState::Waiting,
        Some(reason),
    );
    waiting.budgets = serde_json::from_value(json!([{
        "scope": "tree:42", "tokens": {"limit": 100.0, "used": 120.0, "reserved": 0.0, "left": 0.0},
        "usd": {"limit": 1.5, "used": 0.5, "reserved": 0.25, "left": 0.75},
    }]))
    .unwrap();
    let found = of_run(&waiting);
    assert_eq!(
        texts(&found),
        [
            reason,
            "120 of the 100 tokens of its budget are used",
            "0.5 of the 1.5 USD of its budget are used, 0.25 are reserved by tasks that run"
        ]
    );
    assert_eq!(
        commands(&found),
        [
            "kirosu run approve 42 --tokens N --usd X",
            "kirosu run cancel 42"
        ]
    );
}

#[test]
fn a_limit_is_named_with_what_a_retry_does_about_it() {
    let mut failed = evidence(Vec::new(), RunState::Failed, None);
    failed.run.error =
        Some("limit: the run has made 3 tasks, which is its limit `tasks`\nmore".into());
    let found = of_run(&failed);
    assert_eq!(
        texts(&found),
        ["limit: the run has made 3 tasks, which is its limit `tasks`"]
    );
    assert!(found.commands[0].effect.contains("the limit"), "{found:?}");
}

#[test]
fn an_item_has_its_error_and_the_command_that_repeats_it() {
    let failed = item("it's a.md", "timeout", "no\nanswer");
    let of = (task(46, Status::Failed, "chat"), Vec::new());
    let found = of_item(&failed, Some(&of), 42, 100.0);
    assert_eq!(texts(&found), ["timeout: no answer"]);
    let retry = commands(&found).pop().unwrap_or_default().to_owned();
    assert_eq!(
        retry,
        r"kirosu run retry 42 --step read --item 'it'\''s a.md'"
    );
}

#[test]
fn an_item_that_was_made_in_spite_of_a_cache_says_why() {
    let of = |not_cached: serde_json::Value| {
        let item = ItemInfo {
            state: ItemState::Done,
            error: None,
            class: None,
            ..item("a", "", "")
        };
        let task = Task {
            metadata: Some(json!({"run": {"id": 1, "not_cached": not_cached}})),
            ..task(46, Status::Done, "chat")
        };
        let explained = of_item(&item, Some(&(task, Vec::new())), 1, 10_000.0);
        explained.causes.first().map(|cause| cause.text.clone())
    };
    for (miss, why) in [
        (
            json!({"reason": "nothing"}),
            "nothing was stored for this item",
        ),
        (
            json!({"reason": "differs", "task_id": 12, "parts": ["prompt"]}),
            "the prompt differs from that of task 12",
        ),
        (
            json!({"reason": "differs", "task_id": 12, "parts": ["pool", "model", "prompt"]}),
            "the pool, the model and the prompt differ from those of task 12",
        ),
        (
            json!({"reason": "expired", "task_id": 12, "at": 2800.0}),
            "the result of task 12 expired 2 h ago",
        ),
        (
            json!({"reason": "not_done", "task_id": 12}),
            "task 12, which is the same, had no result",
        ),
    ] {
        let expected = format!("not taken from the cache: {why}");
        assert_eq!(of(miss), Some(expected));
    }
    assert_eq!(of(json!({"reason": "of a later version"})), None);
}
