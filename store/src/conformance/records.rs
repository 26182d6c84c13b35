//! Records that belong to tasks: dependencies, permission requests, budgets.

use super::{Fixture, NOW, row};
use crate::rules::budget::BudgetAccount;
use crate::sql::access::{
    DeleteWebSession, InsertCredential, InsertWebSession, SetRevoked, SetUsed,
};
use crate::sql::approval::{
    EndApproval, InsertApproval, SelectCall, SelectNextDeadline, SelectOpen,
};
use crate::sql::cold::InsertDependency;
use crate::sql::schedule::{
    CountSchedules, DeleteSchedule, PutSchedule, SelectDueSchedules, SelectNextSchedule,
    SelectSchedule, SelectScheduleById, SetSchedule,
};
use crate::sql::usage::PutAccount;
use crate::sql::work::SelectNextDependents;
use kirosu_protocol::{Budget, Status};

pub(super) fn dependencies_are_added_up(mut it: Fixture) {
    let states = [
        (1, Status::Done),
        (2, Status::Queued),
        (3, Status::Failed),
        (4, Status::Blocked),
    ];
    it.insert(&states.map(|(id, state)| row(id, state)));
    for depends_on in [1, 2, 3, 99] {
        it.db
            .write(
                InsertDependency {
                    depends_on,
                    task_id: 4,
                }
                .into(),
            )
            .unwrap();
    }
    let found = it.db.dependencies(4).unwrap();
    assert_eq!(
        (found.all, found.open, found.dead, found.never),
        (4, 3, 2, Some(3))
    );
    assert_eq!(it.db.dependencies(1).unwrap().all, 0);
    assert_eq!(it.db.dependents(2, 9).unwrap(), (1, 1));
    let next = SelectNextDependents {
        depends_on: 2,
        after: 0,
        upto: 9,
        limit: 9,
    };
    assert_eq!(it.db.ids(next.into()).unwrap(), [4]);
}

pub(super) fn a_permission_request_ends_once(mut it: Fixture) {
    let request = InsertApproval {
        task_id: 1,
        fence: 1,
        call: "c",
        tool: "bash",
        kind: None,
        title: "ls",
        args: None,
        args_hash: "h",
        pool: None,
        state: 0,
        used: 0,
        asked_at: NOW,
        deadline_at: Some(NOW + 1),
        decided_at: None,
        rule: None,
        options: None,
    };
    let id = it.db.insert_permission(request).unwrap();
    let call = SelectCall {
        task_id: 1,
        fence: 1,
        call: "c",
    };
    assert_eq!(it.db.permissions(call.into()).unwrap()[0].id, id);
    assert_eq!(
        it.db.number(SelectNextDeadline {}.into()).unwrap(),
        Some(NOW + 1)
    );
    let end = || EndApproval {
        state: 1,
        decided_at: NOW,
        by: Some("p"),
        reason: None,
        chosen: None,
        id,
    };
    assert_eq!(it.db.write(end().into()).unwrap(), 1);
    assert_eq!(it.db.write(end().into()).unwrap(), 0);
    assert!(
        it.db
            .permissions(SelectOpen { task_id: 1 }.into())
            .unwrap()
            .is_empty()
    );
}

pub(super) fn a_budget_is_read_as_written(mut it: Fixture) {
    let record = PutAccount {
        scope: "hub",
        limit: [Some(10), None],
        raise: [None, None],
        per: 0,
        since: 0,
        used: [3, 0],
        reserved: [2, 0],
    };
    it.db.write(record.into()).unwrap();
    let limit = Budget {
        tokens: Some(10),
        micros: None,
    };
    let mut expected = BudgetAccount::new(limit, 0, NOW);
    (expected.used.tokens, expected.reserved.tokens) = (3, 2);
    assert_eq!(it.db.account("hub").unwrap(), Some(expected));
    assert_eq!(it.db.account("pool:x").unwrap(), None);
}

