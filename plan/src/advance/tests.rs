//! Decisions about runs, on rows that the tests change as the store would.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::{PlanFormat, compile};
use std::collections::BTreeSet;

fn plan(steps: &str) -> Plan {
    compile(&format!("pipeline:\n{steps}"), PlanFormat::Yaml)
        .unwrap_or_else(|faults| panic!("{faults}"))
}

/// Answers as the test has set them.
#[derive(Default)]
pub(super) struct Answers {
    /// Expressions that do not hold.
    pub false_ones: BTreeSet<String>,
    pub items: u64,
    scores: BTreeMap<String, f64>,
    are_equal: bool,
    majority: Option<u64>,
    /// The items before the first one that has not ended; without a number all that have ended are the first ones.
    pub ended_first: BTreeMap<String, u64>,
    /// The items before the first one that is not done, in the same way.
    pub done_first: BTreeMap<String, u64>,
    /// The stages of a planner, the last one first.
    stages: Vec<PlannerStage>,
}

impl World for Answers {
    fn holds(&mut self, _: &StepScope<'_>, _: &Step, expression: &str) -> Result<bool, String> {
        Ok(!self.false_ones.contains(expression))
    }
    fn number(&mut self, scope: &StepScope<'_>, _: &Step, _: &str) -> Result<f64, String> {
        Ok(self.scores.get(&scope.prefix).copied().unwrap_or(0.0))
    }
    fn items(&mut self, _: &StepScope<'_>, _: &Step) -> Result<u64, String> {
        Ok(self.items)
    }
    fn are_equal(&mut self, _: &[String]) -> Result<bool, String> {
        Ok(self.are_equal)
    }
    fn majority(&mut self, _: &str, _: u64, _: Option<&str>) -> Result<Option<u64>, String> {
        Ok(self.majority)
    }
    fn chosen(&mut self, _: &str, _: u64) -> Result<Option<u64>, String> {
        Ok(None)
    }
    fn ended_first(&mut self, path: &str) -> Result<u64, String> {
        Ok(self.ended_first.get(path).copied().unwrap_or(u64::MAX))
    }
    fn done_first(&mut self, path: &str) -> Result<u64, String> {
        Ok(self.done_first.get(path).copied().unwrap_or(u64::MAX))
    }
    fn planner(&mut self, _: &str) -> Result<PlannerStage, String> {
        Ok(self.stages.pop().unwrap())
    }
    fn decision(&mut self, _: &str) -> Result<(), String> {
        Ok(())
    }
}

/// A run whose tasks end when the test says so.
pub(super) struct Bench {
    pub plan: Plan,
    pub rows: StepRows,
    pub world: Answers,
    made: u64,
    pub window: u64,
    pub ended: Option<(RunState, Option<String>)>,
    waits: Option<String>,
}

impl Bench {
    pub fn new(steps: &str) -> Bench {
        Bench {
            plan: plan(steps),
            rows: StepRows::new(),
            world: Answers::default(),
            made: 0,
            window: 10,
            ended: None,
            waits: None,
        }
    }

    fn acts(&mut self) -> Vec<Act> {
        let run = RunFacts {
            plan: &self.plan,
            rows: &self.rows,
            made: self.made,
            is_paused: false,
            window: self.window,
        };
        advance(&run, &mut self.world)
    }

    /// Carries decisions out until the run waits for tasks, or has ended.
    pub fn settle(&mut self) {
        for _ in 0..1000 {
            let acts = self.acts();
            self.waits = None;
            let mut any = false;
            for act in acts {
                any |= self.carry_out(act);
            }
            if !any || self.ended.is_some() {
                return;
            }
        }
        panic!("decisions without end: {:?}", self.acts());
    }

