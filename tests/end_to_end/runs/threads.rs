//! Behaviours that users of other systems for runs of agents and tasks reported as faults, each with the test that shows how a run
//! behaves here. Several reports with one lesson share a test. [`each_report_has_a_test`] checks that the tests of the table exist,
//! and that each test below this module is in it.
//!
//! | system and report | lesson | test |
//! | --- | --- | --- |
//! | Claude Code #94530, #93874 | a limit of the account fails no item | `a_session_limit_in_the_middle_fails_no_item` |
//! | Claude Code #94530 | a failed item is listed as missing, not as a result | `only_what_failed_runs_again` |
//! | Claude Code #74130, #76872 | a run whose agents all failed has failed | `a_run_whose_agents_all_failed_has_failed_with_counts` |
//! | Claude Code #74130 | the same, in the function that decides | `a_map_of_which_all_failed_has_failed_whatever_is_tolerated` |
//! | Claude Code #78215 | a run that goes on repeats nothing that is done | `three_kills_of_the_hub_lose_no_item_and_repeat_none` |
//! | Claude Code #78215 | the same with real files and killed sessions | `a_thousand_files_survive_kills_of_the_hub_and_of_each_session` |
//! | Claude Code #73231, #68098 | a result is durable when its ack is answered | `a_result_outlives_the_hub_that_acknowledged_it` |
//! | Claude Code #66023, #68703, #55779, #58311 | an estimate and consent come before the cost | `an_estimate_comes_before_the_run_and_a_person_agrees_after_the_sample` |
//! | Claude Code #66023 | a plan that an agent makes needs a budget | `the_command_needs_a_budget_and_starts_the_planner` |
//! | Claude Code #82066 | an answer that reports a failure is not a success | `a_good_end_with_a_bad_answer_is_not_done` |
//! | Airflow #29959, #45991, superplane #5527, Fabro #653, DurableFunctionsMonitor #64 | a map may be large, and its concurrency holds | `a_map_of_more_than_four_thousand_items_has_all_its_tasks_in_a_window` |
//! | Kestra #7954, #2976, #15524 | a large map is not a large queue | `a_large_map_is_never_a_large_queue_and_small_runs_do_not_wait_for_it` |
//! | Kestra #2976 | a run that is cancelled leaves nothing in the queue | `a_paused_run_starts_nothing_and_a_cancelled_one_leaves_nothing` |
//! | Argo #9190, #7617, #14228, MAF #2075 | a retry repeats only failed items, and merges each item once | `only_what_failed_runs_again` |
//! | Windmill #4956 | the same inside of a loop, while another loop runs | `a_retry_inside_of_a_loop_keeps_the_passes_that_are_done` |
//! | LangGraph #6320 | a slow step holds up only those that depend on it | `a_slow_step_does_not_hold_up_another_branch` |
//! | actions/runner #491, #2205, #2566, Mathesar #4405 | skipped is not done, and failed satisfies no step | `a_skipped_check_is_not_a_passed_one` |
//! | actions/runner #491, #2566 | the same, in the function that decides | `skipped_satisfies_and_failed_does_not` |
//! | Argo: the output of a skipped step is empty | a missing result is an error, not an empty text | `a_result_that_does_not_exist_is_an_error_and_not_an_empty_text` |
//! | Snakemake #1694, #3234, Nextflow #880 | a run keeps its plan and items, and no earlier result takes their place | `edits_of_plan_and_items_do_not_reach_a_run` |
//! | Snakemake #1694, Nextflow #880 | a cache is used only where the plan says so, for equal tasks | `a_step_with_a_cache_takes_results_of_equal_tasks` |
//! | Snakemake #3234, Windmill #7409 | another plan shows what it changes before it counts | `another_plan_repeats_only_what_it_changes_and_what_depends_on_it` |
//! | Windmill #7409 | the same while tasks run | `another_plan_waits_for_what_runs_or_cancels_it` |
//! | Snakemake #3330, #4138 | a dry run reads the plan as the run does, and starts nothing | `an_estimate_comes_before_the_run_and_a_person_agrees_after_the_sample` |
//! | Argo, Hatchet, Inngest, Temporal: limits of 128 KiB to 4 MiB | a large result arrives whole, or the error names the way | `a_result_of_two_mebibytes_reaches_the_next_step_whole` |
//! | Windmill #9028 | a failed step ends its loop | `a_failed_step_fails_its_loop_and_equal_results_end_it` |
//! | Windmill #9028, #10345 | a failed step ends its loop, and a pass has the results of the one before | `a_retry_inside_of_a_loop_keeps_the_passes_that_are_done` |
//! | goose #5812 | a failure below a run is visible in it | `a_failure_in_a_run_below_is_the_failure_of_the_run_above` |
//! | goose #5812, superplane #5353 | runs below a run have no more than what is left of its limits | `runs_below_have_no_more_than_is_left` |
//! | superplane #5353 | planners of planners end | `a_plan_that_a_person_refuses_does_not_run_and_depth_ends_planners_of_planners` |
//! | superplane #5353 | runs below a run spend its budget | `a_run_whose_budget_is_used_up_waits_and_goes_on_when_it_is_raised` |

mod agents;
mod maps;
mod values;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Folders whose tests the table may name.
const FOLDERS: [&str; 3] = ["tests/end_to_end", "plan/src", "store/tests"];

/// The files of a folder and those below it that are Rust.
fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(fs::read_to_string(&path).unwrap());
        }
    }
}

/// The names of the tests in a file.
fn tests_of(source: &str) -> impl Iterator<Item = &str> {
    source.split("#[test]").skip(1).filter_map(|rest| {
        let rest = rest.split_once("fn ")?.1;
        Some(rest.split_once('(')?.0)
    })
}

#[test]
fn each_report_has_a_test() {
    let mut all = Vec::new();
    for folder in FOLDERS {
        sources(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
            &mut all,
        );
    }
    let tests: BTreeSet<&str> = all.iter().flat_map(|source| tests_of(source)).collect();
    let rows = include_str!("threads.rs").lines();
    let rows = rows.filter_map(|line| line.strip_prefix("//! | ")).skip(2);
    let mut named = BTreeSet::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_end_matches(" |").split(" | ").collect();
        let [reports, lesson, test] = cells[..] else {
            panic!("{row}");
        };
        let test = test.trim_matches('`');
        assert!(!reports.is_empty() && !lesson.is_empty(), "{row}");
        assert!(tests.contains(test), "there is no test {test}");
        named.insert(test);
    }
    assert!(named.len() > 20, "{named:?}");
    let mut own = Vec::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/end_to_end/runs/threads");
    sources(&folder, &mut own);
    for test in own.iter().flat_map(|source| tests_of(source)) {
        assert!(named.contains(test), "{test} is not in the table");
    }
}
