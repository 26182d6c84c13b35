//! Decisions about a reduce whose source goes on.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::tests::Bench;
use super::*;

/// A map of 10 items, and a reduce: 4 groups of at most 3, then 2, then 1.
fn merged(map: &str, reduce: &str) -> Bench {
    merged_of(10, map, reduce)
}

fn merged_of(items: u64, map: &str, reduce: &str) -> Bench {
    let steps = format!(
        "
  - {{ id: first, prompt: p }}
  - {{ id: m, map: {{ over: 'inputs.list'{map} }}, prompt: p }}
  - {{ id: r, reduce: {{ of: m, arity: 3 }}, {reduce} }}
inputs: {{ list: {{}} }}
"
    );
    let mut bench = Bench::new(&steps);
    (bench.world.items, bench.window) = (items, 4);
    bench.settle();
    bench
}

const PROMPT: &str = "prompt: '{{ results }}'";

/// Ends all items of the map that run, one after another, until it has ended.
fn finish(bench: &mut Bench) {
    while bench.open("m") > 0 {
        bench.end("m", 1, 0);
    }
}

#[test]
fn a_group_begins_when_its_items_have_ended_and_the_last_ones_after_all() {
    let mut bench = merged("", PROMPT);
    bench.end("m", 1, 0);
    assert_eq!(bench.state("r"), StepState::Pending);
    // Ranges of 2, 3, 2 and 3 items.
    bench.end("m", 1, 0);
    let row = &bench.rows["r"];
    assert_eq!(
        (row.state, row.total, row.open),
        (StepState::Open, Some(7), 1)
    );
    // An item that is late holds up its group and those after it.
    bench.world.ended_first.insert("m".into(), 4);
    bench.end("m", 4, 0);
    assert_eq!(bench.rows["r"].cursor, 1);
    bench.world.ended_first.clear();
    bench.end("r", 1, 0);
    assert_eq!((bench.rows["r"].cursor, bench.open("r")), (2, 1));
    bench.world.done_first.insert("r".into(), 1);
    finish(&mut bench);
    assert_eq!(
        (bench.state("m"), bench.rows["r"].cursor),
        (StepState::Done, 4)
    );
    // The next level waits for what it merges.
    bench.end("r", 1, 0);
    assert_eq!(bench.rows["r"].cursor, 4);
    bench.world.done_first.insert("r".into(), 4);
    bench.end("r", 2, 0);
    assert_eq!(bench.rows["r"].cursor, 6);
    bench.world.done_first.clear();
    bench.end("r", 2, 0);
    bench.end("r", 1, 0);
    assert_eq!(bench.rows["r"].result, Some(ResultRef::Item(6)));
}

#[test]
fn a_reduce_waits_for_the_end_of_a_step_that_it_names_or_joins() {
    for reduce in [
        "prompt: '{{ results }} of {{ steps.m.counts.total }}'",
        "prompt: '{{ results }}', system: '{{ steps.m.state }}'",
        "prompt: '{{ results }}', if: 'steps[\"m\"].counts.failed == 0'",
        "prompt: '{{ results }}', if: 'run.counts.open'",
        "prompt: '{{ results }}', always: true",
        "prompt: '{{ results }}', depends_on: [first]",
    ] {
        let mut bench = merged("", reduce);
        bench.end("m", 4, 0);
        bench.end("m", 3, 0);
        assert_eq!(bench.state("r"), StepState::Pending, "{reduce}");
        bench.end("first", 1, 0);
        finish(&mut bench);
        assert_eq!(bench.state("r"), StepState::Open, "{reduce}");
    }
    let mut bench = merged(
        "",
        "prompt: '{{ run.id }} {{ results }}', if: 'inputs.list', depends_on: [first]",
    );
    bench.end("first", 1, 0);
    bench.end("m", 2, 0);
    assert_eq!(bench.state("r"), StepState::Open);

    let joined = "
  - { id: m, map: { over: 'inputs.list' }, prompt: p }
  - { id: r, reduce: { of: m, arity: 3, into: json } }
  - { id: v, vote: { n: 4 }, prompt: p }
  - { id: w, reduce: { of: v, arity: 2 }, prompt: '{{ results }}' }
inputs: { list: {} }
";
    let mut bench = Bench::new(joined);
    bench.world.items = 10;
    bench.settle();
    bench.end("m", 4, 0);
    bench.end("v", 2, 0);
    let states = (bench.state("r"), bench.state("w"));
    assert_eq!(states, (StepState::Pending, StepState::Pending));
}