    fn carry_out(&mut self, act: Act) -> bool {
        match act {
            Act::Open {
                path,
                state,
                reason,
                total,
                merges,
                ..
            } => {
                let mut row = StepFacts::open(total);
                row.began_early = merges.is_some();
                (row.state, row.reason) = (state, reason);
                self.rows.insert(path, row);
            }
            Act::Expand { path, again, count } => {
                let row = self.rows.get_mut(&path).unwrap();
                assert!(count > 0);
                match again {
                    true => row.waiting -= count,
                    false => row.cursor += count,
                }
                row.open += count;
                self.made += count;
                assert!(row.cursor <= row.total.unwrap());
            }
            Act::Set {
                path,
                state,
                reason,
                total,
                result,
            } => {
                let row = self.rows.get_mut(&path).unwrap();
                assert!(!row.state.is_final(), "{path} ends twice");
                (row.state, row.reason) = (state, reason);
                row.total = total.or(row.total);
                row.result = result.or(row.result.take());
            }
            Act::CancelTasks { path, .. } => {
                let row = self.rows.get_mut(&path).unwrap();
                row.cancelled += row.open;
                row.open = 0;
            }
            Act::Wait { reason } => {
                self.waits = Some(reason);
                return false;
            }
            Act::End { state, reason, .. } => self.ended = Some((state, reason)),
        }
        true
    }

    /// Tasks of a step end: done, and failed with a class.
    pub fn end(&mut self, path: &str, done: u64, failed: u64) {
        let row = self
            .rows
            .get_mut(path)
            .unwrap_or_else(|| panic!("{path} has not begun"));
        assert!(row.open >= done + failed, "{path}: {row:?}");
        row.open -= done + failed;
        row.done += done;
        row.failed += failed;
        if done > 0 {
            (row.streak, row.class) = (0, None);
        }
        if failed > 0 {
            (row.streak, row.class) = (row.streak + failed, Some("timeout".into()));
        }
        self.settle();
    }

    pub fn state(&self, path: &str) -> StepState {
        self.rows
            .get(path)
            .map_or(StepState::Pending, |row| row.state)
    }

    pub fn open(&self, path: &str) -> u64 {
        self.rows.get(path).map_or(0, |row| row.open)
    }
}

const CHAIN: &str = "
  - { id: a, prompt: p }
  - { id: b, depends_on: [a], prompt: p }
  - { id: c, depends_on: [b], if: 'inputs_hold', prompt: p }
  - { id: tell, prompt: p, always: true }
";

#[test]
fn steps_follow_their_dependencies_and_always_comes_last() {
    let mut bench = Bench::new(&CHAIN.replace("inputs_hold", "run.id"));
    bench.settle();
    assert_eq!(
        (bench.open("a"), bench.open("b"), bench.open("tell")),
        (1, 0, 0)
    );
    bench.end("a", 1, 0);
    assert_eq!((bench.open("b"), bench.open("c")), (1, 0));
    bench.end("b", 1, 0);
    bench.end("c", 1, 0);
    assert_eq!(bench.ended, None);
    assert_eq!(outlook(&bench.plan, &bench.rows), RunState::Done);
    bench.end("tell", 1, 0);
    assert_eq!(bench.ended, Some((RunState::Done, None)));
}

#[test]
fn skipped_satisfies_and_failed_does_not() {
    let text = CHAIN.replace("inputs_hold", "run.id");
    let mut bench = Bench::new(&text);
    bench.world.false_ones.insert("run.id".into());
    bench.settle();
    bench.end("a", 1, 0);
    bench.end("b", 1, 0);
    assert_eq!(bench.state("c"), StepState::Skipped);
    bench.end("tell", 1, 0);
    assert_eq!(bench.ended, Some((RunState::Done, None)));

    let mut bench = Bench::new(&text);
    bench.settle();
    bench.end("a", 0, 1);
    assert_eq!(bench.state("a"), StepState::Failed);
    assert_eq!(
        (bench.state("b"), bench.state("c")),
        (StepState::Omitted, StepState::Omitted)
    );
    bench.end("tell", 1, 0);
    let (state, reason) = bench.ended.unwrap();
    assert_eq!(state, RunState::Failed);
    assert_eq!(reason.unwrap(), "the step a failed: timeout");
}

