//! The program of a `command` provider: the one that the probe finds is the one that runs, whatever folder the run has.

use crate::common::{Hub, Setup};
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn program(folder: &Path, says: &str) {
    fs::create_dir_all(folder).unwrap();
    let file = folder.join("agent");
    fs::write(&file, format!("#!/bin/sh\necho {says}; echo \"$@\"\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A hub with one pool that runs in `work`, below its directory, and has this command.
fn hub(command: &str) -> Hub {
    let setup = Setup::new().up();
    let home = setup.directory.path();
    program(&home.join("bin"), "from-home");
    program(&home.join("work/bin"), "from-work");
    let file = home.join("kirosu.toml");
    let text = format!(
        "[[pool]]\nname = \"p\"\nprovider = \"a\"\nworkdir = \"work\"\n[providers.a]\nkind = \"command\"\ncommand = {command}\n"
    );
    fs::write(&file, text).unwrap();
    setup.start()
}

#[test]
fn a_program_is_a_path_from_home_from_here_or_from_the_run() {
    for (command, says) in [
        (r#"["~/bin/agent"]"#, "from-home"),
        (r#"["bin/agent"]"#, "from-home"),
        (r#"["./bin/agent"]"#, "from-home"),
        (r#"["{workdir}/bin/agent"]"#, "from-work"),
        (
            r#"["~/bin/agent", "~/x $HOME {{prompt}} ${HOME}"]"#,
            "from-home\n~/x $HOME {prompt} ${HOME}",
        ),
    ] {
        let hub = hub(command);
        let mut client = hub.client();
        let id = client.enqueue("hi");
        client.call("wait", json!({"task_ids": [id], "timeout_seconds": 20}));
        let task = client.task(id);
        assert_eq!(
            task["result"].as_str().unwrap_or_default().trim(),
            says,
            "{command} {task}"
        );
        assert_eq!(task["attempts"], 1, "{command}");
    }
}

#[test]
fn what_nothing_fills_in_is_refused_with_its_place() {
    let setup = Setup::new().up();
    let file = setup.directory.path().join("kirosu.toml");
    for (command, part) in [
        (
            r#"["agent", "{prompt}"]"#,
            "the program reads the prompt on its standard input",
        ),
        (r#"["agent", "--model={modle}"]"#, "did you mean model?"),
        (r#"["agent", "x{model_args}"]"#, "an argument of its own"),
        (
            r#"["$HOME/bin/agent"]"#,
            "a variable such as $HOME is not expanded",
        ),
        (r#"["~root/agent"]"#, "only ~/ is expanded"),
    ] {
        let text = format!("[providers.a]\nkind = \"command\"\ncommand = {command}\n");
        fs::write(&file, text).unwrap();
        let (status, _, said) = setup.run();
        assert_eq!(status.code(), Some(1));
        assert!(
            said.contains("providers.a.command (") && said.contains("kirosu.toml:3)"),
            "{said}"
        );
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn a_nul_in_a_models_name_is_named_as_the_cause() {
    let hub = hub(r#"["bin/agent", "{model}"]"#);
    let mut client = hub.client();
    let id = client.enqueue_with(json!({"prompt": "x", "model": "a\0b"}));
    client.call("wait", json!({"task_ids": [id], "timeout_seconds": 20}));
    let task = client.task(id);
    let error = task["error"].as_str().unwrap();
    assert!(error.contains("NUL") && error.contains("model"), "{task}");
    assert!(!error.contains("memory"), "{task}");
}
