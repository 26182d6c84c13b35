//! One test per rule of the machine.

use kirosu_protocol::task::FailureClass;
use kirosu_protocol::{Ack, AckStatus};
use serde_json::json;

use super::*;
use crate::run_end::RunEnd;

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

/// A machine with a parked lease request.
fn parked() -> SessionMachine {
    let mut machine = SessionMachine::new();
    assert_eq!(machine.as_str(), "connecting");
    assert!(machine.on(Event::Connected(vec![])).is_empty());
    assert_eq!(machine.on(Event::Ready(true)), [Action::Queue]);
    let turn = machine.on(Event::Turn(LeaseTurn::Long));
    assert_eq!(turn, [Action::Lease(LeaseTurn::Long)]);
    machine
}

/// A machine that runs task 7 under fence 2.
fn running() -> (SessionMachine, HeldLease) {
    let mut machine = parked();
    let actions = machine.on(Event::Leased(vec![task(7, 2)]));
    assert_eq!(actions, [Action::Run(Box::new(task(7, 2)))]);
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
    assert_eq!(machine.on(Event::Leased(vec![])), [Action::Queue]);
    let turn = machine.on(Event::Turn(LeaseTurn::Quick));
    assert_eq!(turn, [Action::Lease(LeaseTurn::Quick)]);
    assert_eq!(machine.on(Event::LeaseFailed), [Action::Pause]);
    assert!(machine.on(Event::Disconnected).is_empty());
    assert!(machine.on(Event::PauseOver).is_empty());
    assert!(machine.on(Event::Ready(false)).is_empty());
    assert!(machine.on(Event::Connected(vec![])).is_empty());
    assert_eq!(machine.on(Event::Ready(true)), [Action::Queue]);
}

#[test]
fn a_run_is_acked_until_it_is_answered_and_then_comes_the_next_lease() {
    let (mut machine, held) = running();
    let tell = || [Action::SendReport(held, done(held))];
    assert_eq!(
        machine.on(Event::Ended(held, RunEnd::Report(done(held)))),
        tell()
    );
    assert_eq!(
        machine.on(Event::Reported(held, ReportResult::Unknown)),
        [Action::PauseReport(held)]
    );
    assert!(machine.on(Event::Disconnected).is_empty());
    assert_eq!(machine.on(Event::ReportDue(held)), tell());
    assert!(machine.on(Event::Connected(vec![held])).is_empty());
    assert_eq!(
        machine.on(Event::Reported(held, ReportResult::Answered)),
        [Action::Queue]
    );
    assert!(
        machine.on(Event::ReportDue(held)).is_empty(),
        "late news change nothing"
    );
}

#[test]
fn a_result_the_hub_does_not_take_becomes_a_failure_once() {
    let (mut machine, held) = running();
    machine.on(Event::Ended(held, RunEnd::Report(done(held))));
    let actions = machine.on(Event::Reported(
        held,
        ReportResult::Unfit("too large".into()),
    ));
    let [Action::SendReport(_, LeaseReport::Ack(ack))] = actions.as_slice() else {
        panic!("{actions:?}");
    };
    assert_eq!(ack.status, AckStatus::Failed);
    let again = machine.on(Event::Reported(
        held,
        ReportResult::Unfit("too large".into()),
    ));
    assert_eq!(again, [Action::Queue]);
}

#[test]
fn a_run_that_waits_for_children_is_not_reported_as_done() {
    let (mut machine, held) = running();
    machine.on(Event::Ended(held, RunEnd::Report(done(held))));
    let waits = || Event::Reported(held, ReportResult::WaitsChildren);
    let actions = machine.on(waits());
    let [Action::SendReport(_, LeaseReport::Ack(ack))] = actions.as_slice() else {
        panic!("{actions:?}");
    };
    assert_eq!(ack.class, Some(FailureClass::Parked));
    assert_eq!(machine.on(waits()), [Action::Queue], "once");
}