#[test]
fn a_run_goes_on_behind_a_step_that_may_fail_and_is_partial() {
    let mut bench = Bench::new(
        "
  - { id: a, prompt: p, may_fail: true }
  - { id: b, depends_on: [a], prompt: p }
",
    );
    bench.settle();
    bench.end("a", 0, 1);
    assert_eq!(bench.open("b"), 1);
    bench.end("b", 1, 0);
    assert_eq!(bench.ended.unwrap().0, RunState::Partial);
}

fn map(fields: &str) -> String {
    format!(
        "
  - id: m
    map: {{ over: 'inputs.list'{fields} }}
    prompt: p
inputs: {{ list: {{}} }}
"
    )
}

#[test]
fn a_map_never_has_more_open_tasks_than_its_window() {
    let mut bench = Bench::new(&map(""));
    bench.world.items = 1000;
    bench.settle();
    let mut most = 0;
    bench.end("m", 1, 0);
    while bench.ended.is_none() {
        let open = bench.open("m");
        most = most.max(open);
        assert!(open <= 10 && open > 0);
        bench.end("m", open.min(3), 0);
    }
    assert_eq!(
        (bench.ended.unwrap().0, bench.made, most),
        (RunState::Done, 1000, 10)
    );
}

#[test]
fn failures_beyond_what_is_tolerated_stop_a_map_and_others_do_not() {
    let mut bench = Bench::new(&map(", tolerate: 2"));
    bench.world.items = 100;
    bench.settle();
    bench.end("m", 1, 2);
    assert_eq!(bench.state("m"), StepState::Open);
    bench.end("m", 0, 1);
    let made = bench.made;
    assert_eq!(bench.state("m"), StepState::Open, "what runs goes on");
    while bench.open("m") > 0 {
        bench.end("m", 1, 0);
    }
    assert_eq!((bench.state("m"), bench.made), (StepState::Failed, made));

    let mut bench = Bench::new(&map(", tolerate: 50%"));
    bench.world.items = 4;
    bench.settle();
    bench.end("m", 2, 2);
    assert_eq!(bench.state("m"), StepState::Partial);
    assert_eq!(bench.ended.unwrap().0, RunState::Partial);
}

#[test]
fn a_map_of_which_all_failed_has_failed_whatever_is_tolerated() {
    let mut bench = Bench::new(&map(", tolerate: 100%"));
    bench.world.items = 3;
    bench.settle();
    bench.end("m", 0, 3);
    assert_eq!(bench.state("m"), StepState::Failed);
    assert_eq!(bench.ended.unwrap().0, RunState::Failed);
}

#[test]
fn a_wrong_prompt_stops_after_five_runs_and_asks_a_person() {
    let mut bench = Bench::new(&map(""));
    bench.world.items = 100;
    bench.settle();
    assert_eq!(bench.open("m"), 5);
    while bench.open("m") > 0 {
        bench.end("m", 0, 1);
    }
    let row = &bench.rows["m"];
    assert_eq!(
        (row.failed, row.reason.as_deref()),
        (5, Some(waits::BREAKER))
    );
    assert_eq!(bench.made, 5);
    assert!(
        bench
            .waits
            .as_ref()
            .unwrap()
            .contains("5 items of the step m failed in a row with timeout")
    );
    bench.rows.get_mut("m").unwrap().reason = Some(waits::AGREED.into());
    bench.settle();
    assert!(bench.open("m") > 0);
}

#[test]
fn a_sample_runs_first_and_the_rest_after_it_or_after_a_person() {
    let mut bench = Bench::new(&map(", sample: 3"));
    bench.world.items = 100;
    bench.settle();
    assert_eq!(bench.open("m"), 3);
    bench.end("m", 3, 0);
    assert_eq!(bench.open("m"), 10);

    let mut bench = Bench::new(&map(", sample: 3, ask: true"));
    bench.world.items = 100;
    bench.settle();
    bench.end("m", 3, 0);
    assert_eq!(bench.rows["m"].reason.as_deref(), Some(waits::SAMPLE));
    assert!(bench.waits.is_some());
    bench.rows.get_mut("m").unwrap().reason = Some(waits::AGREED.into());
    bench.settle();
    assert_eq!(bench.open("m"), 10);
}

