//! Results on their way from one step to another: skipped, missing and large ones, and those of loops.

use crate::common::{Setup, until};
use crate::runs::steering::failing;
use crate::runs::{ended, hub, items, shown, start, step, with_script};
use serde_json::json;
use std::fs;

/// actions/runner #491, #2205, #2566, Mathesar #4405: a check that is required was skipped, and so the whole was green.
#[test]
fn a_skipped_check_is_not_a_passed_one() {
    let hub = hub(2).start();
    let mut client = hub.client();
    let plan = "
pipeline:
  - { id: changed, prompt: 'docs' }
  - { id: check, depends_on: [changed], if: steps.changed.result == 'code', prompt: check }
  - { id: merge, depends_on: [check], if: steps.check.state == 'done', prompt: merge }
  - { id: report, depends_on: [check], prompt: 'the check is {{ steps.check.state }}' }
";
    let run = start(&mut client, plan, json!({}));
    let run = ended(&mut client, run);
    assert_eq!(
        (&run["state"], &run["result"]),
        (&json!("done"), &json!("the check is skipped"))
    );
    assert_eq!(step(&run, "check")["state"], "skipped");
    assert_eq!(step(&run, "merge")["state"], "skipped");
}

/// Argo Workflows: the output of a step that was skipped is an empty text where another step names it.
#[test]
fn a_result_that_does_not_exist_is_an_error_and_not_an_empty_text() {
    let hub = hub(2).start();
    let mut client = hub.client();
    let plan = "
pipeline:
  - { id: no, if: 'false', prompt: x }
  - { id: bad, depends_on: [no], prompt: 'see {{ steps.no.result }}' }
  - { id: part, depends_on: [no], prompt: 'see {{ steps.no.json.name }}' }
  - { id: written, depends_on: [no], prompt: \"{{ steps.no.result | default('nothing') }}, {{ steps.no.result or 'none' }}\" }
";
    let run = start(&mut client, plan, json!({}));
    let run = ended(&mut client, run);
    assert_eq!(run["state"], "failed", "{run:#}");
    for path in ["bad", "part"] {
        let step = step(&run, path);
        assert_eq!(step["state"], "failed", "{run:#}");
        assert_eq!(
            step["made"].as_i64().unwrap_or(0),
            0,
            "no agent ran: {run:#}"
        );
    }
    let reason = step(&run, "bad")["reason"].as_str().unwrap();
    assert!(
        reason.contains("steps.no.result has no value") && reason.contains("default("),
        "{reason}"
    );
    let id = run["task_id"].as_i64().unwrap();
    assert_eq!(
        items(&mut client, id, "written")[0]["result"],
        "nothing, none"
    );
}

/// Argo Workflows (1 MiB, 128 KiB of arguments), Hatchet and Inngest (4 MiB), Temporal (2 MiB): a result above a limit breaks the run, or
/// is cut.
#[test]
fn a_result_of_two_mebibytes_reaches_the_next_step_whole() {
    const BYTES: usize = 2 << 20;
    let script = "prompt=$(head -c 5)\ncase \"$prompt\" in\nwrite) head -c 2097152 /dev/zero | tr '\\0' x ;;\n*) wc -c ;;\nesac\n";
    let hub = with_script(hub(1), script)
        .set("pool.script.max_output=4 MiB")
        .start();
    let mut client = hub.client();
    let plan = "
limits: { max_insert: 8 MiB }
pipeline:
  - { id: write, pool: script, prompt: write }
  - { id: count, depends_on: [write], pool: script, prompt: 'count{{ steps.write.result }}' }
";
    let run = start(&mut client, plan, json!({}));
    let run = ended(&mut client, run);
    assert_eq!(run["state"], "done", "{run:#}");
    assert_eq!(run["result"].as_str().unwrap().trim(), BYTES.to_string());
    // Without the limit of the plan, the error names what to do.
    let usual = plan.replace("limits: { max_insert: 8 MiB }\n", "");
    let run = start(&mut client, &usual, json!({}));
    let run = ended(&mut client, run);
    let count = step(&run, "count");
    assert_eq!(count["state"], "failed", "{run:#}");
    let reason = count["reason"].as_str().unwrap();
    for part in ["2097152 bytes", "cut(n)", "limits.max_insert"] {
        assert!(reason.contains(part), "{reason}");
    }
    let id = run["task_id"].as_i64().unwrap();
    let whole = items(&mut client, id, "write");
    assert_eq!(whole[0]["result"].as_str().unwrap().len(), BYTES);
    // A pool keeps 1 MiB of an answer unless it is set to keep more: the mark of the cut names the setting.
    let smaller = Setup::new()
        .up()
        .set("pool.echo.provider=echo")
        .set("pool.echo.max_output=1 KiB")
        .start();
    let mut client = smaller.client();
    let id = client.enqueue(&"x".repeat(2000));
    client.call("wait", json!({"task_ids": [id], "timeout_seconds": 20}));
    let cut = client.task(id)["result"].as_str().unwrap().to_owned();
    assert!(
        cut.contains("976 more bytes were not kept") && cut.contains("`max_output`"),
        "{cut}"
    );
}

/// Windmill #9028 (a loop went on after a failed step), #10345 (no state between passes), #4956 (no restart inside of a loop, and
/// none of loops that run at the same time).
#[test]
fn a_retry_inside_of_a_loop_keeps_the_passes_that_are_done() {
    let setup = failing(hub(2));
    let marker = setup.directory.path().join("fails");
    fs::write(&marker, "xww").unwrap();
    let hub = setup.start();
    let mut client = hub.client();
    let plan = "
pipeline:
  - id: l
    loop: { max: 4, on_max: done }
    steps:
      - { id: write, pool: script, prompt: \"{{ prev.write.result or 'x' }}w\", max_attempts: 1 }
      - { id: judge, depends_on: [write], prompt: 'judged {{ steps.write.result }}' }
  - id: other
    loop: { max: 3, on_max: done }
    steps: [{ id: in, prompt: \"{{ prev.in.result or '' }}o\" }]
";
    let run = start(&mut client, plan, json!({}));
    let first = ended(&mut client, run);
    assert_eq!(first["state"], "failed", "{first:#}");
    let state = |path: &str| step(&first, path)["state"].clone();
    assert_eq!(
        [state("l[2].write"), state("l[2].judge"), state("l")],
        ["failed", "omitted", "failed"]
    );
    let paths = first["steps"].to_string();
    assert!(!paths.contains("l[3]"), "the loop has ended: {first:#}");
    fs::remove_file(&marker).unwrap();
    client.call("run_retry", json!({"task_id": run}));
    let second = until("the run is done", || {
        let run = shown(&mut client, run);
        (run["state"] == "done").then_some(run)
    });
    for kept in ["l[1].write", "l[1].judge", "other[1].in", "other[3].in"] {
        let task = |run| step(run, kept)["task_id"].clone();
        assert_eq!(task(&first), task(&second), "{kept}");
    }
    // Two steps of each of the passes 2, 3 and 4.
    assert_eq!(
        second["made"].as_i64().unwrap() - first["made"].as_i64().unwrap(),
        6
    );
    assert_eq!(
        items(&mut client, run, "l[4].judge")[0]["result"],
        "judged xwwww"
    );
}
