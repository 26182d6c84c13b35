//! Credentials and the audit trail.

use crate::common::*;
use kirosu_protocol::{AccessScope, ErrorCode, NewTask};
use kirosu_store::*;
use std::sync::Arc;

fn credential(name: &str) -> Credential {
    Credential {
        name: name.to_owned(),
        role: "enqueue".to_owned(),
        hash: format!("hash of {name}"),
        scope: r#"{"queues":["a"]}"#.to_owned(),
        created_ms: T0,
        expires_ms: None,
        used_ms: None,
        revoked_ms: None,
    }
}

fn add(b: &mut Bench, name: &str) -> Result<Outcome, kirosu_protocol::Error> {
    b.one(Command::AddCredential(Box::new(credential(name))))
}

fn by(who: &str) -> Option<Arc<Principal>> {
    Some(Arc::new(Principal {
        who: who.to_owned(),
        role: Some("admin".to_owned()),
        peer: "unix".to_owned(),
    }))
}

fn cancel(task: i64) -> Command {
    Command::Cancel {
        task,
        by: None,
        reason: None,
    }
}

fn enqueue(prompt: &str) -> Command {
    Command::Enqueue(Box::new(NewTask::chat(prompt)))
}

fn trail(b: &mut Bench, query: AuditQuery) -> Vec<AuditEntry> {
    let query = AuditQuery {
        limit: 100,
        ..query
    };
    b.reader.audit(&query).unwrap()
}

/// Method, first and last task of each entry, newest first.
fn summary(entries: &[AuditEntry]) -> Vec<(&str, Option<i64>, Option<i64>)> {
    let entries = entries.iter();
    let summary = entries.map(|it| (it.method.as_str(), it.first_task, it.last_task));
    summary.collect()
}

#[test]
fn credentials_survive_a_restart() {
    let mut b = Bench::new();
    add(&mut b, "ci").unwrap();
    add(&mut b, "ada").unwrap();
    let again = add(&mut b, "ci").unwrap_err();
    assert_eq!(again.code, ErrorCode::WrongState);
    let unknown = Command::RevokeCredential("unknown".to_owned());
    assert_eq!(b.one(unknown).unwrap_err().code, ErrorCode::NotFound);
    b.now += 5;
    for _ in 0..2 {
        b.one(Command::RevokeCredential("ci".to_owned())).unwrap();
        b.now += 5;
    }
    let uses = vec![("ada".to_owned(), b.now), ("deleted".to_owned(), b.now)];
    let records = AccessRecords {
        uses,
        ..AccessRecords::default()
    };
    b.one(Command::Record(Box::new(records))).unwrap();
    let expected = vec![
        Credential {
            used_ms: Some(b.now),
            ..credential("ada")
        },
        Credential {
            revoked_ms: Some(T0 + 5),
            ..credential("ci")
        },
    ];
    let all = |b: &Bench| -> Vec<_> { b.store.credentials().cloned().collect() };
    assert_eq!(all(&b), expected);
    let b = b.reopen();
    assert_eq!(all(&b), expected);
}

#[test]
fn a_change_and_its_entry_are_one_commit_and_work_on_leases_leaves_none() {
    let mut b = Bench::new();
    let (ada, ci) = (by("ada"), by("ci"));
    let batch = vec![
        enqueue("1"),
        enqueue("2"),
        enqueue("3, of the hub"),
        enqueue("4"),
        cancel(2),
        cancel(99),
    ];
    let by = [
        ada.clone(),
        ada.clone(),
        None,
        ci.clone(),
        ci.clone(),
        ci.clone(),
    ];
    let applied = b.store.apply_by(b.now, batch, &by);
    assert!(applied.outcomes[5].is_err());
    let lease = Command::Lease {
        ask: ask(1),
        session: None,
        park: None,
        spent: 0,
    };
    b.store.apply_by(b.now, vec![lease], &[ci]);
    let entries = trail(&mut b, AuditQuery::default());
    assert_eq!(
        summary(&entries),
        [
            ("cancel", Some(2), Some(2)),
            ("enqueue", Some(4), Some(4)),
            ("enqueue", Some(1), Some(2)),
        ]
    );
    let newest = &entries[0];
    assert_eq!((newest.who.as_str(), newest.peer.as_str()), ("ci", "unix"));
    assert_eq!((newest.at_ms, newest.code.as_deref()), (T0, None));
    let about = AuditQuery {
        task: Some(2),
        ..AuditQuery::default()
    };
    assert_eq!(trail(&mut b, about).len(), 2);
    let of_ada = AuditQuery {
        who: Some("ada".to_owned()),
        ..AuditQuery::default()
    };
    assert_eq!(trail(&mut b, of_ada).len(), 1);
    let older = AuditQuery {
        before: Some(newest.id),
        ..AuditQuery::default()
    };
    assert_eq!(trail(&mut b, older).len(), 2);
}