#[test]
fn a_reduce_merges_each_result_once_on_each_level() {
    for results in [1, 2, 3, 49, 50, 51, 100, 2501, 99_999] {
        for arity in [2, 3, 50] {
            let shape = ReduceShape::new(results, arity);
            let (mut level, mut next, mut below) = (1, 0, results);
            let mut first_of_level = 0;
            for index in 0..shape.total() {
                let (of, from, to) = shape.inputs(index).unwrap();
                if of != level {
                    assert_eq!(
                        next, below,
                        "{results}/{arity}: level {level} leaves some out"
                    );
                    (level, next, below) = (of, first_of_level, index);
                    first_of_level = index;
                }
                assert_eq!(from, next, "{results}/{arity}: {index}");
                assert!(
                    to > from && to - from <= arity,
                    "{results}/{arity}: {from}..{to}"
                );
                next = to;
            }
            assert_eq!(next, below);
            assert_eq!(shape.inputs(shape.total()), None);
        }
    }
}

const LOOP: &str = "
  - id: l
    loop: { max: 3, until: 'steps.b.json.ok' }
    steps:
      - { id: a, prompt: p }
      - { id: b, depends_on: [a], prompt: p }
  - { id: after, depends_on: [l], prompt: '{{ steps.l.result }}' }
";

#[test]
fn a_loop_ends_when_its_condition_holds_or_fails_after_its_last_pass() {
    let mut bench = Bench::new(LOOP);
    bench.world.false_ones.insert("steps.b.json.ok".into());
    bench.settle();
    bench.end("l[1].a", 1, 0);
    bench.end("l[1].b", 1, 0);
    assert_eq!(bench.open("l[2].a"), 1);
    bench.world.false_ones.clear();
    bench.end("l[2].a", 1, 0);
    bench.end("l[2].b", 1, 0);
    assert_eq!(bench.state("l"), StepState::Done);
    assert_eq!(
        bench.rows["l"].result,
        Some(ResultRef::Step("l[2].b".into()))
    );
    assert_eq!(bench.open("after"), 1);

    let mut bench = Bench::new(LOOP);
    bench.world.false_ones.insert("steps.b.json.ok".into());
    bench.settle();
    for pass in 1..=3 {
        bench.end(&format!("l[{pass}].a"), 1, 0);
        bench.end(&format!("l[{pass}].b"), 1, 0);
    }
    assert_eq!(
        (bench.state("l"), bench.state("after")),
        (StepState::Failed, StepState::Omitted)
    );
    assert_eq!(bench.state("l[4].a"), StepState::Pending);
}

#[test]
fn a_failed_step_fails_its_loop_and_equal_results_end_it() {
    let mut bench = Bench::new(LOOP);
    bench.settle();
    bench.end("l[1].a", 0, 1);
    assert_eq!(bench.state("l"), StepState::Failed);

    let mut bench = Bench::new(&LOOP.replace(
        "max: 3",
        "max: 9, same: 2, on_max: done, score: 'steps.b.json.n'",
    ));
    bench.world.false_ones.insert("steps.b.json.ok".into());
    bench.world.scores = BTreeMap::from([("l[1].".to_owned(), 7.0), ("l[2].".to_owned(), 5.0)]);
    bench.settle();
    for pass in 1..=2 {
        bench.world.are_equal = pass == 2;
        bench.end(&format!("l[{pass}].a"), 1, 0);
        bench.end(&format!("l[{pass}].b"), 1, 0);
    }
    assert_eq!(bench.state("l"), StepState::Done);
    assert_eq!(
        bench.rows["l"].result,
        Some(ResultRef::Step("l[1].b".into())),
        "the best pass"
    );
}

