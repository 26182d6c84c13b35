use super::*;
use jiff::Timestamp;
use kirosu_protocol::MissedPolicy;
use proptest::prelude::*;

const MINUTE: i64 = 60_000;
const DAY: i64 = 86_400_000;

fn cron(text: &str, tz: &str) -> Times {
    let (cron, tz) = (text.to_owned(), tz.to_owned());
    Times::new(&ScheduleSpec::Cron { cron, tz }, 0).unwrap()
}

fn every(every_ms: u64) -> Times {
    Times::new(&ScheduleSpec::Every { every_ms }, 0).unwrap()
}

fn ms(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

/// The times of an expression between two moments.
fn between(times: &Times, from: &str, to: &str) -> Vec<String> {
    let (mut at, to) = (ms(from), ms(to));
    let mut all = Vec::new();
    while let Some(next) = times.next(at).filter(|next| *next < to) {
        all.push(Timestamp::from_millisecond(next).unwrap().to_string());
        at = next;
    }
    all
}

#[test]
fn an_expression_has_its_times_in_its_zone() {
    let weekdays = cron("30 9 * * MON-FRI", "Europe/Berlin");
    assert_eq!(
        between(&weekdays, "2026-01-02T12:00:00Z", "2026-01-07T00:00:00Z"),
        ["2026-01-05T08:30:00Z", "2026-01-06T08:30:00Z"]
    );
    let leap = cron("0 0 29 2 *", "UTC");
    assert_eq!(
        leap.next(ms("2026-01-01T00:00:00Z")),
        Some(ms("2028-02-29T00:00:00Z"))
    );
    let named = cron("@daily", "Asia/Kolkata");
    assert_eq!(
        named.next(ms("2026-01-01T00:00:00Z")),
        Some(ms("2026-01-01T18:30:00Z"))
    );
    assert_eq!(cron("0 0 30 2 *", "UTC").next(0), None);
}

#[test]
fn a_time_that_does_not_exist_comes_once_at_the_end_of_the_gap() {
    // On 2026-03-29 Berlin goes from 02:00 to 03:00, at 01:00 UTC.
    let gap = |text| {
        between(
            &cron(text, "Europe/Berlin"),
            "2026-03-28T12:00:00Z",
            "2026-03-30T12:00:00Z",
        )
    };
    assert_eq!(
        gap("30 2 * * *"),
        ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
    );
    // Several of them are one, and so is that with the end of the gap itself.
    assert_eq!(
        gap("0,30 2,3 29 * *"),
        ["2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"]
    );
    assert_eq!(gap("0 1 29 * *"), ["2026-03-29T00:00:00Z"]);
}

#[test]
fn a_time_that_exists_twice_comes_once() {
    // On 2026-10-25 Berlin goes from 03:00 back to 02:00, at 01:00 UTC.
    let fold = |text, from| between(&cron(text, "Europe/Berlin"), from, "2026-10-26T12:00:00Z");
    assert_eq!(
        fold("30 2 * * *", "2026-10-24T12:00:00Z"),
        ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
    );
    // Added in the second pass: the first one is over.
    assert_eq!(
        fold("30 2 * * *", "2026-10-25T01:10:00Z"),
        ["2026-10-26T01:30:00Z"]
    );
}

#[test]
fn an_expression_of_every_hour_follows_real_time() {
    for day in ["2026-03-29", "2026-10-25", "2026-06-01"] {
        let from = format!("{day}T00:00:00Z");
        let start = ms(&from);
        let mut at = start - 1;
        let times = cron("*/20 * * * *", "Europe/Berlin");
        for count in 0..18 {
            at = times.next(at).unwrap();
            assert_eq!(at, start + count * 20 * MINUTE, "{day}");
        }
    }
    // Lord Howe shifts by half an hour.
    let times = cron("45 * * * *", "Australia/Lord_Howe");
    let mut at = ms("2026-04-04T10:00:00Z");
    for _ in 0..8 {
        let next = times.next(at).unwrap();
        assert!(next > at && next - at <= 90 * MINUTE, "{next}");
        at = next;
    }
}

#[test]
fn a_fault_names_the_field_or_the_zone() {
    let fault = |text: &str, tz: &str| {
        let (cron, tz) = (text.to_owned(), tz.to_owned());
        match Times::new(&ScheduleSpec::Cron { cron, tz }, 0) {
            Err(error) => error.message,
            Ok(_) => panic!("{text} was read"),
        }
    };
    for (text, part) in [
        ("61 * * * *", "field 1 (minute) is 61, but it takes 0 to 59"),
        ("0 24 * * *", "field 2 (hour) is 24"),
        ("0 0 32 * *", "field 3 (day of the month) is 32"),
        ("0 0 * FOO *", "field 4 (month) is FOO"),
        ("0 0 * * 8", "field 5 (day of the week) is 8"),
        ("* * * *", "has 5 fields"),
        ("* * * * * *", "has 5 fields"),
        ("", "has 5 fields"),
        ("@often", "@hourly, @daily"),
    ] {
        let message = fault(text, "UTC");
        assert!(message.contains(part), "{text}: {message}");
    }
    assert!(fault("* * * * *", "Europe/Berln").contains("did you mean Europe/Berlin?"));
}

#[test]
fn an_interval_keeps_its_phase_and_a_moment_comes_once() {
    let times = Times::new(&ScheduleSpec::Every { every_ms: 1000 }, 300).unwrap();
    assert_eq!(times.next(0), Some(1300));
    assert_eq!(times.next(1299), Some(1300));
    assert_eq!(times.next(1300), Some(2300));
    let at = Times::new(&ScheduleSpec::At { at_ms: 5 }, 0).unwrap();
    assert_eq!((at.next(4), at.next(5)), (Some(5), None));
    assert_eq!(every(u64::MAX).next(0), None);
    assert_eq!(every(1000).next(i64::MAX), None);
}

/// Carries all steps out. Returns the times that fired, and the next one.
fn run(rule: ScheduleRule<'_>, at: i64, now: i64) -> (Vec<i64>, Option<i64>) {
    let (mut next, mut fired) = (Some(at), Vec::new());
    while let Some(at) = next.filter(|at| rule.due(*at) <= now) {
        let done = step(rule, at, now);
        assert!(done.next.is_none_or(|next| next > at), "it goes on");
        fired.extend(done.fire);
        next = done.next;
    }
    (fired, next)
}

#[test]
fn missed_times_follow_the_policy() {
    let times = every(10_000);
    let with = |missed| ScheduleRule {
        times: &times,
        name: "n",
        jitter_ms: 0,
        missed,
    };
    let (at, now) = (10_000, 3_600_001_000);
    let next = Some(3_600_010_000);
    // The newest one is only a second late: that is not missed.
    assert_eq!(
        run(with(MissedPolicy::Skip), at, now),
        (vec![3_600_000_000], next)
    );
    assert_eq!(
        run(with(MissedPolicy::One), at, now),
        (vec![3_600_000_000], next)
    );
    let all = run(with(MissedPolicy::All(3)), at, now);
    assert_eq!(
        all,
        (vec![3_599_980_000, 3_599_990_000, 3_600_000_000], next)
    );
    let now = now + 5_000;
    assert_eq!(run(with(MissedPolicy::Skip), at, now), (vec![], next));
    assert_eq!(
        run(with(MissedPolicy::One), at, now),
        (vec![3_600_000_000], next)
    );
    let few = run(with(MissedPolicy::All(9)), 3_599_990_000, now);
    assert_eq!(few, (vec![3_599_990_000, 3_600_000_000], next));
    let once = Times::At(7);
    let with = |missed| ScheduleRule {
        times: &once,
        ..with(missed)
    };
    assert_eq!(run(with(MissedPolicy::One), 7, DAY), (vec![7], None));
    assert_eq!(run(with(MissedPolicy::Skip), 7, DAY), (vec![], None));
}

#[test]
fn many_missed_times_take_no_time() {
    let times = cron("* * * * *", "Europe/Berlin");
    let rule = ScheduleRule {
        times: &times,
        name: "n",
        jitter_ms: 0,
        missed: MissedPolicy::All(100),
    };
    let now = ms("2036-01-01T00:00:30Z");
    let (fired, _) = run(rule, ms("2016-01-01T00:00:00Z"), now);
    assert_eq!(fired.len(), 100);
    assert_eq!(fired.last(), Some(&ms("2036-01-01T00:00:00Z")));
}

proptest! {
    #[test]
    fn every_time_is_after_the_last_and_none_is_between(
        minute in 0..60u32, hour in 0..24u32, step in 1..30u32, start in 0..4_000_000_000_000i64, shape in 0..4u32,
    ) {
        let text = match shape {
            0 => format!("{minute} {hour} * * *"),
            1 => format!("*/{step} * * * *"),
            2 => format!("{minute} */{} * * *", step.min(23)),
            _ => format!("{minute} {hour} * * 1-5"),
        };
        let times = cron(&text, "America/New_York");
        let next = times.next(start).unwrap();
        prop_assert!(next > start && next - start <= 4 * DAY, "{}", text);
        prop_assert_eq!(times.next(next - 1), Some(next));
        prop_assert_eq!(times.next(start + (next - start) / 2), Some(next));
        let second = times.next(next).unwrap();
        prop_assert!(second > next);
    }

    #[test]
    fn a_delay_is_within_its_bound_and_stays(at in any::<i64>(), most in 0..DAY) {
        let delay = jitter("name", at, most);
        prop_assert!((0..=most).contains(&delay));
        prop_assert_eq!(delay, jitter("name", at, most));
    }

    #[test]
    fn no_policy_fires_a_time_twice_or_early(
        every_ms in 1000..100_000u64, jitter_ms in 0..100_000i64, gap in 0..2_000_000i64, policy in 0..3u32,
    ) {
        let times = every(every_ms);
        let missed = [MissedPolicy::Skip, MissedPolicy::One, MissedPolicy::All(4)][policy as usize];
        let rule = ScheduleRule { times: &times, name: "n", jitter_ms, missed };
        let first = times.next(0).unwrap();
        let now = first + gap;
        let (fired, next) = run(rule, first, now);
        prop_assert!(fired.windows(2).all(|two| two[0] < two[1]));
        prop_assert!(fired.iter().all(|at| rule.due(*at) <= now));
        prop_assert!(next.is_some_and(|next| rule.due(next) > now));
    }
}
