//! One agent program at one level of trust: the hub with its pools, the tasks that the tries are about, and a
//! neighbour: an agent that runs at the same time.

use super::surroundings::{CHILDREN, group, has_worktree, make_repository, remove, settings};
use crate::agents::AGENT_PATIENCE;
use crate::agents::programs::{GOOSE, Program};
use crate::agents::user::{as_nobody, is_root, own, reachable, reachable_path, set_mode};
use crate::agents::world::World;
use crate::common::{Client, Hub, Setup, until, until_within};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// In the prompt of a task that no agent may see.
const SECRET: &str = "the-secret-prompt-of-another-task";
/// In a prompt and a file of the neighbour.
const NEIGHBOUR_SECRET: &str = "the-secret-of-the-neighbour";

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    pub sandbox: bool,
    pub user: bool,
}

/// The columns.
pub const LEVELS: [Level; 4] = [
    Level::new(false, false),
    Level::new(true, false),
    Level::new(false, true),
    Level::new(true, true),
];

impl Level {
    const fn new(sandbox: bool, user: bool) -> Level {
        Level { sandbox, user }
    }

    /// The title of its column.
    pub const fn name(self) -> &'static str {
        match (self.sandbox, self.user) {
            (false, false) => "default",
            (true, false) => "`sandbox`",
            (false, true) => "`user`",
            (true, true) => "both",
        }
    }

    /// Its column.
    pub fn index(self) -> usize {
        LEVELS.iter().position(|it| *it == self).unwrap()
    }
}

/// The outcome of each try, with the words of the agent or of the test.
pub type Outcomes = BTreeMap<String, (bool, String)>;

/// A program at a level.
pub struct Case {
    pub program: Program,
    pub level: Level,
    pub hub: Hub,
    pub client: Client,
    /// Holds the files that are not the hub's.
    lab: TempDir,
    pub world: Value,
    /// Number of the newest task with tries, whose file has it in its name.
    worlds: u32,
    /// The connection of a host that holds a task.
    holder: Option<Client>,
    /// The hub's cgroup, where the test can give it one.
    group: Option<PathBuf>,
}

impl Case {
    /// Starts the hub and the neighbour, and adds the tasks.
    pub fn start(world: &World, program: Program, level: Level) -> Case {
        let setup = Setup::new()
            .up()
            .with_default_gateway()
            .without_db()
            .environment("KIROSU_HUB__KEYLESS", "");
        let home = setup.directory.path().to_owned();
        // Those of another user may pass, as they do where people have it.
        set_mode(&home, 0o711);
        let lab = tempfile::tempdir().unwrap();
        set_mode(lab.path(), 0o755);
        set_mode(world.folder(), 0o711);
        let outside = home.join("outside");
        fs::create_dir(&outside).unwrap();
        let repository = home.join("repository");
        make_repository(&repository);
        let agent_home = world
            .folder()
            .join(format!("{}-{}", program.name, level.index()));
        let neighbour_home = agent_home.with_extension("neighbour");
        let settings = settings(world, program, level, &home, [&agent_home, &neighbour_home]);
        fs::write(home.join("kirosu.toml"), settings).unwrap();
        let group = group(level);
        let mut setup = setup.environment("PATH", &reachable_path(lab.path()));
        let mut words = Vec::new();
        if let Some(group) = &group {
            let enter = format!("echo $$ > {}/cgroup.procs && exec \"$@\"", group.display());
            words.extend(["sh".to_owned(), "-c".to_owned(), enter, "sh".to_owned()]);
        }
        let private = home.join("id_of_the_user");
        fs::write(&private, "private").unwrap();
        set_mode(&private, 0o600);
        let settings_of_agent = state(program, &agent_home);
        fs::create_dir_all(settings_of_agent.parent().unwrap()).unwrap();
        File::options()
            .create(true)
            .append(true)
            .open(&settings_of_agent)
            .unwrap();
        if is_root() {
            own(&agent_home);
            own(&neighbour_home);
            if !level.user {
                own(&home);
                words.extend(as_nobody());
            }
        }
        setup.wrapper = words;
        let hub = setup.start();
        let key = fs::read_to_string(home.join("data/hub.key")).unwrap();
        let mut client = hub.client();
        client.call("hello", json!({"auth_token": key.trim()}));
        let mut case = Case {
            program,
            level,
            hub,
            client,
            lab,
            world: Value::Null,
            worlds: 0,
            holder: None,
            group,
        };
        case.prepare(&home, &agent_home, key.trim());
        case
    }