#[test]
fn nothing_is_merged_of_a_sample_or_while_a_map_waits_at_its_breaker() {
    for (map, is_asked) in [(", sample: 4", false), (", sample: 4, ask: true", true)] {
        let mut bench = merged(map, PROMPT);
        bench.end("m", 3, 0);
        assert_eq!(bench.state("r"), StepState::Pending);
        bench.end("m", 1, 0);
        if is_asked {
            assert_eq!(bench.rows["m"].reason.as_deref(), Some(waits::SAMPLE));
            assert_eq!(bench.state("r"), StepState::Pending);
            bench.rows.get_mut("m").unwrap().reason = Some(waits::AGREED.into());
            bench.settle();
        }
        assert_eq!(
            (bench.state("r"), bench.rows["r"].cursor),
            (StepState::Open, 1)
        );
    }

    let mut bench = merged(", tolerate: 100%", PROMPT);
    bench.end("m", 0, 4);
    assert_eq!(bench.state("r"), StepState::Pending, "nothing is done yet");
    bench.end("m", 0, 1);
    assert_eq!(bench.rows["m"].reason.as_deref(), Some(waits::BREAKER));
    assert_eq!(bench.state("r"), StepState::Pending);

    // It stops a reduce that has begun, too.
    let mut bench = merged_of(100, ", tolerate: 100%", PROMPT);
    bench.end("m", 3, 0);
    let cursor = bench.rows["r"].cursor;
    assert!(cursor > 0);
    bench.world.ended_first.insert("m".into(), 3);
    for _ in 0..20 {
        bench.end("m", 0, 1);
    }
    bench.world.ended_first.clear();
    while bench.open("r") > 0 {
        bench.end("r", 1, 0);
    }
    assert_eq!(bench.rows["m"].reason.as_deref(), Some(waits::BREAKER));
    assert_eq!(bench.rows["r"].cursor, cursor);
    bench.rows.get_mut("m").unwrap().reason = Some(waits::AGREED.into());
    bench.settle();
    assert!(bench.rows["r"].cursor > cursor);
}

#[test]
fn a_map_that_fails_omits_its_reduce_and_cancels_what_runs_of_it() {
    let mut bench = merged("", PROMPT);
    bench.end("m", 3, 0);
    assert_eq!(bench.open("r"), 1);
    bench.end("m", 1, 1);
    // Tasks that run go on, and nothing begins.
    assert_eq!(
        (bench.state("m"), bench.rows["r"].cursor),
        (StepState::Open, 1)
    );
    finish(&mut bench);
    assert_eq!(bench.state("m"), StepState::Failed);
    let row = &bench.rows["r"];
    assert_eq!(
        (row.state, row.cancelled, row.cursor),
        (StepState::Omitted, 1, 1)
    );
    assert_eq!(
        row.reason.as_deref(),
        Some("it needs the step m, which is failed")
    );
    bench.end("first", 1, 0);
    assert_eq!(bench.ended.as_ref().unwrap().0, RunState::Failed);
    // The retry begins it anew.
    let all = repeats(&bench.plan, &bench.rows, None, None);
    assert_eq!(all.dependents, [Repeat::Anew("r".into())]);
    assert_eq!(all.causes, [Repeat::Lost("m".into())]);
}

#[test]
fn a_map_that_may_fail_leaves_empty_groups_and_each_of_its_items_once() {
    let steps = "
  - { id: m, may_fail: true, map: { over: 'inputs.list' }, prompt: p }
  - { id: r, reduce: { of: m, arity: 3 }, prompt: '{{ results }}' }
inputs: { list: {} }
";
    let mut bench = Bench::new(steps);
    (bench.world.items, bench.window) = (100, 4);
    bench.settle();
    bench.end("m", 3, 0);
    let total = bench.rows["r"].total;
    bench.end("m", 1, 1);
    finish(&mut bench);
    assert_eq!(bench.state("m"), StepState::Failed);
    let made = bench.rows["m"].cursor;
    assert!(made < 100);
    let mut merged = Vec::new();
    while bench.state("r") == StepState::Open {
        bench.end("r", bench.open("r"), 0);
    }
    let shape = ReduceShape::of(3, &bench.rows["m"], &bench.rows["r"]);
    for index in 0..shape.total() {
        if let Some((1, from, to)) = shape.inputs(index) {
            merged.extend(from.min(made)..to.min(made));
        }
    }
    assert_eq!(merged, (0..made).collect::<Vec<_>>());
    let row = &bench.rows["r"];
    assert_eq!((row.state, row.total), (StepState::Done, total));

    // One that begins after the end has groups for what there is.
    bench.rows.remove("r");
    bench.ended = None;
    bench.settle();
    assert_eq!(
        bench.rows["r"].total,
        Some(ReduceShape::new(made, 3).total())
    );
}