pub(super) fn credentials_are_loaded(mut it: Fixture) {
    for (name, hash) in [("ci", "1f"), ("ada", "2e")] {
        let record = InsertCredential {
            name,
            role: "enqueue",
            hash,
            scope: "{}",
            created_at: NOW,
            expires_at: Some(NOW + 9),
        };
        it.db.write(record.into()).unwrap();
    }
    let (used_at, revoked_at, name) = (NOW + 1, NOW + 2, "ci");
    it.db.write(SetUsed { used_at, name }.into()).unwrap();
    it.db.write(SetRevoked { revoked_at, name }.into()).unwrap();
    it.commit();
    it.db.reopen(NOW).unwrap();
    let loaded = it.db.load(0).unwrap().credentials;
    let names: Vec<_> = loaded.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["ada", "ci"]);
    let ci = &loaded[1];
    assert_eq!(
        (ci.expires_ms, ci.used_ms, ci.revoked_ms),
        (Some(NOW + 9), Some(NOW + 1), Some(NOW + 2))
    );
    assert_eq!((ci.hash.as_str(), loaded[0].used_ms), ("1f", None));
}

pub(super) fn sessions_of_browsers_are_loaded(mut it: Fixture) {
    for (hash, is_person) in [("1f", true), ("2e", false), ("3d", false)] {
        let record = InsertWebSession {
            hash,
            who: "ada",
            key_hash: "ab",
            is_person: i64::from(is_person),
            created_at: NOW,
            expires_at: NOW + 9,
        };
        it.db.write(record.into()).unwrap();
    }
    it.db.write(DeleteWebSession { hash: "2e" }.into()).unwrap();
    it.commit();
    it.db.reopen(NOW).unwrap();
    let loaded = it.db.load(0).unwrap().web_sessions;
    let shown: Vec<_> = loaded
        .iter()
        .map(|it| (it.hash.as_str(), it.is_person))
        .collect();
    assert_eq!(shown, [("1f", true), ("3d", false)]);
    let first = &loaded[0];
    assert_eq!((first.who.as_str(), first.key_hash.as_str()), ("ada", "ab"));
    assert_eq!((first.created_ms, first.expires_ms), (NOW, NOW + 9));
}

pub(super) fn a_schedule_is_read_as_written(mut it: Fixture) {
    let put = |name, due: i64| PutSchedule {
        name,
        spec: "{}",
        task: "{\"prompt\":\"p\"}",
        accept: None,
        queue: "q",
        task_type: "chat",
        prompt: "p",
        missed: "one",
        overlap: "skip",
        jitter_ms: 3,
        paused: 0,
        next_at: Some(due - 1),
        due_at: Some(due),
        last_at: None,
        last_task: None,
        fired: 0,
        skipped: 0,
        error: None,
        created_at: NOW,
    };
    for (name, due) in [("late", NOW + 9), ("early", NOW + 5), ("early", NOW + 4)] {
        it.db.write(put(name, due).into()).unwrap();
    }
    let count = |it: &mut Fixture| it.db.number(CountSchedules {}.into()).unwrap();
    let next = |it: &mut Fixture| it.db.number(SelectNextSchedule {}.into()).unwrap();
    assert_eq!((count(&mut it), next(&mut it)), (Some(2), Some(NOW + 4)));
    let name = "early";
    let found = it.db.schedule(SelectSchedule { name }.into()).unwrap();
    let found = found.unwrap();
    assert_eq!((found.next_at, found.jitter_ms), (Some(NOW + 3), 3));
    let until = NOW + 4;
    let due = it.db.ids(SelectDueSchedules { until, limit: 9 }.into());
    assert_eq!(due.unwrap(), [found.id]);
    let set = SetSchedule {
        paused: 1,
        next_at: Some(NOW + 20),
        due_at: Some(NOW + 20),
        last_at: Some(NOW + 3),
        last_task: Some(7),
        fired: 1,
        skipped: 2,
        error: Some("e"),
        id: found.id,
    };
    assert_eq!(it.db.write(set.into()).unwrap(), 1);
    let id = found.id;
    let found = it.db.schedule(SelectScheduleById { id }.into()).unwrap();
    let found = found.unwrap();
    assert_eq!(
        (found.paused, found.last_task, found.skipped),
        (true, Some(7), 2)
    );
    assert_eq!(next(&mut it), Some(NOW + 9), "it is paused");
    assert_eq!(it.db.write(DeleteSchedule { id }.into()).unwrap(), 1);
    assert_eq!(count(&mut it), Some(1));
}
