//! The machine's rules, one by one.

use kirosu_protocol::task::FailureClass;
use kirosu_protocol::verbs::ack::{Ack, AckStatus};
use serde_json::json;

use super::*;

fn task(task_id: i64, fence: i64) -> Task {
    let value = json!({
        "task_id": task_id, "prompt": "p", "system_prompt": null, "type": "chat", "status": "leased",
        "created_at": 0.0, "updated_at": 0.0, "leased_until": null, "worker_id": null, "result": null, "error": null,
        "fence": fence, "queue": "default", "priority": 0, "attempts": 1,
    });
    serde_json::from_value(value).unwrap()
}

fn lease(task_id: i64, fence: i64) -> HeldLease {
    HeldLease { task_id, fence }
}

fn done(of: HeldLease) -> LeaseReport {
    LeaseReport::Ack(Box::new(Ack::done(of.task_id, Some(of.fence), "r")))
}

fn cancelled(of: HeldLease) -> Box<Ack> {
    Box::new(Ack::failed(
        of.task_id,
        Some(of.fence),
        FailureClass::Cancelled,
        "c",
    ))
}

/// A machine with a parked lease.
fn parked() -> SessionMachine {
    let mut machine = SessionMachine::new();
    assert_eq!(machine.as_str(), "connecting");
    assert!(machine.on(SessionEvent::Connected(vec![])).is_empty());
    assert_eq!(
        machine.on(SessionEvent::Ready(true)),
        [SessionAction::Queue]
    );
    let turn = machine.on(SessionEvent::Turn(LeaseTurn::Long));
    assert_eq!(turn, [SessionAction::Lease(LeaseTurn::Long)]);
    machine
}

/// A machine that runs task 7 under fence 2.
fn running() -> (SessionMachine, HeldLease) {
    let mut machine = parked();
    let actions = machine.on(SessionEvent::Leased(vec![task(7, 2)]));
    assert_eq!(actions, [SessionAction::Run(Box::new(task(7, 2)))]);
    assert_eq!(
        (machine.as_str(), machine.running()),
        ("running", Some(lease(7, 2)))
    );
    (machine, lease(7, 2))
}

#[test]
fn leases_only_when_connected_and_ready_and_again_after_an_empty_answer() {
    let mut machine = parked();
    assert_eq!(machine.as_str(), "idle");
    assert_eq!(
        machine.on(SessionEvent::Leased(vec![])),
        [SessionAction::Queue]
    );
    let turn = machine.on(SessionEvent::Turn(LeaseTurn::Quick));
    assert_eq!(turn, [SessionAction::Lease(LeaseTurn::Quick)]);
    assert_eq!(
        machine.on(SessionEvent::LeaseFailed),
        [SessionAction::Pause]
    );
    assert!(machine.on(SessionEvent::Disconnected).is_empty());
    assert!(machine.on(SessionEvent::PauseOver).is_empty());
    assert!(machine.on(SessionEvent::Ready(false)).is_empty());
    assert!(machine.on(SessionEvent::Connected(vec![])).is_empty());
    assert_eq!(
        machine.on(SessionEvent::Ready(true)),
        [SessionAction::Queue]
    );
}

#[test]
fn a_run_is_acked_until_it_is_answered_and_then_comes_the_next_lease() {
    let (mut machine, held) = running();
    let tell = || [SessionAction::SendReport(held, done(held))];
    assert_eq!(
        machine.on(SessionEvent::Ended(held, RunEnd::Report(done(held)))),
        tell()
    );
    assert_eq!(
        machine.on(SessionEvent::Reported(held, ReportResult::Unknown)),
        [SessionAction::PauseReport(held)]
    );
    assert!(machine.on(SessionEvent::Disconnected).is_empty());
    assert_eq!(machine.on(SessionEvent::ReportDue(held)), tell());
    assert!(machine.on(SessionEvent::Connected(vec![held])).is_empty());
    assert_eq!(
        machine.on(SessionEvent::Reported(held, ReportResult::Answered)),
        [SessionAction::Queue]
    );
    assert!(
        machine.on(SessionEvent::ReportDue(held)).is_empty(),
        "late news change nothing"
    );
}