#[test]
fn refusals_of_one_kind_in_a_minute_are_one_entry() {
    let mut b = Bench::new();
    let refusal = |at_ms, count, code: &str| AuditRecord {
        at_ms,
        by: by("ci").unwrap(),
        method: "shutdown".to_owned(),
        task: None,
        code: Some(code.to_owned()),
        count,
    };
    for entries in [
        vec![refusal(T0, 2, "forbidden"), refusal(T0, 1, "unauthorized")],
        vec![
            refusal(T0, 40, "forbidden"),
            refusal(T0 + 60_000, 1, "forbidden"),
        ],
    ] {
        let records = AccessRecords {
            entries,
            ..AccessRecords::default()
        };
        b.one(Command::Record(Box::new(records))).unwrap();
    }
    let counts: Vec<_> = trail(&mut b, AuditQuery::default())
        .iter()
        .map(|it| (it.at_ms - T0, it.count))
        .collect();
    assert_eq!(counts, [(60_000, 1), (0, 1), (0, 42)]);
}

#[test]
fn retention_deletes_old_entries_and_the_credentials_that_ended_before_them() {
    let mut b = Bench::new();
    for name in ["live", "old", "new"] {
        add(&mut b, name).unwrap();
    }
    b.one(Command::RevokeCredential("old".to_owned())).unwrap();
    let task = b.chat("1");
    for _ in 0..5 {
        b.now += 10;
        b.store.apply_by(b.now, vec![cancel(task)], &[by("ada")]);
    }
    b.one(Command::RevokeCredential("new".to_owned())).unwrap();
    let prune = || Command::PruneAudit {
        before_ms: T0 + 50,
        limit: 3,
    };
    let counted = |count, more| Ok(Outcome::Counted { count, more });
    assert_eq!(b.one(prune()), counted(3, true));
    assert_eq!(b.one(prune()), counted(1, false));
    assert_eq!(trail(&mut b, AuditQuery::default()).len(), 1);
    let names: Vec<_> = b.store.credentials().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["live", "new"]);
}

#[test]
fn a_limited_key_changes_only_tasks_within_its_limits() {
    let mut b = Bench::new();
    let task = |b: &mut Bench, queue: &str, label: &str| {
        let new = NewTask {
            queue: queue.to_owned(),
            labels: vec![label.to_owned()],
            ..NewTask::chat("p")
        };
        b.enqueue(new)
    };
    let own = task(&mut b, "a", "team");
    let foreign = [task(&mut b, "b", "team"), task(&mut b, "a", "other")];
    let scope = Arc::new(AccessScope {
        queues: vec!["a".to_owned()],
        labels: vec!["team".to_owned()],
        ..AccessScope::default()
    });
    // Also after a restart, when no task is in memory.
    let mut b = b.reopen();
    let mut within = |command| {
        let command = Command::InScope {
            scope: scope.clone(),
            command: Box::new(command),
        };
        b.one(command).map_err(|error| error.code)
    };
    for (task, limit) in foreign.into_iter().zip(["queues", "labels"]) {
        assert_eq!(within(cancel(task)), Err(ErrorCode::Forbidden), "{limit}");
    }
    within(cancel(own)).unwrap();
    within(Command::Retry { task: own }).unwrap();
    assert_eq!(within(cancel(99)), Err(ErrorCode::UnknownTask));
}