#[test]
fn the_first_done_wins_a_race_and_the_others_are_cancelled() {
    let race = "
  - id: r
    race:
      - { id: a, prompt: p }
      - { id: b, prompt: p }
      - { id: c, prompt: p }
";
    let mut bench = Bench::new(race);
    bench.settle();
    bench.end("r.a", 0, 1);
    bench.end("r.b", 1, 0);
    assert_eq!(bench.state("r"), StepState::Done);
    assert_eq!(
        (bench.state("r.a"), bench.state("r.c")),
        (StepState::Failed, StepState::Cancelled)
    );
    assert_eq!(bench.rows["r"].result, Some(ResultRef::Step("r.b".into())));
    assert_eq!(bench.ended.unwrap().0, RunState::Done);

    let mut bench = Bench::new(race);
    bench.settle();
    for step in ["r.a", "r.b", "r.c"] {
        bench.end(step, 0, 1);
    }
    assert_eq!(bench.state("r"), StepState::Failed);
}

#[test]
fn a_vote_needs_a_majority_or_a_judge() {
    let vote = "
  - id: v
    vote: { n: 3 }
    prompt: p
";
    let mut bench = Bench::new(vote);
    bench.settle();
    bench.world.majority = Some(1);
    bench.end("v", 2, 1);
    assert_eq!(bench.rows["v"].result, Some(ResultRef::Item(1)));

    let mut bench = Bench::new(vote);
    bench.settle();
    bench.end("v", 3, 0);
    assert_eq!(bench.state("v"), StepState::Failed);

    let mut bench = Bench::new(&vote.replace("n: 3", "n: 3, judge: { prompt: q }"));
    bench.settle();
    bench.end("v", 3, 0);
    assert_eq!((bench.open("v"), bench.rows["v"].total), (1, Some(4)));
    bench.end("v", 1, 0);
    assert_eq!(bench.rows["v"].result, Some(ResultRef::Item(3)));
}

#[test]
fn the_limits_of_tasks_and_items_are_named() {
    let mut bench = Bench::new(&format!("{}limits: {{ tasks: 7, items: 50 }}\n", map("")));
    bench.world.items = 51;
    bench.settle();
    let (state, reason) = bench.ended.unwrap();
    assert_eq!(state, RunState::Failed);
    assert!(
        reason
            .unwrap()
            .contains("limit: 51 items, and `limits.items` is 50")
    );

    let mut bench = Bench::new(&format!("{}limits: {{ tasks: 7, items: 50 }}\n", map("")));
    bench.world.items = 50;
    bench.settle();
    bench.end("m", 1, 0);
    assert_eq!((bench.made, bench.ended.is_none()), (7, true));
    bench.end("m", 6, 0);
    let (state, reason) = bench.ended.unwrap();
    assert_eq!(state, RunState::Failed);
    assert!(reason.unwrap().contains("7 tasks"));
}

#[test]
fn a_retry_repeats_what_failed_and_what_depends_on_it() {
    let mut bench = Bench::new(
        "
  - { id: a, map: { over: 'inputs.list', tolerate: 50% }, prompt: p }
  - { id: other, prompt: p }
  - { id: sum, reduce: { of: a }, prompt: p }
  - { id: tell, prompt: p, always: true }
inputs: { list: {} }
",
    );
    bench.world.items = 4;
    bench.settle();
    bench.end("a", 3, 1);
    bench.end("other", 1, 0);
    bench.end("sum", 1, 0);
    bench.end("tell", 1, 0);
    assert_eq!(bench.ended.as_ref().unwrap().0, RunState::Partial);
    let all = repeats(&bench.plan, &bench.rows, None, None);
    let anew = |path: &str| Repeat::Anew(path.into());
    let lost = |path: &str| Repeat::Lost(path.into());
    assert_eq!(
        (all.dependents, all.causes),
        (vec![anew("sum"), anew("tell")], vec![lost("a")])
    );
    let one = repeats(&bench.plan, &bench.rows, Some("a"), Some("#2"));
    assert_eq!(one.dependents, [anew("sum"), anew("tell")]);
    assert_eq!(one.causes, [Repeat::Item("a".into(), "#2".into())]);
    let step = repeats(&bench.plan, &bench.rows, Some("other"), None);
    assert_eq!(
        (step.dependents, step.causes),
        (vec![anew("tell")], vec![anew("other")])
    );
}

