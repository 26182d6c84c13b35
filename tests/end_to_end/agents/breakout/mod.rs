//! Real agents that try to break out, at each level of trust: tries.py has the tries, table.rs the expected outcomes, which
//! docs/security.md repeats.

mod level;
mod seen;
mod surroundings;
mod table;

use crate::agents::programs::{CODEX, GOOSE, Program};
use crate::agents::user::is_root;
use crate::agents::world::World;
use crate::common::until_within;
use crate::sandbox::cannot_be_enforced;
use level::{Case, LEVELS, Level, Outcomes};
use std::time::{Duration, Instant};
use table::APPROVED_BY_SURVIVOR;

/// Tries that end the conversation, each in one of its own, in this order.
const LAST: [&str; 3] = [
    "survive_the_runner",
    "survive_in_another_cgroup",
    "kill_hub",
];
/// The try of a child, which an agent may add one level below its task.
const OF_CHILD: &str = "add_children_too_deep";
/// Files for the next run in the same folder, which both agents leave: either folder may be that of the next run.
const IN_FOLDER: [&str; 2] = ["link_context_to_key", "fifo_as_settings"];
/// Tries that change the conditions of others, so they come after them.
const LATE: [&str; 3] = [
    "add_children_beyond_the_limit",
    "reload_by_signal",
    "replace_git_folder",
];

/// All tries of one program at one level. Where the test can see an outcome, it does not believe the agent.
fn outcomes(world: &World, program: Program, level: Level) -> Outcomes {
    let begun = Instant::now();
    let mut case = Case::start(world, program, level);
    let name = format!("{}, {}", program.name, level.name());
    let step = |what: &str| eprintln!("{:>6} ms  {name}: {what}", begun.elapsed().as_millis());
    step("started");
    let is_late = |name: &&str| LATE.contains(name) || LAST.contains(name) || *name == OF_CHILD;
    let first: Vec<&str> = table::tries().filter(|name| !is_late(name)).collect();
    // Two agents side by side, because the hub lets each wrong key wait for a second.
    let (first, second) = first.split_at(first.len() / 2);
    let (first, second) = ([first, &IN_FOLDER].concat(), [second, &LATE].concat());
    let id = case.begin(&first, None);
    let late = case.begin(&second, Some(OF_CHILD));
    let got = [id, late].map(|id| case.end(id));
    step("has tried");
    let mut found = case.reported();
    for name in first.iter().chain(&second) {
        assert!(found.contains_key(*name), "{name} has no outcome: {got:#?}");
    }
    case.see([id, late], &mut found);
    case.end_child(late);
    found.extend(case.reported_by(OF_CHILD));
    step("has tried as a child");
    for name in &LAST[..2] {
        let outcome = case.outlives(name);
        found.insert((*name).to_owned(), outcome);
        step(name);
    }
    found.insert(APPROVED_BY_SURVIVOR.to_owned(), case.approved_by_survivor());
    case.finish();
    case.begin(&LAST[2..], None);
    let patience = Duration::from_secs(60);
    let is_killed = until_within(patience, "the end of the hub or of its task", || {
        if !case.hub.is_running() {
            return Some(true);
        }
        let outcome = case.reported_by(LAST[2]);
        // The signal was sent, so the hub ends soon.
        outcome.values().next().filter(|it| !it.0).map(|_| false)
    });
    found.insert(LAST[2].to_owned(), (is_killed, String::new()));
    step("has tried to kill the hub");
    found
}

/// The outcomes that are not those of the table.
fn faults(program: Program, level: Level, found: &Outcomes, has_groups: bool) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, (is, said)) in found {
        if !has_groups && seen::NEED_GROUPS.contains(&name.as_str()) {
            continue;
        }
        if table::row(name).can[level.index()] != *is {
            let (program, level) = (program.name, level.name());
            faults.push(format!("{program}, {level}: {name} is {is}: {said}"));
        }
        // A request that is wrong in itself is no proof of a protection.
        if said.contains("invalid_params") || said.contains("NameError") {
            faults.push(format!("{name} is wrong: {said}"));
        }
    }
    faults
}

#[test]
fn agents_reach_no_more_than_the_page_says() {
    if !is_root() {
        eprintln!("not tested: levels with another user, because only root can start such runs");
    }
    let all = LEVELS.into_iter().flat_map(|level| {
        let programs: &[Program] = if level.user {
            &[CODEX]
        } else {
            &[CODEX, GOOSE]
        };
        programs.iter().map(move |program| (*program, level))
    });
    let cases: Vec<(Program, Level)> = all
        .filter(|(_, level)| !level.user || is_root())
        .filter(|(_, level)| !level.sandbox || !cannot_be_enforced())
        .collect();
    let world = World::new(&["codex", "goose"]);
    let begun = Instant::now();
    let has_groups = surroundings::can_have_groups();
    // Side by side; a thread has the network of the one that starts it.
    let faults: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = cases
            .iter()
            .map(|&(program, level)| {
                let world = &world;
                let hold = move || {
                    let found = outcomes(world, program, level);
                    faults(program, level, &found, has_groups)
                };
                scope.spawn(hold)
            })
            .collect();
        let ended = threads.into_iter().map(|it| it.join());
        ended
            .flat_map(|faults| faults.expect("all tries"))
            .collect()
    });
    eprintln!("{} agents in {:.0?}", cases.len(), begun.elapsed());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    world.nothing_is_left(0);
}
