//! `kirosu doctor` with the built binary: a bare home, stand-ins of agent programs in PATH, faults of every area.

use crate::common::{Setup, own_settings};
use rustix::process::Signal;
use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A home with nothing in it but a folder of programs.
struct Bare {
    home: tempfile::TempDir,
}

impl Bare {
    fn new() -> Bare {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("bin")).unwrap();
        Bare { home }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.home.path().join(below)
    }

    /// A fake agent program that only prints its version.
    fn program(&self, name: &str, version: &str) -> &Bare {
        let file = self.path("bin").join(name);
        // Any call other than for its version could cost money.
        let script = format!(
            "#!/bin/sh\n[ \"$*\" = --version ] || echo \"$@\" >> {}\necho '{version}'\n",
            self.path("paid").display()
        );
        fs::write(&file, script).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o755)).unwrap();
        self
    }

    fn config(&self, text: &str) -> &Bare {
        fs::write(self.path("kirosu.toml"), text).unwrap();
        self
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kirosu"));
        command
            .arg("doctor")
            .args(args)
            .env_clear()
            .env("HOME", self.home.path())
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", self.path("bin").display()),
            )
            .current_dir(self.home.path());
        own_settings(&mut command, self.home.path());
        command
    }

    fn look(&self, args: &[&str]) -> Seen {
        Seen::of(self.command(args).arg("--json").output().unwrap())
    }
}

struct Seen {
    code: Option<i32>,
    report: Value,
    text: String,
}

impl Seen {
    fn of(output: Output) -> Seen {
        let text = String::from_utf8(output.stdout).unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        let report = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{error}"));
        Seen {
            code: output.status.code(),
            report,
            text,
        }
    }

    /// The one finding of this name.
    fn finding(&self, area: &str, name: &str) -> &Value {
        let all = self.report["findings"].as_array().unwrap();
        let of = |it: &&Value| it["area"] == area && it["name"].as_str().unwrap().contains(name);
        let mut found = all.iter().filter(of);
        let first = found.next();
        first.unwrap_or_else(|| panic!("no {area}: {name} in {}", self.text))
    }

    fn level(&self, area: &str, name: &str) -> &str {
        self.finding(area, name)["level"].as_str().unwrap()
    }

    fn says(&self, area: &str, name: &str, part: &str) {
        let finding = self.finding(area, name).to_string();
        assert!(finding.contains(part), "{part} is not in {finding}");
    }
}

const USED: &str = "Providers in use";

#[test]
fn a_bare_home_has_no_problems_and_hears_how_to_go_on() {
    let bare = Bare::new();
    bare.program("codex", "codex-cli 0.169.0");
    // Any free port: another hub may run on this machine.
    let seen = bare.look(&["--set", "hub.port=0"]);
    assert_eq!(seen.code, Some(0), "{}", seen.text);
    assert_eq!(seen.report["ok"], true);
    seen.says("Settings", "file", "built in");
    seen.says("Settings", "pools", "add a [[pool]]");
    seen.says("Other providers", "codex", "codex-cli 0.169.0");
    seen.says(
        "Other providers",
        "claude",
        "npm install -g @anthropic-ai/claude-code",
    );
    seen.says("Other providers", "openai", "not checked");
    seen.says("Store", "file", "does not exist yet");
    assert_eq!(seen.level("Files", "data folder"), "note");
    assert!(!bare.path(".local").exists(), "a look changes nothing");
    assert!(!bare.path("paid").exists());

    let fixed = bare.look(&["--fix", "--set", "hub.port=0"]);
    seen.says("Files", "data folder", "--fix");
    fixed.says("Files", "data folder", "created ");
    let mode = fs::metadata(bare.path(".local/share/kirosu")).unwrap();
    assert_eq!(mode.permissions().mode() & 0o7777, 0o700);

    let told = bare.command(&["--set", "hub.port=0"]).output().unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains("no problems, "), "{told}");
    assert!(!told.contains('\u{1b}'), "colours in a pipe: {told}");
}