#[test]
fn a_run_continues_without_the_hub_and_sends_a_heartbeat_when_it_is_back() {
    let (mut machine, held) = running();
    assert!(machine.on(Event::Disconnected).is_empty());
    assert_eq!(machine.on(Event::HeartbeatDue), [Action::Heartbeat(held)]);
    assert!(
        machine.on(Event::HeartbeatDue).is_empty(),
        "one heartbeat at a time"
    );
    assert!(
        machine
            .on(Event::Heartbeat(held, HeartbeatResult::Unknown))
            .is_empty()
    );
    // The hub does not name our lease: the heartbeat finds out.
    assert_eq!(
        machine.on(Event::Connected(vec![])),
        [Action::Heartbeat(held)]
    );
    assert_eq!(
        machine.on(Event::Heartbeat(held, HeartbeatResult::Stale)),
        [Action::Cancel(CancelCause::Lost)]
    );
    assert!(
        machine
            .on(Event::Revoked(held, CancelCause::Lost))
            .is_empty()
    );
    let end = Event::Ended(held, RunEnd::Cancelled(cancelled(held)));
    assert_eq!(machine.on(end), [Action::Queue], "nobody wants that ack");
}

#[test]
fn a_result_in_spite_of_a_lost_lease_is_for_the_hub_to_judge() {
    let (mut machine, held) = running();
    machine.on(Event::Revoked(held, CancelCause::Lost));
    let reported = machine.on(Event::Ended(held, RunEnd::Report(done(held))));
    assert_eq!(reported, [Action::SendReport(held, done(held))]);
}

#[test]
fn a_requested_cancel_is_acked() {
    let (mut machine, held) = running();
    assert!(
        machine
            .on(Event::Revoked(lease(7, 1), CancelCause::Requested))
            .is_empty()
    );
    let cancel = machine.on(Event::Revoked(held, CancelCause::Requested));
    assert_eq!(cancel, [Action::Cancel(CancelCause::Requested)]);
    let reported = machine.on(Event::Ended(held, RunEnd::Cancelled(cancelled(held))));
    assert_eq!(
        reported,
        [Action::SendReport(held, LeaseReport::Ack(cancelled(held)))]
    );
}

#[test]
fn leases_it_does_not_know_go_back_and_do_not_run() {
    let mut machine = parked();
    let stray = lease(9, 4);
    let actions = machine.on(Event::Connected(vec![stray]));
    assert_eq!(actions, [Action::ReleaseStray(stray, StrayCause::Lost)]);
    // The answer that granted it arrives after all.
    assert_eq!(machine.on(Event::Leased(vec![task(9, 4)])), [Action::Queue]);
    let (mut machine, held) = running();
    let actions = machine.on(Event::Connected(vec![stray, held]));
    assert_eq!(
        actions,
        [
            Action::ReleaseStray(stray, StrayCause::Lost),
            Action::Heartbeat(held)
        ]
    );
}

#[test]
fn a_pool_that_is_not_ready_gives_back_what_was_parked_before() {
    let mut machine = parked();
    machine.on(Event::Ready(false));
    let held = lease(7, 2);
    let actions = machine.on(Event::Leased(vec![task(7, 2)]));
    assert_eq!(actions, [Action::SendReport(held, give_back(NOT_READY))]);
    assert!(
        machine
            .on(Event::Reported(held, ReportResult::Answered))
            .is_empty()
    );
    assert_eq!(machine.on(Event::Ready(true)), [Action::Queue]);
}

#[test]
fn a_stop_drains_then_cancels_and_releases() {
    let (mut machine, held) = running();
    assert_eq!(machine.on(Event::Stop), [Action::StartDrain]);
    assert_eq!(
        machine.on(Event::Overdue),
        [Action::Cancel(CancelCause::Drain)]
    );
    let end = Event::Ended(held, RunEnd::Cancelled(cancelled(held)));
    assert_eq!(
        machine.on(end),
        [Action::SendReport(held, give_back(LEAVING))]
    );
    let over = machine.on(Event::Reported(held, ReportResult::Answered));
    assert_eq!(over, [Action::Finish]);
    assert_eq!(machine.as_str(), "stopping");
}

