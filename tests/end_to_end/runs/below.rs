//! Maps over files of the client's machine in plans that steps name.

use super::{ended, hub, items, shown, start, step, with_script};
use crate::common::process::shell;
use crate::common::{Client, Hub};
use crate::people::kit::{fed, kirosu, parts};
use serde_json::{Value, json};

const TOP: &str = "
name: top
inputs: { root: { default: texts } }
pipeline:
  - { id: one, pipeline: parts/each.yaml, inputs: { dir: '{{ inputs.root }}/one' } }
  - { id: gone, depends_on: [one], prompt: 'rm -r ROOT/texts/two; echo gone' }
  - id: often
    depends_on: [gone]
    loop: { max: 2, on_max: done }
    steps:
      - { id: two, pipeline: parts/middle.yaml, inputs: { of: two, tone: '{{ steps.one.result }}' } }
";
const MIDDLE: &str = "
inputs: { of: {}, tone: {} }
pipeline:
  - { id: sub, pipeline: each.yaml, inputs: { dir: 'texts/{{ inputs.of }}', tone: '{{ inputs.tone }}' } }
";
/// An item `bad` fails until the file `fixed` exists.
const EACH: &str = "
inputs: { dir: { required: true }, tone: { default: plain } }
limits: { items: 2 }
pipeline:
  - id: read
    map: { over: { files: '{{ inputs.dir }}/*.md' } }
    prompt: |
      if [ {{ item.text }} = bad ] && [ ! -e ROOT/fixed ]; then exit 1; fi
      echo was {{ item.text }}
    max_attempts: 1
  - { id: all, reduce: { of: read, into: concat } }
";

fn write(hub: &Hub, file: &str, text: &str) {
    let home = hub.setup.directory.path().canonicalize().unwrap();
    let path = home.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let text = text.replace("ROOT", home.to_str().unwrap());
    std::fs::write(path, text).unwrap();
}

/// A hub, and the plans and files of its client.
fn prepared() -> (Hub, Client) {
    let hub = shell().set("pool.p.size=2").start();
    let client = hub.client();
    write(&hub, "plans/top.yaml", TOP);
    write(&hub, "plans/parts/middle.yaml", MIDDLE);
    write(&hub, "plans/parts/each.yaml", EACH);
    for (file, text) in [
        ("one/a", "a"),
        ("one/b", "b"),
        ("two/c", "c"),
        ("two/d", "bad"),
    ] {
        write(&hub, &format!("texts/{file}.md"), text);
    }
    (hub, client)
}

const RUN_TOP: [&str; 3] = ["run-pipeline", "--file", "plans/top.yaml"];

fn started(hub: &Hub, more: &[&str]) -> (i32, String, String) {
    parts(&kirosu(hub, &[&RUN_TOP, more].concat()))
}

/// The run of a step.
fn below(client: &mut Client, run: i64, path: &str) -> i64 {
    let run = shown(client, run);
    step(&run, path)["task_id"].as_i64().unwrap()
}

fn keys(items: &[Value]) -> Vec<&str> {
    items
        .iter()
        .map(|item| item["key"].as_str().unwrap())
        .collect()
}