#[test]
fn providers_of_pools_come_first_with_their_login_and_call() {
    let bare = Bare::new();
    bare.program("codex", "codex-cli 0.169.0")
        .program("claude", "2.1.330 (Claude Code)");
    bare.config(
        r#"
        [hub]
        port = 0
        [providers.codex]
        extra_args = ["-c", "model_providers.x.api_key=\"hush-hush\"", "--token", "quiet!"]
        env = { SOME = "hidden-value" }
        [[pool]]
        name = "coders"
        provider = "codex"
        model = "m-1"
        trust_all_tools = true
        [[pool]]
        name = "thinkers"
        provider = "claude"
        [[pool]]
        name = "gone"
        provider = "gemini"
        "#,
    );
    let seen = bare.look(&[]);
    assert_eq!(seen.code, Some(1), "{}", seen.text);
    let first: Vec<&Value> = seen.report["findings"].as_array().unwrap().iter().collect();
    let areas: Vec<&str> = first
        .iter()
        .map(|it| it["area"].as_str().unwrap())
        .collect();
    let used = areas.iter().position(|it| *it == USED).unwrap();
    let others = areas
        .iter()
        .position(|it| *it == "Other providers")
        .unwrap();
    assert!(used < others);
    seen.says(USED, "codex", "no sign of a login");
    seen.says(USED, "codex", "codex exec --json");
    seen.says(USED, "codex", "--dangerously-bypass-approvals-and-sandbox");
    seen.says(USED, "codex", "-m m-1");
    seen.says(USED, "codex", "api_key=***");
    for secret in ["hush-hush", "quiet!", "hidden-value"] {
        assert!(!seen.text.contains(secret), "{secret}");
    }
    assert_eq!(seen.level(USED, "gemini"), "problem");
    seen.says(USED, "gemini", "npm install -g @google/gemini-cli");
    assert!(
        !bare.path("paid").exists(),
        "a program was asked for more than its version"
    );

    fs::create_dir(bare.path(".codex")).unwrap();
    fs::write(bare.path(".codex/auth.json"), "{}").unwrap();
    let seen = bare.look(&["--provider", "codex"]);
    assert_eq!(seen.code, Some(0), "{}", seen.text);
    assert_eq!(seen.report["findings"].as_array().unwrap().len(), 1);
    seen.says(USED, "codex", "~/.codex/auth.json exists");
    let keyed = bare
        .command(&["--provider", "claude", "--json"])
        .env("ANTHROPIC_API_KEY", "sk-ant-1")
        .output();
    let keyed = Seen::of(keyed.unwrap());
    keyed.says(USED, "claude", "ANTHROPIC_API_KEY is set");
    assert!(!keyed.text.contains("sk-ant-1"));
    assert_eq!(bare.look(&["--provider", "gemini"]).code, Some(1));

    let unknown = bare.command(&["--provider", "nobody"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
    let said = String::from_utf8(unknown.stderr).unwrap();
    assert!(
        said.contains("there is no provider nobody; there are"),
        "{said}"
    );
}

#[test]
fn settings_with_faults_are_told_one_by_one_and_the_machine_is_looked_at_all_the_same() {
    let bare = Bare::new();
    bare.config("[hub]\nprot = 1\n[[pool]]\nname = \"p\"\nprovider = \"nobody\"\n");
    let seen = bare.look(&[]);
    assert_eq!(seen.code, Some(1));
    seen.says("Settings", "hub.prot", "did you mean");
    seen.says("Settings", "hub.prot", "kirosu.toml");
    assert_eq!(seen.level("Settings", "rest"), "note");
    seen.says("Machine", "clock", "plausible");
    seen.says("Other providers", "codex", "not installed");
    bare.config("this is no TOML");
    assert_eq!(bare.look(&[]).code, Some(1));
}

/// A setup of a hub that its doctor finds: the port is known only when it runs.
fn doctor_of(setup: &Setup, port: u16, args: &[&str]) -> Seen {
    let mut setup = setup.clone();
    setup.verb = "doctor";
    setup.port = port;
    let mut command = setup.command();
    let line: Vec<String> = command
        .get_args()
        .map(|it| it.to_string_lossy().into_owned())
        .collect();
    // The hub's own flag for its file is a setting here.
    let line = line.join("\n").replace("--db\n", "--set\nstore.path=");
    command = Command::new(env!("CARGO_BIN_EXE_kirosu"));
    command
        .args(line.split('\n'))
        .args(args)
        .arg("--json")
        .env_clear()
        .env("HOME", setup.directory.path())
        .env("PATH", std::env::var_os("PATH").unwrap())
        .envs(setup.environment.iter().cloned())
        .current_dir(setup.directory.path());
    Seen::of(command.output().unwrap())
}

#[test]
fn a_hub_is_seen_alive_taken_for_another_and_dead() {
    let setup = Setup::new();
    let socket = setup.directory.path().join("hub.sock");
    let setup = setup.set(&format!("hub.socket={}", socket.display()));
    let keyed = setup.clone().environment("KIRO_SWARM_KEY", "right");
    let hub = keyed.start();
    let address = format!("127.0.0.1:{}", hub.port);
    let seen = doctor_of(&keyed, hub.port, &["--fix"]);
    assert_eq!(seen.code, Some(0), "{}", seen.text);
    seen.says("Hub", "hub.sock", "answers: 0 queued");
    seen.says("Store", "file", &format!("process {} uses it", hub.pid()));
    seen.says("Files", "socket", "a hub listens");
    assert!(
        !seen.text.contains("right\""),
        "the key is nobody's business"
    );
    let wrong = setup.clone().environment("KIRO_SWARM_KEY", "wrong");
    let seen = doctor_of(&wrong, hub.port, &[]);
    assert_eq!(seen.code, Some(1));
    seen.says("Hub", "hub.sock", "refuses this key");
    seen.says("Hub", "hub.sock", "KIRO_SWARM_KEY");

    let mut client = hub.client();
    client.call("hello", serde_json::json!({"auth_token": "right"}));
    let task = client.enqueue("survives");
    let port = hub.port;
    let dead = hub.kill();
    let seen = doctor_of(&dead, port, &[]);
    assert_eq!(seen.code, Some(0), "{}", seen.text);
    seen.says("Hub", &address, "the port is free");
    seen.says("Store", "file", "sound");
    assert_eq!(seen.level("Files", "socket"), "note");
    let seen = doctor_of(&dead, port, &["--fix"]);
    seen.says("Files", "socket", "removed");
    assert!(!socket.exists());
    // The checked processes continue undisturbed.
    let again = dead.start();
    let mut client = again.client();
    client.call("hello", serde_json::json!({"auth_token": "right"}));
    assert_eq!(client.status(task), "queued");

    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().port();
    let service = other.try_clone().unwrap();
    // Closes what connects, as a service of another kind may.
    let strange = std::thread::spawn(move || service.accept().map(drop));
    let seen = doctor_of(&Setup::new(), taken, &[]);
    assert_eq!(seen.code, Some(1), "{}", seen.text);
    assert_eq!(seen.level("Hub", &format!(":{taken}")), "problem");
    strange.join().unwrap().unwrap();
    drop(other);
}

#[test]
fn a_hub_that_hands_out_no_tasks_says_why_and_what_to_do() {
    let hub = crate::common::Hub::start();
    let mut client = hub.client();
    let seen = doctor_of(&hub.setup, hub.port, &[]);
    for name in ["drain", "queues"] {
        let of = |it: &Value| it["area"] == "Hub" && it["name"] == name;
        let findings = seen.report["findings"].as_array().unwrap();
        assert!(!findings.iter().any(of), "{}", seen.text);
    }
    client.call("pause", serde_json::json!({"queue": "docs"}));
    let seen = doctor_of(&hub.setup, hub.port, &[]);
    assert_eq!(seen.code, Some(0), "{}", seen.text);
    assert_eq!(seen.level("Hub", "queues"), "note");
    seen.says("Hub", "queues", "paused: docs");
    seen.says("Hub", "queues", "kirosu resume docs");
    client.call("pause", serde_json::json!({}));
    client.call("drain", serde_json::json!({}));
    let seen = doctor_of(&hub.setup, hub.port, &[]);
    seen.says("Hub", "queues", "paused: all queues");
    assert_eq!(seen.level("Hub", "drain"), "note");
    seen.says("Hub", "drain", "leases nothing until it is restarted");
    seen.says("Hub", "drain", "kirosu shutdown, then kirosu up");
}

#[test]
fn what_others_may_read_is_told_and_closed_on_request() {
    let setup = Setup::new();
    let key = setup.directory.path().join("key");
    fs::write(&key, "k\n").unwrap();
    let setup = setup.set(&format!("hub.key_file={}", key.display()));
    let mut hub = setup.start();
    let port = hub.port;
    hub.signal(Signal::TERM);
    hub.ended();
    let open = |path: &Path| fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    open(&key);
    open(&setup.database());
    let seen = doctor_of(&setup, port, &[]);
    assert_eq!(seen.code, Some(1), "{}", seen.text);
    seen.says("Files", "store", "chmod 600");
    seen.says("Files", "key file", "all users of this machine may read");
    assert_eq!((mode(&key), mode(&setup.database())), (0o644, 0o644));
    let seen = doctor_of(&setup, port, &["--fix"]);
    assert_eq!(seen.code, Some(0), "{}", seen.text);
    seen.says("Files", "store", "\"fixed\"");
    assert_eq!((mode(&key), mode(&setup.database())), (0o600, 0o600));

    let file = fs::OpenOptions::new()
        .write(true)
        .open(setup.database())
        .unwrap();
    let length = file.metadata().unwrap().len();
    use std::os::unix::fs::FileExt;
    for at in (4096..length).step_by(2048) {
        file.write_all_at(&[0x5a; 64], at).unwrap();
    }
    let seen = doctor_of(&setup, port, &[]);
    assert_eq!(seen.code, Some(1), "{}", seen.text);
    assert_eq!(seen.level("Store", "file"), "problem");
}

#[test]
fn agents_over_acp_are_started_far_enough_to_know_that_they_work() {
    let bare = Bare::new();
    let agent = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/actors/providers/tests/acp_agent.py"
    );
    let commands = [
        ("good", format!("[\"python3\", \"{agent}\"]")),
        (
            "bad",
            "[\"sh\", \"-c\", \"echo no such module >&2; exit 127\"]".to_owned(),
        ),
        ("mute", "[\"sleep\", \"600\"]".to_owned()),
    ];
    let config: String = commands
        .iter()
        .map(|(name, command)| {
            format!(
                "[providers.{name}]\nkind = \"acp\"\ncommand = {command}\n[[pool]]\nname = \"{name}\"\nprovider = \"{name}\"\n"
            )
        })
        .collect();
    bare.config(&config);
    let seen = bare.look(&["--set", "hub.port=0"]);
    assert_eq!(seen.level(USED, "good"), "ok", "{}", seen.text);
    assert_eq!(seen.level(USED, "bad"), "problem");
    seen.says(USED, "bad", "no such module");
    seen.says(USED, "mute", "did not answer initialize within 5 s");
}

#[test]
fn a_program_that_is_too_old_is_noted() {
    let bare = Bare::new();
    bare.program("codex", "codex-cli 0.40.0")
        .program("gemini", "0.20.0")
        .program("claude", "2.1.330 (Claude Code)");
    let seen = bare.look(&["--set", "hub.port=0"]);
    for (name, oldest) in [("codex", "0.169"), ("gemini", "0.61")] {
        assert_eq!(seen.level("Other providers", name), "note", "{}", seen.text);
        seen.says("Other providers", name, oldest);
        seen.says("Other providers", name, "update it: npm install");
    }
    assert_eq!(seen.level("Other providers", "claude"), "ok");
}

#[test]
fn each_pools_folder_repository_and_hooks_are_checked() {
    let bare = Bare::new();
    fs::create_dir_all(bare.path("plain")).unwrap();
    fs::write(bare.path("file"), "").unwrap();
    let git = |args: &[&str]| {
        let done = Command::new("git")
            .arg("-C")
            .arg(bare.path("repo"))
            .args(args)
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    fs::create_dir_all(bare.path("repo/sub")).unwrap();
    git(&["init", "-q", "-b", "main"]);
    git(&[
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@b",
        "commit",
        "-q",
        "--allow-empty",
        "-m",
        "start",
    ]);
    let pool = |name: &str, keys: &str| {
        format!("[[pool]]\nname = \"{name}\"\nprovider = \"echo\"\n{keys}\n")
    };
    let tree = "workspace = \"worktree\"\nworkdir = ";
    let text = [
        pool(
            "good",
            "workdir = \"plain\"\nhooks = { before = [\"sh\", \"-c\", \"true\"] }",
        ),
        pool("gone", "workdir = \"/no/such/folder\""),
        pool("file", "workdir = \"file\""),
        pool("made", "workspace = \"isolated\"\nworkdir = \"new/below\""),
        pool(
            "unmade",
            "workspace = \"ephemeral\"\nworkdir = \"file/below\"",
        ),
        pool("tree", &format!("{tree}\"repo\"")),
        pool("no-repo", &format!("{tree}\"plain\"")),
        pool("no-base", &format!("{tree}\"repo\"\nbase = \"v9\"")),
        pool("no-prefix", &format!("{tree}\"repo/sub\"")),
        pool(
            "no-hook",
            "workdir = \"plain\"\nhooks = { after = [\"no-such-program\"] }",
        ),
        pool(
            "no-script",
            "workdir = \"plain\"\nhooks = { before = [\"./setup.sh\"] }",
        ),
    ];
    bare.config(&text.concat());
    let seen = bare.look(&[]);
    assert_eq!(seen.code, Some(1), "{}", seen.text);
    let findings = seen.report["findings"].as_array().unwrap();
    let of = |name: &str| {
        let of = findings
            .iter()
            .filter(|it| it["area"] == "Pools" && it["name"] == name);
        let told = of.map(|it| {
            format!(
                "{} {}",
                it["level"].as_str().unwrap(),
                it["message"].as_str().unwrap()
            )
        });
        told.collect::<Vec<_>>().join("\n")
    };
    for (name, part) in [
        ("good", "ok works in plain"),
        ("gone", "problem the folder /no/such/folder cannot be used"),
        ("file", "is not a folder"),
        (
            "made",
            "ok works in a folder for each agent under new/below",
        ),
        ("unmade", "problem"),
        ("tree", "ok works in worktrees"),
        ("no-repo", "is not in a git repository"),
        ("no-base", "has no commit \"v9\""),
        ("no-prefix", "problem"),
        (
            "no-hook",
            "the program of hooks.after, no-such-program, does not exist",
        ),
        ("no-script", "setup.sh, does not exist"),
    ] {
        assert!(
            of(name).contains(part),
            "{name}: {}\n{}",
            of(name),
            seen.text
        );
    }
    for name in ["good", "made", "tree"] {
        assert!(!of(name).contains("problem"), "{name}: {}", of(name));
    }
    // A look makes nothing.
    assert!(!bare.path("new").exists());
}