#[test]
fn the_groups_of_a_reduce_are_those_with_which_it_began() {
    // Both numbers of results give the same number of tasks.
    let mut of = StepFacts::open(Some(10));
    (of.state, of.cursor) = (StepState::Failed, 9);
    let mut row = StepFacts::open(Some(ReduceShape::new(9, 4).total()));
    assert_eq!(row.total, Some(ReduceShape::new(10, 4).total()));
    assert_eq!(ReduceShape::of(4, &of, &row), ReduceShape::new(9, 4));
    row.began_early = true;
    assert_eq!(ReduceShape::of(4, &of, &row), ReduceShape::new(10, 4));
}

#[test]
fn what_depends_on_a_reduce_that_ended_early_waits_for_the_step_that_it_merges() {
    let steps = "
  - { id: m, map: { over: 'inputs.list' }, prompt: p }
  - { id: r, MAY reduce: { of: m, arity: 3 }, prompt: '{{ results }}' }
  - { id: after, depends_on: [r], prompt: '{{ steps.m.result }}' }
  - id: polish
    depends_on: [r]
    loop: { max: 1, on_max: done }
    steps: [{ id: write, prompt: '{{ steps.m.result }}' }]
inputs: { list: {} }
";
    let bench = |reduce: &str| {
        let mut bench = Bench::new(&steps.replace("MAY", reduce));
        (bench.world.items, bench.window) = (10, 4);
        bench.world.false_ones.insert("inputs.list".into());
        bench.settle();
        bench.end("m", 2, 0);
        bench.end("m", 1, 0);
        bench
    };
    let check = |mut bench: Bench, state: StepState| {
        assert_eq!(bench.state("r"), state);
        for path in ["after", "polish", "polish[1].write"] {
            assert_eq!(bench.state(path), StepState::Pending, "{path}");
        }
        finish(&mut bench);
        assert_eq!(bench.state("m"), StepState::Done);
        for path in ["after", "polish", "polish[1].write"] {
            assert_eq!(bench.state(path), StepState::Open, "{path}");
        }
    };
    check(bench("if: 'inputs.list',"), StepState::Skipped);
    let mut failing = bench("may_fail: true,");
    failing.end("r", 0, 1);
    check(failing, StepState::Failed);

    // One that is left out says so as late.
    let mut failing = bench("");
    failing.end("r", 0, 1);
    assert_eq!(failing.state("after"), StepState::Pending);
    finish(&mut failing);
    assert_eq!(failing.state("after"), StepState::Omitted);
}

#[test]
fn a_group_that_is_lost_after_the_rows_were_read_is_not_left_out() {
    let mut bench = merged("", PROMPT);
    while bench.state("m") == StepState::Open {
        bench.end("m", 1, 0);
    }
    // By the time of the question the third group has failed.
    bench.world.done_first.insert("r".into(), 2);
    while bench.rows["r"].done < 3 {
        bench.end("r", 1, 0);
    }
    assert_eq!(bench.rows["r"].cursor, 5, "that of the first two groups");
    bench.end("r", 0, 1);
    assert_eq!(bench.rows["r"].cursor, 5);
}

#[test]
fn a_retry_of_a_map_that_goes_on_without_losses_leaves_what_is_merged() {
    let mut bench = merged("", PROMPT);
    bench.end("m", 3, 0);
    assert_eq!(bench.state("r"), StepState::Open);
    let all = repeats(&bench.plan, &bench.rows, Some("m"), None);
    assert!(all.is_empty(), "{all:?}");
    bench.end("m", 0, 1);
    let all = repeats(&bench.plan, &bench.rows, Some("m"), None);
    assert_eq!(all.dependents, [Repeat::Anew("r".into())]);
}

#[test]
fn a_step_that_is_to_begin_anew_is_cleared_to_its_last_item() {
    let mut bench = merged("", PROMPT);
    let row = bench.rows.get_mut("m").unwrap();
    *row = StepFacts {
        state: StepState::Pending,
        cursor: 9,
        ..StepFacts::open(Some(10))
    };
    for step in [Some("m"), None] {
        let all = repeats(&bench.plan, &bench.rows, step, None);
        assert_eq!(all.causes, [Repeat::Anew("m".into())]);
    }
}