    /// Adds the tasks that the tries are about, and writes the file for them.
    fn prepare(&mut self, home: &Path, agent_home: &Path, key: &str) {
        let mut add = |params: Value| self.client.enqueue_with(params);
        let gated =
            |prompt: &str| json!({"prompt": prompt, "queue": "y", "requires_approval": true});
        let mut world = json!({
            "gated": add(gated("gated")),
            "gated_in_store": add(gated("in the store")),
            "gated_by_terminal": add(gated("by a terminal")),
            "gated_by_survivor": add(gated("by a survivor")),
            "human": add(json!({"prompt": "May I?", "queue": "y", "type": "human"})),
            "other": add(json!({"prompt": SECRET, "queue": "z"})),
            "cancelled": add(json!({"prompt": SECRET, "queue": "y"})),
        });
        self.client
            .call("cancel", json!({"task_id": world["cancelled"]}));
        // One that another host holds, with an open permission request.
        let mut holder = self.hub.client();
        let introduction = json!({"auth_token": key, "session_id": "holder", "name": "holder"});
        holder.call("hello", introduction);
        holder.enqueue_with(json!({"prompt": "held", "queue": "held"}));
        let held = holder.lease(json!({"queues": ["held"], "lease_seconds": 3600}));
        let ask = json!({
            "task_id": held["task_id"], "fence": held["fence"], "call": "c", "tool": "shell", "args": {"command": "deploy"}
        });
        let asked = holder.call("ask", ask);
        let neighbour = self.start_neighbour();
        let outside = home.join("outside");
        let more = json!({
            "secret": SECRET, "neighbour_secret": NEIGHBOUR_SECRET,
            "kirosu": reachable(Path::new(env!("CARGO_BIN_EXE_kirosu")), self.lab.path()),
            "port": self.hub.port, "rest": self.rest(), "hub": self.hub.pid(), "home": home, "data": home.join("data"),
            "settings": home.join("kirosu.toml"), "log": home.join("kirosu.log"), "outside": outside,
            "agent_home": agent_home, "state": state(self.program, agent_home), "repository": home.join("repository"), "mark": self.mark(),
            "tmux": self.terminal_server(&outside), "children": CHILDREN,
            "held": held["task_id"], "approval": asked["approval_id"],
        });
        let world_map = world.as_object_mut().unwrap();
        world_map.extend(more.as_object().unwrap().clone());
        world_map.extend(neighbour.as_object().unwrap().clone());
        self.world = world;
        self.holder = Some(holder);
        let scripts =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/end_to_end/agents/breakout");
        for name in ["tries.py", "common.py"] {
            let copy = self.lab.path().join(name);
            fs::copy(scripts.join(name), &copy).unwrap();
            set_mode(&copy, 0o644);
        }
        fs::write(self.mark(), "").unwrap();
        set_mode(&self.mark(), 0o666);
    }

    /// The neighbour, whose tool waits in its folder.
    fn start_neighbour(&mut self) -> Value {
        let tool = format!(
            "echo {NEIGHBOUR_SECRET} > mine; echo $$ > pid.part; mv pid.part pid; i=0; while [ ! -e go ] && [ $i -lt 900 ]; do sleep 0.2; i=$((i+1)); done"
        );
        let prompt = format!("{NEIGHBOUR_SECRET} {}", GOOSE.call(&tool));
        let task = self
            .client
            .enqueue_with(json!({"queue": "neighbour", "prompt": prompt, "max_attempts": 1}));
        let file = until_within(AGENT_PATIENCE, "the neighbour uses its tool", || {
            self.file_of_runs("neighbour", "pid")
        });
        let pid: u32 = fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        let fence = self.client.task(task)["fence"].clone();
        json!({"neighbour": pid, "neighbour_task": task, "neighbour_fence": fence, "neighbour_file": file.with_file_name("mine")})
    }

    /// The newest file of this name in the folders of a pool's runs.
    pub fn file_of_runs(&self, pool: &str, name: &str) -> Option<PathBuf> {
        let folder = self.home().join("data/workspaces").join(pool);
        let entries = fs::read_dir(folder).ok()?.flatten();
        let files = entries.map(|entry| entry.path().join(name));
        files.filter(|file| file.exists()).max_by_key(|file| {
            let meta = file.metadata();
            meta.and_then(|it| it.modified()).ok()
        })
    }

    pub fn home(&self) -> PathBuf {
        self.hub.setup.directory.path().to_owned()
    }

