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

fn done(of: HeldLease) -> Report {
    Report::Ack(Box::new(Ack::done(of.task_id, Some(of.fence), "r")))
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
fn parked() -> Machine {
    let mut machine = Machine::new();
    assert_eq!(machine.word(), "connecting");
    assert!(machine.on(Event::Connected(vec![])).is_empty());
    assert_eq!(machine.on(Event::Ready(true)), [Action::Queue]);
    let turn = machine.on(Event::Turn(Turn::Long));
    assert_eq!(turn, [Action::Lease(Turn::Long)]);
    machine
}

/// A machine that runs task 7 under fence 2.
fn running() -> (Machine, HeldLease) {
    let mut machine = parked();
    let actions = machine.on(Event::Leased(vec![task(7, 2)]));
    assert_eq!(actions, [Action::Run(Box::new(task(7, 2)))]);
    assert_eq!(
        (machine.word(), machine.running()),
        ("running", Some(lease(7, 2)))
    );
    (machine, lease(7, 2))
}

#[test]
fn leases_only_when_connected_and_ready_and_again_after_an_empty_answer() {
    let mut machine = parked();
    assert_eq!(machine.word(), "idle");
    assert_eq!(machine.on(Event::Leased(vec![])), [Action::Queue]);
    let turn = machine.on(Event::Turn(Turn::Quick));
    assert_eq!(turn, [Action::Lease(Turn::Quick)]);
    assert_eq!(machine.on(Event::LeaseFailed), [Action::Pause]);
    assert!(machine.on(Event::Disconnected).is_empty());
    assert!(machine.on(Event::Rested).is_empty());
    assert!(machine.on(Event::Ready(false)).is_empty());
    assert!(machine.on(Event::Connected(vec![])).is_empty());
    assert_eq!(machine.on(Event::Ready(true)), [Action::Queue]);
}

#[test]
fn a_run_is_acked_until_it_is_answered_and_then_comes_the_next_lease() {
    let (mut machine, held) = running();
    let tell = || [Action::Tell(held, done(held))];
    assert_eq!(
        machine.on(Event::Ended(held, End::Report(done(held)))),
        tell()
    );
    assert_eq!(
        machine.on(Event::Told(held, Told::Unknown)),
        [Action::PauseTelling(held)]
    );
    assert!(machine.on(Event::Disconnected).is_empty());
    assert_eq!(machine.on(Event::RetellDue(held)), tell());
    assert!(machine.on(Event::Connected(vec![held])).is_empty());
    assert_eq!(
        machine.on(Event::Told(held, Told::Answered)),
        [Action::Queue]
    );
    assert!(
        machine.on(Event::RetellDue(held)).is_empty(),
        "late news change nothing"
    );
}

#[test]
fn a_result_the_hub_does_not_take_becomes_a_failure_once() {
    let (mut machine, held) = running();
    machine.on(Event::Ended(held, End::Report(done(held))));
    let actions = machine.on(Event::Told(held, Told::Unfit("too large".into())));
    let [Action::Tell(_, Report::Ack(ack))] = actions.as_slice() else {
        panic!("{actions:?}");
    };
    assert_eq!(ack.status, AckStatus::Failed);
    let again = machine.on(Event::Told(held, Told::Unfit("too large".into())));
    assert_eq!(again, [Action::Queue]);
}

#[test]
fn a_run_goes_on_without_the_hub_and_asks_at_once_when_it_is_back() {
    let (mut machine, held) = running();
    assert!(machine.on(Event::Disconnected).is_empty());
    assert_eq!(machine.on(Event::BeatDue), [Action::Beat(held)]);
    assert!(
        machine.on(Event::BeatDue).is_empty(),
        "one heartbeat at a time"
    );
    assert!(machine.on(Event::Beat(held, Pulse::Unknown)).is_empty());
    // The hub does not name our lease: the heartbeat finds out.
    assert_eq!(machine.on(Event::Connected(vec![])), [Action::Beat(held)]);
    assert_eq!(
        machine.on(Event::Beat(held, Pulse::Stale)),
        [Action::Cancel(Cause::Lost)]
    );
    assert!(machine.on(Event::Revoked(held, Cause::Lost)).is_empty());
    let end = Event::Ended(held, End::Cancelled(cancelled(held)));
    assert_eq!(machine.on(end), [Action::Queue], "nobody wants that ack");
}

#[test]
fn a_result_in_spite_of_a_lost_lease_is_for_the_hub_to_judge() {
    let (mut machine, held) = running();
    machine.on(Event::Revoked(held, Cause::Lost));
    let told = machine.on(Event::Ended(held, End::Report(done(held))));
    assert_eq!(told, [Action::Tell(held, done(held))]);
}

#[test]
fn a_cancel_that_was_asked_for_is_acked() {
    let (mut machine, held) = running();
    assert!(
        machine
            .on(Event::Revoked(lease(7, 1), Cause::Asked))
            .is_empty()
    );
    let cancel = machine.on(Event::Revoked(held, Cause::Asked));
    assert_eq!(cancel, [Action::Cancel(Cause::Asked)]);
    let told = machine.on(Event::Ended(held, End::Cancelled(cancelled(held))));
    assert_eq!(told, [Action::Tell(held, Report::Ack(cancelled(held)))]);
}

#[test]
fn leases_it_does_not_know_go_back_and_do_not_run() {
    let mut machine = parked();
    let stray = lease(9, 4);
    let actions = machine.on(Event::Connected(vec![stray]));
    assert_eq!(actions, [Action::ReleaseStray(stray)]);
    // The answer that granted it comes after all.
    assert_eq!(machine.on(Event::Leased(vec![task(9, 4)])), [Action::Queue]);
    let (mut machine, held) = running();
    let actions = machine.on(Event::Connected(vec![stray, held]));
    assert_eq!(actions, [Action::ReleaseStray(stray), Action::Beat(held)]);
}

#[test]
fn a_pool_that_is_not_ready_gives_back_what_was_parked_before() {
    let mut machine = parked();
    machine.on(Event::Ready(false));
    let held = lease(7, 2);
    let actions = machine.on(Event::Leased(vec![task(7, 2)]));
    assert_eq!(actions, [Action::Tell(held, give_back(NOT_READY))]);
    assert!(machine.on(Event::Told(held, Told::Answered)).is_empty());
    assert_eq!(machine.on(Event::Ready(true)), [Action::Queue]);
}

#[test]
fn a_stop_drains_then_cancels_and_releases() {
    let (mut machine, held) = running();
    assert_eq!(machine.on(Event::Stop), [Action::StartDrain]);
    assert_eq!(machine.on(Event::Overdue), [Action::Cancel(Cause::Drain)]);
    let end = Event::Ended(held, End::Cancelled(cancelled(held)));
    assert_eq!(machine.on(end), [Action::Tell(held, give_back(LEAVING))]);
    let over = machine.on(Event::Told(held, Told::Answered));
    assert_eq!(over, [Action::Finish]);
    assert_eq!(machine.word(), "stopping");
}

#[test]
fn a_stop_lets_a_run_end_within_the_drain() {
    let (mut machine, held) = running();
    machine.on(Event::Stop);
    machine.on(Event::Ended(held, End::Report(done(held))));
    let over = machine.on(Event::Told(held, Told::Answered));
    assert_eq!(over, [Action::Finish]);
}

#[test]
fn a_stop_that_came_in_a_hurry_cancels_at_once() {
    let (mut machine, _) = running();
    assert!(machine.on(Event::Overdue).is_empty(), "nothing stops yet");
    assert_eq!(machine.on(Event::Stop), [Action::Cancel(Cause::Drain)]);
}

#[test]
fn a_stop_while_parked_asks_what_was_granted_meanwhile() {
    let mut machine = parked();
    assert_eq!(machine.on(Event::Stop), [Action::Check]);
    assert!(machine.on(Event::LeaseFailed).is_empty());
    assert!(machine.on(Event::Disconnected).is_empty());
    let stray = lease(9, 4);
    let actions = machine.on(Event::Connected(vec![stray]));
    assert_eq!(actions, [Action::Tell(stray, give_back(LEAVING))]);
    let over = machine.on(Event::Told(stray, Told::Answered));
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
    machine.on(Event::Ended(held, End::Report(done(held))));
    machine.on(Event::Stop);
    assert!(machine.on(Event::Disconnected).is_empty());
    assert!(machine.on(Event::Unreachable).is_empty());
    assert_eq!(machine.on(Event::Overdue), [Action::Finish]);
    let mut resting = Machine::new();
    assert_eq!(resting.on(Event::Stop), [Action::Finish]);
}

#[test]
fn who_cannot_lease_leaves_the_line_and_uses_no_turn() {
    let away = [Event::Ready(false), Event::Disconnected];
    for event in away {
        let mut machine = parked();
        machine.on(Event::Leased(vec![]));
        assert!(machine.is_hunting());
        assert!(machine.on(event).is_empty());
        assert!(!machine.is_hunting());
        assert!(machine.on(Event::Turn(Turn::Quick)).is_empty());
    }
    let mut machine = parked();
    machine.on(Event::Leased(vec![]));
    assert_eq!(machine.on(Event::Stop), [Action::Finish]);
}

#[test]
fn what_was_leased_and_has_no_room_goes_back() {
    let mut machine = parked();
    let held = lease(7, 2);
    let delay = Duration::from_secs(9);
    let no_room = Event::NoRoom(vec![task(7, 2)], "full".to_owned(), delay);
    let reason = "full".to_owned();
    let release = Report::Release { reason, delay };
    assert_eq!(machine.on(no_room), [Action::Tell(held, release)]);
    let told = machine.on(Event::Told(held, Told::Answered));
    assert_eq!(told, [Action::Queue]);
}