#[test]
fn a_result_the_hub_does_not_take_becomes_a_failure_once() {
    let (mut machine, held) = running();
    machine.on(SessionEvent::Ended(held, RunEnd::Report(done(held))));
    let actions = machine.on(SessionEvent::Reported(
        held,
        ReportResult::Unfit("too large".into()),
    ));
    let [SessionAction::SendReport(_, LeaseReport::Ack(ack))] = actions.as_slice() else {
        panic!("{actions:?}");
    };
    assert_eq!(ack.status, AckStatus::Failed);
    let again = machine.on(SessionEvent::Reported(
        held,
        ReportResult::Unfit("too large".into()),
    ));
    assert_eq!(again, [SessionAction::Queue]);
}

#[test]
fn a_run_goes_on_without_the_hub_and_asks_at_once_when_it_is_back() {
    let (mut machine, held) = running();
    assert!(machine.on(SessionEvent::Disconnected).is_empty());
    assert_eq!(
        machine.on(SessionEvent::HeartbeatDue),
        [SessionAction::Heartbeat(held)]
    );
    assert!(
        machine.on(SessionEvent::HeartbeatDue).is_empty(),
        "one heartbeat at a time"
    );
    assert!(
        machine
            .on(SessionEvent::Heartbeat(held, HeartbeatResult::Unknown))
            .is_empty()
    );
    // The hub does not name our lease: the heartbeat finds out.
    assert_eq!(
        machine.on(SessionEvent::Connected(vec![])),
        [SessionAction::Heartbeat(held)]
    );
    assert_eq!(
        machine.on(SessionEvent::Heartbeat(held, HeartbeatResult::Stale)),
        [SessionAction::Cancel(CancelCause::Lost)]
    );
    assert!(
        machine
            .on(SessionEvent::Revoked(held, CancelCause::Lost))
            .is_empty()
    );
    let end = SessionEvent::Ended(held, RunEnd::Cancelled(cancelled(held)));
    assert_eq!(
        machine.on(end),
        [SessionAction::Queue],
        "nobody wants that ack"
    );
}

#[test]
fn a_result_in_spite_of_a_lost_lease_is_for_the_hub_to_judge() {
    let (mut machine, held) = running();
    machine.on(SessionEvent::Revoked(held, CancelCause::Lost));
    let reported = machine.on(SessionEvent::Ended(held, RunEnd::Report(done(held))));
    assert_eq!(reported, [SessionAction::SendReport(held, done(held))]);
}

#[test]
fn a_cancel_that_was_asked_for_is_acked() {
    let (mut machine, held) = running();
    assert!(
        machine
            .on(SessionEvent::Revoked(lease(7, 1), CancelCause::Asked))
            .is_empty()
    );
    let cancel = machine.on(SessionEvent::Revoked(held, CancelCause::Asked));
    assert_eq!(cancel, [SessionAction::Cancel(CancelCause::Asked)]);
    let reported = machine.on(SessionEvent::Ended(
        held,
        RunEnd::Cancelled(cancelled(held)),
    ));
    assert_eq!(
        reported,
        [SessionAction::SendReport(
            held,
            LeaseReport::Ack(cancelled(held))
        )]
    );
}

#[test]
fn leases_it_does_not_know_go_back_and_do_not_run() {
    let mut machine = parked();
    let stray = lease(9, 4);
    let actions = machine.on(SessionEvent::Connected(vec![stray]));
    assert_eq!(actions, [SessionAction::ReleaseStray(stray)]);
    // The answer that granted it comes after all.
    assert_eq!(
        machine.on(SessionEvent::Leased(vec![task(9, 4)])),
        [SessionAction::Queue]
    );
    let (mut machine, held) = running();
    let actions = machine.on(SessionEvent::Connected(vec![stray, held]));
    assert_eq!(
        actions,
        [
            SessionAction::ReleaseStray(stray),
            SessionAction::Heartbeat(held)
        ]
    );
}

#[test]
fn a_pool_that_is_not_ready_gives_back_what_was_parked_before() {
    let mut machine = parked();
    machine.on(SessionEvent::Ready(false));
    let held = lease(7, 2);
    let actions = machine.on(SessionEvent::Leased(vec![task(7, 2)]));
    assert_eq!(
        actions,
        [SessionAction::SendReport(held, give_back(NOT_READY))]
    );
    assert!(
        machine
            .on(SessionEvent::Reported(held, ReportResult::Answered))
            .is_empty()
    );
    assert_eq!(
        machine.on(SessionEvent::Ready(true)),
        [SessionAction::Queue]
    );
}

