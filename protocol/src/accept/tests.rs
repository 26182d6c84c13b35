use super::*;
use serde_json::json;
use std::time::Duration;

fn read(accept: Value) -> Result<Option<Accept>, Error> {
    let text = json!({ "accept": accept }).to_string();
    Accept::read(&Params::parse(&text).unwrap())
}

fn refusal(accept: Value) -> String {
    read(accept.clone()).expect_err(&accept.to_string()).message
}

#[test]
fn a_clause_comes_back_as_it_was_written() {
    let given = json!({
        "file": ["out/a.md", "./b"], "diff": true, "regex": "(?i)done\\.$", "command": ["make", "test"],
        "schema": {"type": "object", "required": ["a"]}, "timeout_seconds": 1.5,
    });
    let accept = read(given.clone()).unwrap().unwrap();
    assert_eq!(accept.timeout_ms, Some(1500));
    assert_eq!(serde_json::to_value(&accept).unwrap(), given);
    assert_eq!(serde_json::from_value::<Accept>(given).unwrap(), accept);
    let one = read(json!({"file": "a"})).unwrap().unwrap();
    assert_eq!(one.file, ["a"]);
    assert_eq!(read(json!(null)), Ok(None));
}

#[test]
fn every_fault_of_a_clause_is_in_one_error() {
    let text = refusal(json!({
        "file": "../etc", "regex": "(", "schema": {"type": 7}, "command": "make test", "exit": 0,
    }));
    for part in [
        "`accept.file` must be a path inside",
        "`accept.regex` cannot be used: unclosed group",
        "`accept.schema` cannot be used: 7",
        "`accept.command` must be a list of program and arguments",
        "`accept.exit` is not a clause",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn clauses_that_cannot_be_checked_are_refused() {
    for (accept, part) in [
        (json!({}), "one of `file`, `diff`"),
        (json!({"diff": false}), "one of `file`, `diff`"),
        (json!("cargo test"), "must be an object"),
        (json!({"file": "/etc/passwd"}), "inside the workspace"),
        (json!({"file": ["a", "b/../../c"]}), "inside the workspace"),
        (json!({"file": "."}), "inside the workspace"),
        (json!({"file": ""}), "inside the workspace"),
        (json!({"command": []}), "program and arguments"),
        (json!({"command": [""]}), "program and arguments"),
        (json!({"command": ["a\u{0}"]}), "program and arguments"),
        (
            json!({"regex": "\\w{1000}{1000}"}),
            "too large once compiled",
        ),
        (json!({"regex": "(?=look)"}), "look-around"),
        (
            json!({"diff": true, "timeout_seconds": 3}),
            "is for `accept.command`",
        ),
        (json!({"schema": true}), "a JSON schema"),
        (
            json!({"schema": {"$ref": "http://127.0.0.1:9/x.json"}}),
            "must hold all that it refers to",
        ),
        (
            json!({"schema": {"$ref": "file:///etc/passwd"}}),
            "must hold all that it refers to",
        ),
        (
            json!({"schema": {"pattern": "(?=a)"}}),
            "is not a \"regex\"",
        ),
    ] {
        let text = refusal(accept.clone());
        assert!(text.contains(part), "{accept}: {part} is not in {text}");
    }
    let large = json!({"schema": {"description": "x".repeat(SCHEMA_BYTES)}});
    assert!(refusal(large).contains("the hub takes 32768"));
}

#[test]
fn an_answer_is_checked_against_regex_and_schema() {
    assert_eq!(answer_matches("^done", "all\ndone"), Ok(false));
    assert_eq!(answer_matches("(?m)^done", "all\ndone"), Ok(true));
    let schema =
        json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}});
    assert_eq!(schema_faults(&schema, " {\"n\": 1}\n"), [""; 0]);
    assert_eq!(
        schema_faults(&schema, "{\"n\": \"1\"}"),
        ["at /n: \"1\" is not of type \"integer\""]
    );
    assert!(schema_faults(&schema, "```json\n{}\n```")[0].contains("the answer is not JSON"));
    // A schema that refers to itself ends, and a fault does not quote a long answer whole.
    assert_eq!(schema_faults(&json!({"$ref": "#"}), "1"), [""; 0]);
    let long = json!("x".repeat(10_000)).to_string();
    assert!(schema_faults(&schema, &long)[0].len() < 400);
}

#[test]
fn a_clause_that_the_tasks_of_a_batch_share_is_compiled_once() {
    let begin = std::time::Instant::now();
    compiled("\\w{8}").unwrap();
    let one = begin.elapsed();
    let begin = std::time::Instant::now();
    for _ in 0..200 {
        read(json!({"regex": "\\w{8}"})).unwrap();
    }
    let all = begin.elapsed();
    assert!(all < one * 50, "{all:?} for 200, one takes {one:?}");
    // Only the newest are remembered.
    for n in 0..100 {
        read(json!({"regex": format!("{n}$")})).unwrap();
    }
    assert_eq!(KNOWN_REGEXES.len(), compiling::KNOWN);
    assert!(refusal(json!({"regex": "("})).contains("unclosed group"));
    assert!(refusal(json!({"regex": "("})).contains("unclosed group"));
}

#[test]
fn a_reader_that_must_not_stop_leaves_the_compiling_to_another() {
    let clauses = [
        json!({"regex": "only[0-9]here"}),
        json!({"schema": {"type": "object", "title": "only here", "properties": {"a": {"pattern": "^x"}}}}),
    ];
    for accept in clauses {
        assert!(!read_known(|| read(accept.clone())).1);
        let unchecked = read_unchecked(|| read(accept.clone()));
        assert!(unchecked.is_ok());
        let late = read_within(Duration::ZERO, || read(accept.clone())).unwrap_err();
        assert!(late.message.contains("to compile"), "{late}");
        // A text that one thread compiled is known to all threads, until other tests compile many others.
        let known = (0..100).find_map(|_| {
            let there = accept.clone();
            let elsewhere = std::thread::spawn(move || read_within(COMPILE_LIMIT, || read(there)));
            assert!(elsewhere.join().unwrap().is_ok());
            let (read, is_known) = read_known(|| read(accept.clone()));
            is_known.then_some(read)
        });
        assert!(known.unwrap().is_ok());
    }
    assert!(read_known(|| read(json!({"file": "a"}))).1);
}
