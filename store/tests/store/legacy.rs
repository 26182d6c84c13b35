//! Tasks of the Python version are taken over: all of them, once, with their ids, states and times.

use crate::common::*;
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use kirosu_protocol::{Limits, Status, Task};
use kirosu_store::*;
use std::fs;
use std::path::{Path, PathBuf};

/// The schema of the Python version.
const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    CREATE TABLE tasks (task_id INTEGER PRIMARY KEY AUTOINCREMENT, prompt TEXT NOT NULL, system_prompt TEXT,
        type TEXT DEFAULT 'chat', status TEXT NOT NULL, created_at REAL NOT NULL, updated_at REAL NOT NULL,
        leased_until REAL, worker_id TEXT, result TEXT, error TEXT);
    CREATE INDEX idx_lease_status_leased_until ON tasks (status, leased_until);";
/// One in which nothing is required.
const LOOSE: &str =
    "CREATE TABLE tasks (task_id INTEGER PRIMARY KEY, prompt, system_prompt, type, status, created_at, updated_at,
        leased_until, worker_id, result, error);";
/// Unix seconds of `T0`.
const S0: i64 = T0 / 1000;

struct World {
    folder: tempfile::TempDir,
    options: StoreOptions,
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let options = StoreOptions::new(folder.path().join("new/kirosu.db"), T0);
        World { folder, options }
    }

    /// Makes a file of the Python version.
    fn source(&self, schema: &str, rows: &str) -> PathBuf {
        let path = self.folder.path().join("legacy.db");
        let mut conn = SqliteConnection::establish(&path.to_string_lossy()).unwrap();
        conn.batch_execute(schema).unwrap();
        conn.batch_execute(rows).unwrap();
        path
    }

    fn import(&self, source: &Path, how: LegacyOptions) -> Result<LegacyReport, LegacyError> {
        import_legacy(source, &self.options, &Limits::default(), how, &mut |_| {})
    }

    fn open(self) -> Bench {
        assert_sound(&self.options);
        Bench {
            store: Store::open(&self.options).unwrap(),
            reader: StoreReader::open(&self.options.path).unwrap(),
            now: T0,
            options: self.options,
            woken: Vec::new(),
            ended: Vec::new(),
            directory: self.folder,
        }
    }
}