#[test]
fn a_stop_lets_a_run_end_within_the_drain() {
    let (mut machine, held) = running();
    machine.on(Event::Stop);
    machine.on(Event::Ended(held, RunEnd::Report(done(held))));
    let over = machine.on(Event::Reported(held, ReportResult::Answered));
    assert_eq!(over, [Action::Finish]);
}

#[test]
fn a_stop_that_came_in_a_hurry_cancels_at_once() {
    let (mut machine, _) = running();
    assert!(machine.on(Event::Overdue).is_empty(), "nothing stops yet");
    assert_eq!(
        machine.on(Event::Stop),
        [Action::Cancel(CancelCause::Drain)]
    );
}

#[test]
fn a_stop_while_parked_asks_what_was_granted_meanwhile() {
    let mut machine = parked();
    assert_eq!(machine.on(Event::Stop), [Action::Check]);
    assert!(machine.on(Event::LeaseFailed).is_empty());
    assert!(machine.on(Event::Disconnected).is_empty());
    let stray = lease(9, 4);
    let actions = machine.on(Event::Connected(vec![stray]));
    assert_eq!(actions, [Action::SendReport(stray, give_back(LEAVING))]);
    let over = machine.on(Event::Reported(stray, ReportResult::Answered));
    assert_eq!(over, [Action::Finish]);
    for news in [
        Event::Connected(vec![]),
        Event::Unreachable,
        Event::CheckOverdue,
    ] {
        let mut machine = parked();
        machine.on(Event::Stop);
        assert_eq!(machine.on(news), [Action::Finish]);
    }
}

#[test]
fn a_report_is_given_up_only_when_the_time_is_over_and_the_hub_away() {
    let (mut machine, held) = running();
    machine.on(Event::Ended(held, RunEnd::Report(done(held))));
    machine.on(Event::Stop);
    assert!(machine.on(Event::Disconnected).is_empty());
    assert!(machine.on(Event::Unreachable).is_empty());
    assert_eq!(machine.on(Event::Overdue), [Action::Finish]);
    let mut resting = SessionMachine::new();
    assert_eq!(resting.on(Event::Stop), [Action::Finish]);
}

#[test]
fn a_session_that_cannot_lease_leaves_the_queue() {
    let away = [Event::Ready(false), Event::Disconnected];
    for event in away {
        let mut machine = parked();
        machine.on(Event::Leased(vec![]));
        assert!(machine.is_leasing());
        assert!(machine.on(event).is_empty());
        assert!(!machine.is_leasing());
        assert!(machine.on(Event::Turn(LeaseTurn::Quick)).is_empty());
    }
    let mut machine = parked();
    machine.on(Event::Leased(vec![]));
    assert_eq!(machine.on(Event::Stop), [Action::Finish]);
}

#[test]
fn a_leased_task_without_room_goes_back() {
    let mut machine = parked();
    let held = lease(7, 2);
    let delay = Duration::from_secs(9);
    let no_room = Event::NoRoom(vec![task(7, 2)], "full".to_owned(), delay);
    let reason = "full".to_owned();
    let release = LeaseReport::Release { reason, delay };
    assert_eq!(machine.on(no_room), [Action::SendReport(held, release)]);
    let reported = machine.on(Event::Reported(held, ReportResult::Answered));
    assert_eq!(reported, [Action::Queue]);
}

#[test]
fn a_lease_that_cannot_be_read_goes_back_with_the_next_connection() {
    let mut machine = parked();
    assert_eq!(machine.on(Event::LeaseUnreadable), [Action::Pause]);
    assert!(machine.on(Event::Disconnected).is_empty());
    let unread = lease(9, 4);
    assert_eq!(
        machine.on(Event::Connected(vec![unread])),
        [Action::ReleaseStray(unread, StrayCause::Unreadable)]
    );
    assert_eq!(machine.on(Event::PauseOver), [Action::Queue]);
    let later = machine.on(Event::Connected(vec![unread]));
    assert_eq!(later, [Action::ReleaseStray(unread, StrayCause::Lost)]);
}
