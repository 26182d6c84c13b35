//! Answers of programs, and reports of their failures.

use kirosu_providers::{
    BuildError, Cancel, EventSink, FailureKind, ProviderOptions, RunEvent, SessionOptions, build,
    open_session,
};

use crate::support::{BOUND, Fixture};

#[tokio::test]
async fn the_prompt_goes_in_on_stdin_and_the_answer_comes_out() {
    let fixture = Fixture::new();
    let provider = fixture.shell("cat; echo \" $KIROSU_TASK_ID/$KIROSU_FENCE $EXTRA $PWD\"");
    let mut job = fixture.job("--help me\nplease");
    (job.task_id, job.fence) = (7, 3);
    job.env = vec![("EXTRA".to_owned(), "more".to_owned())];
    job.system_prompt = Some("Be brief.".to_owned());
    let finished = fixture.run(&*provider, job).await.unwrap();
    let workdir = fixture.workdir.path().display();
    let expected = format!("Be brief.\n\n--help me\nplease 7/3 more {workdir}");
    assert_eq!(finished.text, expected);
    assert!(!finished.truncated);
    fixture.assert_empty();
}

#[tokio::test]
async fn events_come_in_order_with_stderr_apart() {
    let fixture = Fixture::new();
    let provider = fixture.shell("echo log >&2; printf one; printf two");
    let (sink, mut stream) = EventSink::channel(64);
    let finished = provider
        .run(fixture.job(""), sink, Cancel::never())
        .await
        .unwrap();
    assert_eq!(finished.text, "onetwo");
    let first = stream.recv().await;
    assert!(matches!(
        first,
        Some(RunEvent::Started { pid: Some(_), .. })
    ));
    let (mut out, mut err) = (String::new(), String::new());
    while let Some(event) = stream.recv().await {
        match event {
            RunEvent::Text { text } => out.push_str(&text),
            RunEvent::Stderr { text } => err.push_str(&text),
            other => panic!("unexpected {other:?}"),
        }
    }
    assert_eq!((out.as_str(), err.as_str()), ("onetwo", "log\n"));
}

#[tokio::test]
async fn a_failure_reports_code_stderr_and_output() {
    let fixture = Fixture::new();
    let provider = fixture.shell("echo half; echo 'no credit left' >&2; exit 3");
    let failure = fixture.run(&*provider, fixture.job("")).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::ProviderError);
    assert!(failure.message.contains("exited with code 3"), "{failure}");
    assert!(failure.message.contains("no credit left"), "{failure}");
    assert_eq!(failure.output, "half");

    let failure = fixture
        .run(&*fixture.shell("kill -SEGV $$"), fixture.job(""))
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Crashed);
    assert!(failure.message.contains("signal 11"), "{failure}");
    fixture.assert_empty();
}

#[tokio::test]
async fn a_missing_program_is_missing_and_a_missing_workdir_is_named() {
    let fixture = Fixture::new();
    let provider = fixture.command(&["kirosu-no-such-program"]);
    let failure = fixture.run(&*provider, fixture.job("x")).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Missing);
    assert!(failure.message.contains("kirosu-no-such-program"));
    let probe = provider.probe().await;
    assert!(!probe.found && probe.problem.is_some());

    let mut job = fixture.job("x");
    job.workdir = fixture.workdir.path().join("gone");
    let failure = fixture.run(&*fixture.shell("true"), job).await.unwrap_err();
    assert!(failure.message.contains("gone"), "{failure}");
}

#[tokio::test]
async fn python_prints_its_result_and_shows_its_traceback() {
    let fixture = Fixture::new();
    let python = fixture.python();
    assert!(python.dangerous());
    let version = python.probe().await.version.unwrap();
    assert!(version.starts_with("Python 3"), "{version}");

    let code = "import os\nprint('ü', 6 * 7, os.environ['KIROSU_TASK_ID'])";
    let finished = fixture.run(&*python, fixture.job(code)).await.unwrap();
    assert_eq!(finished.text, "ü 42 0");

    let code = "print('before')\ndef f():\n    raise ValueError('boom')\nf()";
    let failure = fixture.run(&*python, fixture.job(code)).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::ProviderError);
    assert!(failure.message.contains("Traceback"), "{failure}");
    assert!(failure.message.contains("ValueError: boom"), "{failure}");
    assert_eq!(failure.output, "before");
    fixture.assert_empty();
}

#[tokio::test]
async fn junk_on_stdout_becomes_text_and_unread_prompts_do_no_harm() {
    let fixture = Fixture::new();
    let provider = fixture.command(&["head", "-c", "300000", "/dev/urandom"]);
    let finished = fixture.run(&*provider, fixture.job("")).await.unwrap();
    assert!(finished.text.contains(char::REPLACEMENT_CHARACTER));

    let prompt = "x".repeat(1024 * 1024);
    for (script, answer) in [("echo ok", "ok"), ("wc -c", "1048576")] {
        let provider = fixture.shell(script);
        let finished = fixture.run(&*provider, fixture.job(prompt.clone())).await;
        assert_eq!(finished.unwrap().text.trim(), answer);
    }
    fixture.assert_empty();
}

#[tokio::test]
async fn one_session_runs_jobs_one_after_the_other() {
    let fixture = Fixture::new();
    let options = SessionOptions {
        workspace: fixture.workdir.path().to_owned(),
        model: None,
    };
    let mut session = open_session(fixture.shell("cat"), options).await.unwrap();
    for word in ["one", "two"] {
        let run = session.run(fixture.job(word), EventSink::discard(), Cancel::never());
        let finished = tokio::time::timeout(BOUND, run).await.unwrap().unwrap();
        assert_eq!(finished.text, word);
    }
    session.close().await;
}

#[test]
fn an_unknown_kind_is_refused_with_the_known_ones() {
    let fixture = Fixture::new();
    let mut options = ProviderOptions {
        name: "main".to_owned(),
        kind: "telepathy".to_owned(),
        ..ProviderOptions::default()
    };
    let error = build(&options, &fixture.containment).err().unwrap();
    assert!(error.to_string().contains("echo, command, "));
    options.kind = "command".to_owned();
    let error = build(&options, &fixture.containment).err().unwrap();
    assert!(matches!(error, BuildError::NoProgram { .. }));
}
