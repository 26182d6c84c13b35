use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn text(action: RuleAction) -> RuleText {
    RuleText {
        name: "r".into(),
        action,
        tool: None,
        kind: None,
        pool: None,
        args: None,
    }
}

fn command(action: RuleAction, pattern: &str) -> RuleText {
    RuleText {
        tool: Some("shell".into()),
        args: Some(ArgsText::Each([("/command".into(), pattern.into())].into())),
        ..text(action)
    }
}

fn policy(rules: impl IntoIterator<Item = RuleText>) -> PermissionPolicy {
    let rules = rules
        .into_iter()
        .map(|rule| PermissionRule::new(rule).unwrap());
    PermissionPolicy::new(None, rules)
}

fn call(tool: &str, kind: Option<&str>, input: Option<Value>) -> PermissionRequest {
    PermissionRequest {
        options: Vec::new(),
        is_unallowable: false,
        call: "1".into(),
        tool: tool.into(),
        kind: kind.map(str::to_owned),
        title: String::new(),
        input,
    }
}

fn shell(command: &str) -> PermissionRequest {
    call(
        "shell",
        Some("execute"),
        Some(json!({ "command": command, "cwd": "/x" })),
    )
}

#[test]
fn the_first_rule_that_fits_decides_and_a_person_where_none_does() {
    let rules = policy([
        command(RuleAction::Deny, ".*sudo.*"),
        command(RuleAction::Allow, "git (status|log)"),
        RuleText {
            kind: Some("read".into()),
            name: "reads".into(),
            ..text(RuleAction::Allow)
        },
        RuleText {
            pool: Some("play*".into()),
            name: "play".into(),
            ..text(RuleAction::Allow)
        },
        RuleText {
            tool: Some("mcp_*".into()),
            ..text(RuleAction::Ask)
        },
    ]);
    assert_eq!(rules.rule("p", &shell("git status")), Ruling::Allow("r"));
    assert_eq!(
        rules.rule("p", &shell("sudo git status")),
        Ruling::Deny("r")
    );
    assert_eq!(rules.rule("p", &shell("echo a\nsudo b")), Ruling::Deny("r"));
    assert_eq!(rules.rule("p", &shell("git push")), Ruling::Ask);
    assert_eq!(
        rules.rule("playground", &shell("git push")),
        Ruling::Allow("play")
    );
    assert_eq!(
        rules.rule("p", &call("cat", Some("read"), None)),
        Ruling::Allow("reads")
    );
    assert_eq!(rules.rule("p", &call("cat", None, None)), Ruling::Ask);
    assert_eq!(
        PermissionPolicy::default().rule("p", &shell("ls")),
        Ruling::Ask
    );
}

#[test]
fn a_call_that_no_rule_can_judge_goes_to_a_person() {
    let allow_all = || text(RuleAction::Allow);
    let denies = policy([command(RuleAction::Deny, "rm.*"), allow_all()]);
    assert_eq!(denies.rule("p", &call("shell", None, None)), Ruling::Ask);
    assert_eq!(
        denies.rule("p", &call("shell", None, Some(json!({"cmd": "rm x"})))),
        Ruling::Ask
    );
    assert_eq!(
        denies.rule("p", &call("edit", None, None)),
        Ruling::Allow("r")
    );
    // A rule that allows by arguments does not decide a call without them; the next rule must not decide instead.
    let allows = policy([command(RuleAction::Allow, "ls"), allow_all()]);
    assert_eq!(allows.rule("p", &call("shell", None, None)), Ruling::Ask);
    let kinds = policy([
        RuleText {
            kind: Some("delete".into()),
            ..text(RuleAction::Deny)
        },
        allow_all(),
    ]);
    assert_eq!(kinds.rule("p", &call("x", None, None)), Ruling::Ask);
}