#[test]
fn plans_below_read_the_files_of_the_client_that_starts_the_run() {
    let (hub, mut client) = prepared();
    let (code, out, err) = started(&hub, &["--dry-run", "--json"]);
    assert_eq!(code, 0, "{err}");
    let dry: Value = serde_json::from_str(&out).unwrap();
    let counted: Vec<(&str, &Value, &Value)> = dry["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["step"].as_str().unwrap(), &it["items"], &it["passes"]))
        .collect();
    let (none, two) = (&Value::Null, &json!(2));
    let expected = [
        ("one", none, none),
        ("one/read", two, none),
        ("one/all", two, none),
        ("gone", none, none),
        ("often", none, none),
        ("two", none, two),
        ("two/sub", none, two),
        ("two/sub/read", two, two),
        ("two/sub/all", two, two),
    ];
    assert_eq!(counted, expected, "{dry:#}");
    let prompt = dry["steps"][1]["prompts"][0]["prompt"].as_str().unwrap();
    assert!(prompt.contains("echo was a"), "{prompt}");

    let id = dry["id"].as_str().unwrap();
    let (code, run, err) = parts(&kirosu(&hub, &["run-pipeline", "--id", id]));
    assert_eq!(code, 0, "{err}");
    let run: i64 = run.trim().parse().unwrap();
    // The files of the second plan are removed before it begins.
    let failed = ended(&mut client, run);
    assert_eq!(failed["state"], "failed", "{failed:#}");
    let first = below(&mut client, run, "one");
    assert_eq!(
        keys(&items(&mut client, first, "read")),
        ["texts/one/a.md", "texts/one/b.md"]
    );
    assert_eq!(shown(&mut client, first)["result"], "was a\nwas b");
    assert!(!hub.setup.directory.path().join("texts/two").exists());

    // A repetition takes the items that were sent at the start, also after a crash of the hub.
    drop(client);
    let hub = hub.kill().start();
    let mut client = hub.client();
    write(&hub, "fixed", "");
    let (code, _, err) = parts(&kirosu(&hub, &["run", "retry", &run.to_string()]));
    assert_eq!(code, 0, "{err}");
    let done = ended(&mut client, run);
    assert_eq!(done["state"], "done", "{done:#}");
    for pass in 1..=2 {
        let middle = below(&mut client, run, &format!("often[{pass}].two"));
        let second = below(&mut client, middle, "sub");
        let read = items(&mut client, second, "read");
        assert_eq!(keys(&read), ["texts/two/c.md", "texts/two/d.md"]);
        assert_eq!(shown(&mut client, second)["result"], "was c\nwas bad");
    }

    // Another plan may change what is done with the items, not what they are.
    write(&hub, "plans/parts/each.yaml", &EACH.replace("was", "is"));
    let resume = |id: i64| {
        let id = id.to_string();
        let words = ["run", "resume", &id, "--plan", "plans/top.yaml", "--yes"];
        parts(&kirosu(&hub, &words))
    };
    write(&hub, "plans/top.yaml", &TOP.replace("rm -r", "echo"));
    let (code, out, err) = resume(run);
    assert_eq!(code, 0, "{out}{err}");
    let done = ended(&mut client, run);
    assert_eq!(done["state"], "done", "{done:#}");
    let first = below(&mut client, run, "one");
    assert_eq!(shown(&mut client, first)["result"], "is a\nis b");
    write(
        &hub,
        "plans/parts/each.yaml",
        &EACH.replace("*.md", "*.txt"),
    );
    let (code, _, err) = resume(run);
    assert_eq!(code, 1, "{err}");
    assert!(
        err.contains("the step one/read reads other items than before"),
        "{err}"
    );
}

#[test]
fn items_that_cannot_be_read_before_the_run_are_refused_with_the_way_out() {
    let (hub, mut client) = prepared();
    let check = |hub: &Hub| parts(&kirosu(hub, &["plan", "check", "plans/top.yaml"]));
    assert_eq!(check(&hub).0, 0);

    write(&hub, "texts/one/c.md", "c");
    let (code, _, err) = started(&hub, &[]);
    assert_eq!(code, 1);
    assert!(
        err.contains("the step one/read has more than 2 items, which is limits.items"),
        "{err}"
    );
    assert_eq!(started(&hub, &["--dry-run"]).0, 1);

    let late = TOP.replace("of: two,", "of: '{{ steps.one.result }}',");
    write(&hub, "plans/top.yaml", &late);
    let says = "the items of the step two/sub/read are read before the run begins, but depend on a value that exists only during the \
                run: the input dir, which the step two/sub sets to texts/{{ inputs.of }}; give it a value that is known before, or give \
                the plan the items as an input (`over: inputs.NAME`)";
    let (code, _, err) = started(&hub, &[]);
    assert_eq!(code, 1);
    assert!(err.contains(says), "{err}");
    let (code, out, _) = check(&hub);
    assert_eq!(code, 1);
    assert!(out.contains(says), "{out}");

    let stdin = EACH.replace("files: '{{ inputs.dir }}/*.md'", "stdin: lines");
    write(&hub, "plans/top.yaml", TOP);
    write(&hub, "plans/parts/each.yaml", &stdin);
    let (code, _, err) = parts(&fed(&hub, &RUN_TOP, "x\n"));
    assert_eq!(code, 1);
    assert!(
        err.contains("the steps one/read and two/sub/read both read standard input"),
        "{err}"
    );
    write(&hub, "plans/parts/each.yaml", EACH);
    let words = [
        "schedule", "add", "--name", "often", "--every", "1h", "--plan",
    ];
    let (code, _, err) = parts(&kirosu(&hub, &[&words[..], &["plans/top.yaml"]].concat()));
    assert_eq!(code, 1, "{err}");
    assert!(
        err.contains("the step one/read reads its items on this machine"),
        "{err}"
    );
    let listed = client.call("list", json!({"type": "plan"}));
    assert_eq!(listed["tasks"], json!([]), "nothing was started");
}

#[test]
fn a_planner_learns_that_it_cannot_name_a_plan_that_reads_files() {
    let agent = r#"prompt=$(cat)
case "$prompt" in
*"has these faults"*"step use: the step read of the plan each reads files of a client"*)
  printf 'pipeline: [{ id: a, pool: echo, prompt: understood }]\n' ;;
*"Make a plan"*)
  printf 'pipeline: [{ id: use, pipeline: each, inputs: { dir: texts } }]\n' ;;
*) printf '%s' "$prompt" ;;
esac
"#;
    let hub = with_script(hub(1), agent).start();
    let mut client = hub.client();
    let plan = "limits: { tokens: 1000 }\npipeline: [{ id: goal, plan: { goal: work, ask: false, pool: script } }]";
    let run = start(&mut client, plan, json!({"plans": {"each": EACH}}));
    let run = ended(&mut client, run);
    assert_eq!(
        (&run["state"], &run["result"]),
        (&json!("done"), &json!("understood")),
        "{run:#}"
    );
}