    /// The file that planted programs write.
    pub fn mark(&self) -> PathBuf {
        self.lab.path().join("mark")
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.home().join("kirosu.log")).unwrap_or_default()
    }

    fn rest(&self) -> String {
        until("the log names the gateway's address", || {
            let log = self.log();
            let line = log.lines().rev().find(|l| l.contains("REST is served"))?;
            let (_, address) = line.split_once("address=")?;
            address.split_whitespace().next().map(str::to_owned)
        })
    }

    /// A terminal of the hub's user: the socket of its server.
    fn terminal_server(&self, folder: &Path) -> PathBuf {
        let socket = folder.join("terminal");
        let mut words = vec!["tmux", "-S"];
        words.extend([socket.to_str().unwrap(), "new-session", "-d", "sleep 600"]);
        let outcome = self.as_hubs_user(&words);
        assert!(outcome.status.success(), "{outcome:?}");
        socket
    }

    /// Runs a program as the hub's user.
    pub fn as_hubs_user(&self, words: &[&str]) -> std::process::Output {
        let mut all = Vec::new();
        if is_root() && !self.level.user {
            all.extend(as_nobody());
        }
        all.extend(words.iter().map(|&word| word.to_owned()));
        let home = self.home();
        let mut command = Command::new(&all[0]);
        command
            .args(&all[1..])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", &home)
            .env("SHELL", "/bin/sh")
            .env("KIROSU_CONFIG", home.join("kirosu.toml"))
            .current_dir(&home)
            .stdin(std::process::Stdio::null());
        command.output().unwrap()
    }

    /// Adds a task in whose one conversation an agent makes tries: each is one call of its tool. Its child, if it adds one,
    /// makes another one.
    pub fn begin(&mut self, tries: &[&str], of_child: Option<&str>) -> i64 {
        self.worlds += 1;
        let params = json!({"queue": "tries", "prompt": self.prompt(tries), "max_attempts": 1});
        let id = self.client.enqueue_with(params);
        self.world["own"] = json!(id);
        self.world["own_fence"] = json!(1);
        self.world["prompt_of_child"] = json!(of_child.map(|name| self.prompt(&[name])));
        // The number of the task is known only now: an agent takes longer to start than this does.
        fs::write(self.world_file(), self.world.to_string()).unwrap();
        id
    }

    fn world_file(&self) -> PathBuf {
        self.lab.path().join(format!("world-{}.json", self.worlds))
    }

    fn prompt(&self, tries: &[&str]) -> String {
        let (folder, world) = (self.lab.path().display(), self.world_file());
        let calls = tries.iter().map(|name| {
            let shell = format!("python3 -ESs {folder}/tries.py {} {name}", world.display());
            self.program.call(&shell)
        });
        calls.collect::<Vec<_>>().join("\n")
    }

    /// Waits for the end of a task.
    pub fn end(&mut self, id: i64) -> Value {
        until_within(AGENT_PATIENCE * 3, "the task ends", || {
            let wait = json!({"task_ids": [id], "timeout_seconds": 10});
            self.client.call("wait", wait);
            let ask = json!({"task_id": id, "output": true});
            let got = self.client.call("get", ask);
            let status = got["task"]["status"].as_str().unwrap_or_default();
            ["done", "failed", "cancelled"]
                .contains(&status)
                .then_some(got)
        })
    }

    /// The outcomes that the tries have reported so far.
    pub fn reported(&self) -> Outcomes {
        let outcome = |line: &String| {
            let mut words = line.splitn(3, ' ');
            let (name, is) = (words.next()?, words.next()?);
            let said = words.next().unwrap_or_default().to_owned();
            Some((name.to_owned(), (is == "yes", said)))
        };
        self.lines("outcomes").iter().filter_map(outcome).collect()
    }

    /// The outcome of one try, if it has been reported.
    pub fn reported_by(&self, name: &str) -> Outcomes {
        let all = self.reported().into_iter();
        all.filter(|(it, _)| it == name).collect()
    }

    /// Processes that tries have left, by the name of the try.
    pub fn left(&self) -> Vec<(String, u32)> {
        let process = |line: &String| {
            let (name, pid) = line.split_once(' ')?;
            Some((name.to_owned(), pid.parse().ok()?))
        };
        self.lines("left").iter().filter_map(process).collect()
    }

    /// The lines of the files of this name in the folders of the agent that tries.
    fn lines(&self, name: &str) -> Vec<String> {
        let folder = self.home().join("data/workspaces/tries");
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let texts = entries.filter_map(|entry| fs::read_to_string(entry.path().join(name)).ok());
        let lines = |text: String| text.lines().map(str::to_owned).collect::<Vec<_>>();
        texts.flat_map(lines).collect()
    }

    /// Whether its runs have worktrees. Git's folders belong to the hub's user, and a folder of several tasks is needed, too.
    pub fn has_worktree(&self) -> bool {
        has_worktree(self.program, self.level)
    }

    /// Ends the neighbour and the terminal's server.
    pub fn finish(&mut self) {
        if let Some(file) = self.world["neighbour_file"].as_str() {
            fs::write(Path::new(file).with_file_name("go"), "").unwrap();
        }
        let socket = self.world["tmux"].as_str().unwrap().to_owned();
        self.as_hubs_user(&["tmux", "-S", &socket, "kill-server"]);
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the log:\n{}", self.log());
        }
        if let Some(group) = &self.group {
            let _ = fs::write(group.join("cgroup.kill"), "1");
            until("the end of the hub's cgroup", || {
                remove(group);
                (!group.exists()).then_some(())
            });
        }
    }
}

/// The settings of the agent program in its home.
fn state(program: Program, home: &Path) -> PathBuf {
    home.join(match program.name {
        "codex" => "codex/config.toml",
        _ => ".config/goose/config.yaml",
    })
}