#[test]
fn all_arguments_may_be_matched_as_sorted_json() {
    let args = Some(ArgsText::All(r#"\{"a":\d+,"b":"[a-z]*"\}"#.into()));
    let rules = policy([RuleText {
        args,
        ..text(RuleAction::Allow)
    }]);
    let at = |input| rules.rule("p", &call("t", None, Some(input)));
    assert_eq!(at(json!({"b": "x", "a": 12})), Ruling::Allow("r"));
    assert_eq!(at(json!({"b": "x", "a": "12"})), Ruling::Ask);
    assert_eq!(at(json!("{\"a\":1,\"b\":\"\"}")), Ruling::Ask);
}

#[test]
fn a_pattern_may_spell_what_steers_a_shell() {
    let rules = policy([command(RuleAction::Allow, r"git log \| head( -\d+)?")]);
    assert_eq!(
        rules.rule("p", &shell("git log | head -3")),
        Ruling::Allow("r")
    );
    assert_eq!(rules.rule("p", &shell("git log | sh")), Ruling::Ask);
    let rules = policy([command(RuleAction::Allow, r"cat .*[;].*")]);
    assert_eq!(rules.rule("p", &shell("cat a; cat b")), Ruling::Allow("r"));
    assert_eq!(rules.rule("p", &shell("cat a; cat b | sh")), Ruling::Ask);
    // An escaped backslash before an alternative does not escape the bar.
    let rules = policy([command(RuleAction::Allow, r"a\\|b.*")]);
    assert_eq!(rules.rule("p", &shell("b | sh")), Ruling::Ask);
}

#[test]
fn bad_patterns_are_reported_with_their_key() {
    let why = |rule| PermissionRule::new(rule).unwrap_err();
    let message = why(command(RuleAction::Allow, "git ("));
    assert!(
        message.starts_with("args.\"/command\": is no regular expression: "),
        "{message}"
    );
    // Valid only by the group around it.
    why(command(RuleAction::Allow, "a)|(?:.*"));
    let args = Some(ArgsText::Each([("command".into(), "x".into())].into()));
    assert!(
        why(RuleText {
            args,
            ..text(RuleAction::Deny)
        })
        .contains("JSON pointer")
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        "[ -~\n]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,8}", inner, 0..4)
                .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

fn any_rule() -> impl Strategy<Value = RuleText> {
    let action = prop_oneof![
        Just(RuleAction::Allow),
        Just(RuleAction::Deny),
        Just(RuleAction::Ask)
    ];
    let glob = || prop::option::of(prop_oneof![Just("*"), Just("s*"), Just("shell"), Just("?")]);
    let args = prop::option::of(prop_oneof![
        Just(ArgsText::All(".*".into())),
        Just(ArgsText::Each(
            [("/command".into(), "git .*".into())].into()
        )),
        Just(ArgsText::Each(
            [("/command".into(), "(?s).*".into())].into()
        )),
    ]);
    (action, glob(), glob(), args).prop_map(|(action, tool, kind, args)| RuleText {
        tool: tool.map(str::to_owned),
        kind: kind.map(str::to_owned),
        args,
        ..text(action)
    })
}

proptest! {
    /// A second command after an allowed one is not allowed with it.
    #[test]
    fn no_second_command_slips_through(
        tail in "[ -~]{0,20}",
        steer in prop::sample::select(vec![";", "|", "&", "$(", "`", "\n", "\r", ">", "<(", "&&", "||"]),
    ) {
        for pattern in ["git status.*", "git .*", ".*", "(?s).*", r"git\s+status\s*[^a]*", "(?s:.)*"] {
            let rules = policy([command(RuleAction::Allow, pattern)]);
            let line = format!("git status {steer}{tail}");
            prop_assert_eq!(rules.rule("p", &shell(&line)), Ruling::Ask, "{}", pattern);
        }
    }

    /// Rules after the deciding one change nothing, and a call that no rule can judge is never allowed.
    #[test]
    fn rules_are_read_in_order(
        rules in prop::collection::vec(any_rule(), 0..5),
        more in prop::collection::vec(any_rule(), 0..3),
        tool in prop::sample::select(vec!["shell", "s", "edit"]),
        kind in prop::option::of(prop::sample::select(vec!["shell", "s"])),
        input in prop::option::of(any_json()),
    ) {
        let request = call(tool, kind, input);
        let short = policy(rules.clone());
        let long = policy(rules.iter().cloned().chain(more));
        let decided = short.rules.iter().any(|rule| rule.judge("p", &request) != RuleMatch::No);
        if decided {
            prop_assert_eq!(short.rule("p", &request), long.rule("p", &request));
        } else {
            prop_assert_eq!(short.rule("p", &request), Ruling::Ask);
        }
        if let Ruling::Allow(_) = short.rule("p", &request) {
            let first = short.rules.iter().find(|rule| rule.judge("p", &request) != RuleMatch::No).unwrap();
            prop_assert_eq!(first.action(), RuleAction::Allow);
            prop_assert_eq!(first.judge("p", &request), RuleMatch::Yes);
        }
    }
}

#[test]
fn a_glob_matches_the_whole_name() {
    for (name, text, expected) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("a*", "ab", true),
        ("*b", "ab", true),
        ("a*b*c", "a-b-c", true),
        ("a*b*c", "a-c", false),
        ("ab*ba", "aba", false),
        ("*", "", true),
    ] {
        assert_eq!(
            Glob::new(name).unwrap().matches(text),
            expected,
            "{name} {text}"
        );
    }
}