fn plain() -> LegacyOptions {
    LegacyOptions::default()
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().flatten();
    let mut files: Vec<_> = entries
        .filter(|entry| entry.path().is_file())
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

fn row(id: i64, status: &str, more: &str, values: &str) -> String {
    let (created, updated) = (S0 - 3600 + id, S0 - 100 + id);
    format!(
        "INSERT INTO tasks (task_id, prompt, status, created_at, updated_at{more}) VALUES ({id}, 'prompt {id}', '{status}', {created}.5, {updated}.25{values});"
    )
}

/// One row of each state.
fn of_each_state() -> String {
    [
        row(1, "queued", ", system_prompt", ", 'be brief'"),
        row(
            2,
            "leased",
            ", leased_until, worker_id",
            &format!(", {}, 'kiro-1'", S0 + 100),
        ),
        row(3, "done", ", worker_id, result", ", 'kiro-2', 'forty-two'"),
        row(5, "failed", ", worker_id, error", ", 'kiro-3', 'it broke'"),
        row(
            6,
            "done",
            ", type, worker_id, result",
            ", 'human', 'human', 'Approved by human'",
        ),
        row(7, "done", ", type, result", ", 'python', '3'"),
        row(8, "failed", ", error", ", 'never leased'"),
        row(9, "queued", ", type", ", 'human'"),
        row(10, "paused", ", type, result", ", 'plan', 'half'"),
        row(11, "cancelled", "", ""),
        row(40, "queued", "", "") + "DELETE FROM tasks WHERE task_id = 40;",
    ]
    .concat()
}

#[test]
fn every_state_is_taken_over_with_ids_times_results_and_counters() {
    let world = World::new();
    let source = world.source(SCHEMA, &of_each_state());
    let before = files(world.folder.path());
    let dry = LegacyOptions {
        dry_run: true,
        ..plain()
    };
    let mut seen = world.import(&source, dry).unwrap();
    assert!(!seen.written && !world.options.path.exists());
    let report = world.import(&source, plain()).unwrap();
    assert_eq!(
        files(world.folder.path()),
        before,
        "the source is as it was"
    );
    assert_eq!((report.last_id, report.leases_dropped), (40, 1));
    (seen.written, seen.last_id) = (true, 40);
    assert_eq!(seen, report);
    let state = |from: &str| {
        let found = report.states.iter().find(|it| it.from == from);
        found.map(|it| (it.to, it.tasks))
    };
    assert_eq!(state("leased"), Some((Status::Queued, 1)));
    assert_eq!(state("done"), Some((Status::Done, 3)));
    assert_eq!(state("paused"), Some((Status::Cancelled, 1)));

    let mut b = world.open();
    let stats = b.stats();
    assert_eq!(
        (stats.queued, stats.leased, stats.done, stats.failed),
        (3, 0, 3, 2)
    );
    assert_eq!((stats.total_tasks, stats.cancelled), (10, 2));
    assert_eq!(stats.completed_last_hour, 3);
    assert_eq!(stats.avg_completion_time_sec, 3499.75);
    assert_eq!(stats.error_rate_percent, 40.0);
    let times = |task: &Task| (task.created_at, task.updated_at, task.finished_at);
    let s0 = S0 as f64;
    let done = b.detail(3);
    assert_eq!(done.task.result.as_deref(), Some("forty-two"));
    assert_eq!(done.task.worker_id.as_deref(), Some("kiro-2"));
    assert_eq!(
        times(&done.task),
        (s0 - 3596.5, s0 - 96.75, Some(s0 - 96.75))
    );
    assert_eq!(done.attempts.len(), 1);
    assert_eq!(b.task(5).error.as_deref(), Some("it broke"));
    let human = b.detail(6);
    assert_eq!(human.task.result.as_deref(), Some("Approved by human"));
    assert_eq!(
        (human.task.task_type.as_str(), human.attempts.len()),
        ("human", 0)
    );
    assert_eq!(b.task(8).error.as_deref(), Some("never leased"));
    let odd = b.task(10);
    assert_eq!(
        (odd.status, odd.task_type.as_str()),
        (Status::Cancelled, "chat")
    );
    assert_eq!(odd.result.as_deref(), Some("half"));
    let kept = serde_json::json!({"legacy": {"status": "paused", "type": "plan"}});
    assert_eq!(odd.metadata, Some(kept));

    // The queue goes on: the leases are new ones, a failed task can be repeated, a done one cannot be done again.
    let leased = b.lease(10);
    assert_eq!(
        leased.iter().map(|task| task.task_id).collect::<Vec<_>>(),
        [1, 2]
    );
    assert_eq!(leased[0].system_prompt.as_deref(), Some("be brief"));
    b.ack(crate::common::done(2, Some(leased[1].fence)))
        .unwrap();
    b.one(Command::Retry { task: 5 }).unwrap();
    let again = b.lease(1).pop().unwrap();
    assert_eq!(again.task_id, 5);
    assert!(again.fence > 1, "{again:?}");
    assert_eq!(b.chat("a new one"), 41);
    let b = b.reopen();
    assert_eq!((b.stats().done, b.stats().total_tasks), (4, 11));
}

#[test]
fn rows_that_cannot_be_taken_are_listed_and_only_left_out_on_request() {
    let world = World::new();
    let rows = "
        INSERT INTO tasks VALUES (-4, 'p', NULL, NULL, 'queued', 1.0, 1.0, NULL, NULL, NULL, NULL);
        INSERT INTO tasks VALUES (1, NULL, NULL, NULL, 'queued', 1.0, 1.0, NULL, NULL, NULL, NULL);
        INSERT INTO tasks VALUES (2, x'ff', NULL, NULL, 'queued', 1.0, 1.0, NULL, NULL, NULL, NULL);
        INSERT INTO tasks VALUES (3, 'p', NULL, NULL, NULL, 1.0, 1.0, NULL, NULL, NULL, NULL);
        INSERT INTO tasks VALUES (4, 'p', NULL, NULL, 'done', 'yesterday', NULL, NULL, NULL, NULL, NULL);
        INSERT INTO tasks VALUES (5, 'p', NULL, NULL, 'done', -5, 1e300, NULL, NULL, NULL, NULL);
        INSERT INTO tasks VALUES (6, replace(hex(zeroblob(4500000)), '00', 'ab'), NULL, NULL, 'done', 1, 1, NULL, NULL, NULL, NULL);
        INSERT INTO tasks VALUES (7, 7, '', '', ' Done ', 1, NULL, NULL, 8, 9, '');";
    let source = world.source(LOOSE, rows);
    let report = world.import(&source, plain()).unwrap();
    assert!(!report.written && !world.options.path.exists());
    assert_eq!((report.tasks, report.bad), (1, 7));
    let why: Vec<_> = report
        .bad_rows
        .iter()
        .map(|it| (it.task_id, it.why.as_str()))
        .collect();
    assert_eq!(
        why,
        [
            (-4, "its id is not between 1 and 4503599627370496"),
            (1, "its prompt is null"),
            (2, "its prompt is not UTF-8"),
            (3, "its status is null"),
            (4, "its created_at is not a number"),
            (5, "its updated_at (1e300) is not a time"),
            (6, "its prompt has 9000000 bytes, and the limit is 8388608"),
        ]
    );
    let skip = LegacyOptions {
        skip_bad: true,
        ..plain()
    };
    assert!(world.import(&source, skip).unwrap().written);
    let mut b = world.open();
    let task = b.task(7);
    let texts = (
        task.prompt.as_str(),
        task.task_type.as_str(),
        task.result.as_deref(),
    );
    assert_eq!(texts, ("7", "chat", Some("9")));
    assert_eq!((task.system_prompt, task.status), (None, Status::Done));
    assert_eq!(b.stats().total_tasks, 1);
}

#[test]
fn older_files_are_read_and_other_files_refused() {
    let world = World::new();
    let old = "CREATE TABLE tasks (task_id INTEGER PRIMARY KEY, prompt TEXT, status TEXT, created_at REAL, updated_at REAL);";
    let source = world.source(old, &row(3, "queued", "", ""));
    world.import(&source, plain()).unwrap();
    let refused = |source: &Path, options: &StoreOptions| {
        let limits = Limits::default();
        let refused = import_legacy(source, options, &limits, plain(), &mut |_| {});
        refused.unwrap_err().to_string()
    };
    let again = refused(&source, &world.options);
    assert!(
        again.contains("ids up to 3") && again.contains("--renumber"),
        "{again}"
    );
    let other = StoreOptions::new(world.folder.path().join("other.db"), T0);
    let store = refused(&world.options.path, &other);
    assert!(store.contains("kirosu restore"), "{store}");
    let text = world.folder.path().join("text");
    fs::write(&text, "no database").unwrap();
    assert!(refused(&text, &other).contains("cannot be read"));
    let strange = world.folder.path().join("strange.db");
    let mut conn = SqliteConnection::establish(&strange.to_string_lossy()).unwrap();
    conn.batch_execute("CREATE TABLE tasks (id INTEGER)")
        .unwrap();
    assert!(refused(&strange, &other).contains("tasks.task_id"));
    assert!(refused(&world.folder.path().join("none"), &other).contains("cannot be read"));
    let own = StoreOptions::new(&source, T0);
    assert!(refused(&source, &own).contains("--db"));
    fs::remove_file(&source).unwrap();
    world.source(SCHEMA, "");
    let started = Store::open(&own).err().unwrap().to_string();
    assert!(started.contains("kirosu db import-legacy"), "{started}");
    assert!(!other.path.exists());
    let mut b = world.open();
    assert_eq!(b.task(3).task_type, "chat");
    let held = refused(&source, &b.options);
    assert!(held.contains("another hub has it"), "{held}");
}

#[test]
fn with_renumber_the_old_ids_are_labels_and_no_task_comes_twice() {
    let world = World::new();
    let source = world.source(SCHEMA, &of_each_state());
    let mut b = Bench::with(|options| options.path = world.options.path.clone());
    b.chat("a task of its own");
    drop(b);
    let renumber = LegacyOptions {
        renumber: true,
        ..plain()
    };
    let report = world.import(&source, renumber).unwrap();
    assert_eq!((report.tasks, report.last_id), (10, 11));
    let again = world.import(&source, renumber).unwrap_err().to_string();
    assert!(again.contains("as task 2"), "{again}");
    let mut b = world.open();
    let moved = b.task(4);
    assert_eq!(moved.result.as_deref(), Some("forty-two"));
    assert_eq!(moved.labels, ["legacy:3"]);
    assert_eq!(b.stats().total_tasks, 11);
}

#[test]
fn a_log_of_a_killed_python_hub_is_read_and_left_alone() {
    let world = World::new();
    let source = world.source(SCHEMA, &row(1, "queued", "", ""));
    let mut conn = SqliteConnection::establish(&source.to_string_lossy()).unwrap();
    conn.batch_execute(&row(2, "queued", "", "")).unwrap();
    // As after `kill -9`: the second row is in the log only.
    let killed = tempfile::tempdir().unwrap();
    for (name, bytes) in files(world.folder.path()) {
        fs::write(killed.path().join(name), bytes).unwrap();
    }
    fs::remove_file(killed.path().join("legacy.db-shm")).unwrap();
    let before = files(killed.path());
    assert!(
        before
            .iter()
            .any(|(name, bytes)| name == "legacy.db-wal" && !bytes.is_empty())
    );
    // SQLite keeps the log next to the file to which a link leads.
    let link = world.folder.path().join("link.db");
    std::os::unix::fs::symlink(killed.path().join("legacy.db"), &link).unwrap();
    let report = world.import(&link, plain()).unwrap();
    assert_eq!(report.tasks, 2);
    assert_eq!(files(killed.path()), before);
    let beside_store = world
        .options
        .path
        .parent()
        .unwrap()
        .read_dir()
        .unwrap()
        .flatten();
    let left: Vec<_> = beside_store.filter(|it| it.path().is_dir()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_source_among_copies_of_killed_imports_stays() {
    let world = World::new();
    let beside_store = world.options.path.parent().unwrap().to_owned();
    // That of a process that has ended, which the next import removes, and a folder of a person.
    let mut ended = std::process::Command::new("true").spawn().unwrap();
    let left = beside_store.join(format!("kirosu.db.legacy-{}", ended.id()));
    ended.wait().unwrap();
    let own = beside_store.join("kirosu.db.legacy");
    for folder in [&left, &own] {
        fs::create_dir_all(folder).unwrap();
    }
    fs::write(left.join("legacy.db"), "x").unwrap();
    let made = world.source(SCHEMA, &row(1, "queued", "", ""));
    let mut conn = SqliteConnection::establish(&made.to_string_lossy()).unwrap();
    conn.batch_execute(&row(2, "queued", "", "")).unwrap();
    for suffix in ["", "-wal"] {
        let name = |path: &Path| format!("{}{suffix}", path.display());
        fs::copy(name(&made), name(&own.join("old.db"))).unwrap();
    }
    let before = files(&own);
    let report = world.import(&own.join("old.db"), plain()).unwrap();
    assert_eq!((report.tasks, files(&own)), (2, before));
    assert!(!left.exists());
}

#[test]
fn the_next_id_is_within_the_bounds_of_ids() {
    let world = World::new();
    let rows = format!(
        "{} UPDATE sqlite_sequence SET seq = {};",
        row(1, "queued", "", ""),
        i64::MAX
    );
    let source = world.source(SCHEMA, &rows);
    assert_eq!(world.import(&source, plain()).unwrap().last_id, 1 << 52);
    let mut b = world.open();
    assert_eq!(b.chat("next"), (1 << 52) + 1);
}

#[test]
fn long_texts_are_stored_in_pieces() {
    let world = World::new();
    let long = "replace(hex(zeroblob(400000)), '00', 'äb')";
    let rows = format!(
        "INSERT INTO tasks VALUES (1, {long}, {long}, 'chat', 'done', 1, 2, NULL, 'w', {long}, NULL);
         INSERT INTO tasks VALUES (2, 'p', NULL, 'chat', 'done', 1, 2, NULL, NULL, {long}, 'short');"
    );
    let source = world.source(SCHEMA, &rows);
    world.import(&source, plain()).unwrap();
    let mut b = world.open();
    let (first, second) = (b.task(1), b.task(2));
    let whole = "äb".repeat(400_000);
    for text in [
        Some(first.prompt),
        first.system_prompt,
        first.result,
        second.result,
    ] {
        assert!(
            text.as_ref() == Some(&whole),
            "{:?}",
            text.map(|it| it.len())
        );
    }
    assert_eq!(second.error.as_deref(), Some("short"));
}

const MANY: u64 = 100_000;

fn many(world: &World) -> PathBuf {
    let rows = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})
         INSERT INTO tasks (prompt, status, created_at, updated_at, result, worker_id)
         SELECT 'prompt ' || i, CASE i % 4 WHEN 0 THEN 'queued' ELSE 'done' END, {S0} - 1000, {S0} - 900,
                'result ' || i || hex(zeroblob(500)), 'w' FROM n;"
    );
    world.source(SCHEMA, &rows)
}