#[test]
fn a_retry_inside_of_a_loop_opens_it_and_drops_later_passes() {
    let mut bench = Bench::new(LOOP);
    bench.world.false_ones.insert("steps.b.json.ok".into());
    bench.settle();
    bench.end("l[1].a", 1, 0);
    bench.end("l[1].b", 1, 0);
    bench.end("l[2].a", 0, 1);
    let all = repeats(&bench.plan, &bench.rows, None, None);
    let anew = |path: &str| Repeat::Anew(path.into());
    assert_eq!(all.dependents, [anew("after"), anew("l[2].b")]);
    assert_eq!(all.around, [Repeat::Open("l".into())]);
    assert_eq!(all.causes, [Repeat::Lost("l[2].a".into())]);
    let first = repeats(&bench.plan, &bench.rows, Some("l[1].a"), None);
    let rest = ["after", "l[1].b", "l[2].a", "l[2].b"].map(anew);
    assert_eq!(first.dependents, rest);
    assert_eq!(first.causes, [anew("l[1].a")]);
}

#[test]
fn a_planner_tries_again_asks_and_runs() {
    let plan = "
  - { id: p, plan: { goal: g, tries: 2 } }
limits: { tokens: 10 }
";
    let faulty = || PlannerStage::Faulty("line 1".into());
    let mut bench = Bench::new(plan);
    bench.world.stages = vec![
        PlannerStage::Ran,
        PlannerStage::Agreed,
        PlannerStage::Planned,
        faulty(),
    ];
    bench.settle();
    for _ in 0..4 {
        bench.end("p", 1, 0);
    }
    assert_eq!(bench.rows["p"].result, Some(ResultRef::Item(3)));
    assert_eq!(bench.ended.unwrap().0, RunState::Done);

    let mut bench = Bench::new(plan);
    bench.world.stages = vec![faulty(), faulty()];
    bench.settle();
    bench.end("p", 1, 0);
    bench.end("p", 1, 0);
    let (state, reason) = bench.ended.unwrap();
    assert_eq!(state, RunState::Failed);
    assert!(reason.unwrap().contains("after 2 tries:\nline 1"));
}

#[test]
fn batches_are_whole_and_a_sample_is_no_multiple_of_them() {
    let mut bench = Bench::new(&map(", batch: 4"));
    bench.world.items = 103;
    bench.settle();
    // Five tasks of four items, until something is known about the prompt.
    assert_eq!(bench.open("m"), 20);
    while bench.ended.is_none() {
        let cursor = bench.rows["m"].cursor;
        assert!(cursor.is_multiple_of(4) || cursor == 103);
        bench.end("m", bench.open("m").min(4), 0);
    }
    assert_eq!(bench.rows["m"].done, 103);

    for batch in ["7", "{ bytes: 1k }"] {
        let mut bench = Bench::new(&map(&format!(", batch: {batch}, sample: 3")));
        bench.world.items = 40;
        bench.settle();
        assert_eq!(bench.open("m"), 3);
        while bench.ended.is_none() {
            bench.end("m", 1, 0);
        }
        assert_eq!(bench.rows["m"].done, 40);
    }
}

#[test]
fn first_failures_of_several_classes_ask_a_person_too() {
    let mut bench = Bench::new(&map(", tolerate: 100%"));
    bench.world.items = 100;
    bench.settle();
    bench.end("m", 0, 3);
    let row = bench.rows.get_mut("m").unwrap();
    (row.failed, row.open, row.streak) = (5, 0, 2);
    bench.settle();
    assert_eq!(bench.rows["m"].reason.as_deref(), Some(waits::BREAKER));
    assert!(
        bench
            .waits
            .unwrap()
            .contains("5 items of the step m failed and none is done")
    );
}