#[test]
fn a_stop_drains_then_cancels_and_releases() {
    let (mut machine, held) = running();
    assert_eq!(machine.on(SessionEvent::Stop), [SessionAction::StartDrain]);
    assert_eq!(
        machine.on(SessionEvent::Overdue),
        [SessionAction::Cancel(CancelCause::Drain)]
    );
    let end = SessionEvent::Ended(held, RunEnd::Cancelled(cancelled(held)));
    assert_eq!(
        machine.on(end),
        [SessionAction::SendReport(held, give_back(LEAVING))]
    );
    let over = machine.on(SessionEvent::Reported(held, ReportResult::Answered));
    assert_eq!(over, [SessionAction::Finish]);
    assert_eq!(machine.as_str(), "stopping");
}

#[test]
fn a_stop_lets_a_run_end_within_the_drain() {
    let (mut machine, held) = running();
    machine.on(SessionEvent::Stop);
    machine.on(SessionEvent::Ended(held, RunEnd::Report(done(held))));
    let over = machine.on(SessionEvent::Reported(held, ReportResult::Answered));
    assert_eq!(over, [SessionAction::Finish]);
}

#[test]
fn a_stop_that_came_in_a_hurry_cancels_at_once() {
    let (mut machine, _) = running();
    assert!(
        machine.on(SessionEvent::Overdue).is_empty(),
        "nothing stops yet"
    );
    assert_eq!(
        machine.on(SessionEvent::Stop),
        [SessionAction::Cancel(CancelCause::Drain)]
    );
}

#[test]
fn a_stop_while_parked_asks_what_was_granted_meanwhile() {
    let mut machine = parked();
    assert_eq!(machine.on(SessionEvent::Stop), [SessionAction::Check]);
    assert!(machine.on(SessionEvent::LeaseFailed).is_empty());
    assert!(machine.on(SessionEvent::Disconnected).is_empty());
    let stray = lease(9, 4);
    let actions = machine.on(SessionEvent::Connected(vec![stray]));
    assert_eq!(
        actions,
        [SessionAction::SendReport(stray, give_back(LEAVING))]
    );
    let over = machine.on(SessionEvent::Reported(stray, ReportResult::Answered));
    assert_eq!(over, [SessionAction::Finish]);
    for news in [
        SessionEvent::Connected(vec![]),
        SessionEvent::Unreachable,
        SessionEvent::CheckOverdue,
    ] {
        let mut machine = parked();
        machine.on(SessionEvent::Stop);
        assert_eq!(machine.on(news), [SessionAction::Finish]);
    }
}

#[test]
fn a_report_is_given_up_only_when_the_time_is_over_and_the_hub_away() {
    let (mut machine, held) = running();
    machine.on(SessionEvent::Ended(held, RunEnd::Report(done(held))));
    machine.on(SessionEvent::Stop);
    assert!(machine.on(SessionEvent::Disconnected).is_empty());
    assert!(machine.on(SessionEvent::Unreachable).is_empty());
    assert_eq!(machine.on(SessionEvent::Overdue), [SessionAction::Finish]);
    let mut resting = SessionMachine::new();
    assert_eq!(resting.on(SessionEvent::Stop), [SessionAction::Finish]);
}

#[test]
fn who_cannot_lease_leaves_the_line_and_uses_no_turn() {
    let away = [SessionEvent::Ready(false), SessionEvent::Disconnected];
    for event in away {
        let mut machine = parked();
        machine.on(SessionEvent::Leased(vec![]));
        assert!(machine.is_hunting());
        assert!(machine.on(event).is_empty());
        assert!(!machine.is_hunting());
        assert!(machine.on(SessionEvent::Turn(LeaseTurn::Quick)).is_empty());
    }
    let mut machine = parked();
    machine.on(SessionEvent::Leased(vec![]));
    assert_eq!(machine.on(SessionEvent::Stop), [SessionAction::Finish]);
}

#[test]
fn what_was_leased_and_has_no_room_goes_back() {
    let mut machine = parked();
    let held = lease(7, 2);
    let delay = Duration::from_secs(9);
    let no_room = SessionEvent::NoRoom(vec![task(7, 2)], "full".to_owned(), delay);
    let reason = "full".to_owned();
    let release = LeaseReport::Release { reason, delay };
    assert_eq!(
        machine.on(no_room),
        [SessionAction::SendReport(held, release)]
    );
    let reported = machine.on(SessionEvent::Reported(held, ReportResult::Answered));
    assert_eq!(reported, [SessionAction::Queue]);
}