/// The process's resident memory in KiB.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// In a process that [`in_a_process`] has started: imports the file of the variable, and dies after some rows if a variable demands
/// it. False: this is no such process.
fn was_imported_here() -> bool {
    let Ok(folder) = std::env::var("KIROSU_TEST_FOLDER") else {
        return false;
    };
    let folder = Path::new(&folder);
    let dies = std::env::var("KIROSU_TEST_DIES").is_ok();
    let options = StoreOptions::new(folder.join("new/kirosu.db"), T0);
    let before = memory();
    let mut most = 0;
    let mut progress = |at: LegacyProgress| {
        most = most.max(memory());
        if dies && at.is_writing && at.rows > MANY / 4 {
            std::process::abort();
        }
    };
    let source = folder.join("legacy.db");
    let limits = Limits::default();
    import_legacy(&source, &options, &limits, plain(), &mut progress).unwrap();
    let grown = most.saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} KiB for a file of 110 MB");
    true
}

fn in_a_process(world: &World, dies: bool) -> bool {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            "legacy::an_import_that_is_killed_leaves_nothing_and_can_be_started_again",
            "--nocapture",
        ])
        .env("KIROSU_TEST_FOLDER", world.folder.path());
    if dies {
        command.env("KIROSU_TEST_DIES", "1");
    }
    command.output().unwrap().status.success()
}

#[test]
fn an_import_that_is_killed_leaves_nothing_and_can_be_started_again() {
    if was_imported_here() {
        return;
    }
    let world = World::new();
    many(&world);
    assert!(!in_a_process(&world, true));
    let log = world.folder.path().join("new/kirosu.db-wal");
    assert!(
        fs::metadata(&log).unwrap().len() > 15 << 20,
        "it was in the middle"
    );
    let b = Bench::with(|options| options.path = world.options.path.clone());
    assert_eq!((b.stats().total_tasks, b.stats().queued), (0, 0));
    drop(b);
    assert!(in_a_process(&world, false));
    let mut b = world.open();
    let stats = b.stats();
    assert_eq!((stats.total_tasks, stats.queued), (100_000, 25_000));
    assert_eq!((stats.done, stats.avg_completion_time_sec), (75_000, 100.0));
    assert!(b.task(99_999).result.unwrap().starts_with("result 99999"));
    assert_eq!(
        b.lease(2)
            .iter()
            .map(|task| task.task_id)
            .collect::<Vec<_>>(),
        [4, 8]
    );
}