#[test]
fn a_retry_leaves_losers_of_a_race_and_a_persons_no_alone() {
    let mut bench = Bench::new(
        "
  - id: r
    race: [{ id: a, prompt: p }, { id: b, prompt: p }]
  - { id: ok, depends_on: [r], approve: { prompt: q } }
  - { id: ship, depends_on: [ok], prompt: p }
  - { id: other, prompt: p }
",
    );
    bench.settle();
    bench.end("r.a", 1, 0);
    bench.end("ok", 0, 1);
    bench.end("ship", 1, 0);
    bench.end("other", 0, 1);
    let all = repeats(&bench.plan, &bench.rows, None, None);
    assert_eq!(all.causes, [Repeat::Lost("other".into())]);
    assert!(
        all.dependents.is_empty() && all.around.is_empty(),
        "{all:?}"
    );
}

#[test]
fn a_loop_that_ran_out_of_passes_begins_anew() {
    let mut bench = Bench::new(LOOP);
    bench.world.false_ones.insert("steps.b.json.ok".into());
    bench.settle();
    for pass in 1..=3 {
        bench.end(&format!("l[{pass}].a"), 1, 0);
        bench.end(&format!("l[{pass}].b"), 1, 0);
    }
    let all = repeats(&bench.plan, &bench.rows, None, None);
    assert!(all.causes.contains(&Repeat::Anew("l".into())), "{all:?}");
    assert!(
        all.dependents.contains(&Repeat::Anew("l[2].a".into())),
        "{all:?}"
    );
}

/// Prepares one thing of a retry after another, each time with the rows as they are then, as after a crash of the hub.
fn prepare_one_by_one(bench: &mut Bench, mut note: impl FnMut(&Repeat)) {
    for _ in 0..50 {
        let all = repeats(&bench.plan, &bench.rows, None, None);
        let next = [&all.dependents, &all.around, &all.causes];
        let Some(next) = next.into_iter().find_map(|repeats| repeats.first()) else {
            return;
        };
        note(next);
        let (path, state) = match next {
            Repeat::Anew(path) => (path, StepState::Pending),
            Repeat::Lost(path) | Repeat::Item(path, _) | Repeat::Open(path) => {
                (path, StepState::Open)
            }
        };
        let row = bench.rows.get_mut(path).unwrap();
        match state {
            StepState::Pending => {
                *row = StepFacts {
                    state,
                    ..StepFacts::open(None)
                }
            }
            _ => {
                row.waiting += row.failed + row.cancelled;
                (row.failed, row.cancelled, row.state) = (0, 0, state);
            }
        }
    }
    panic!("the retry has no end: {:#?}", bench.rows);
}

#[test]
fn a_retry_that_is_interrupted_at_any_point_leaves_nothing_out() {
    let mut bench = Bench::new(
        "
  - { id: a, prompt: p }
  - { id: b, depends_on: [a], prompt: p, always: true }
  - { id: c, prompt: p }
  - { id: d, depends_on: [c], prompt: p, always: true }
",
    );
    bench.settle();
    bench.end("c", 0, 1);
    // It failed before it had an item: it begins anew as a whole.
    bench.rows.get_mut("a").unwrap().state = StepState::Failed;
    bench.settle();
    bench.end("b", 1, 0);
    bench.end("d", 1, 0);
    let mut order = Vec::new();
    prepare_one_by_one(&mut bench, |repeat| order.push(repeat.clone()));
    let anew = |path: &str| Repeat::Anew(path.into());
    let lost = Repeat::Lost("c".into());
    assert_eq!(order, [anew("b"), anew("d"), lost, anew("a")]);

    let mut bench = Bench::new(LOOP);
    bench.world.false_ones.insert("steps.b.json.ok".into());
    bench.settle();
    bench.end("l[1].a", 1, 0);
    bench.end("l[1].b", 1, 0);
    bench.end("l[2].a", 0, 1);
    prepare_one_by_one(&mut bench, |_| ());
    let row = &bench.rows["l[2].a"];
    assert_eq!((row.state, row.waiting), (StepState::Open, 1));
    assert_eq!(bench.rows["l"].state, StepState::Open);
    assert_eq!(bench.rows["after"].state, StepState::Pending);
}
