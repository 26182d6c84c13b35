-- The durable queue. A change of a task's state changes the short row in `task`; texts that can be long are written once
-- into tables of their own.
--
-- States: 0 queued, 1 blocked, 2 scheduled, 3 awaiting_approval, 4 leased, 5 done, 6 failed, 7 cancelled.
-- Times are Unix milliseconds.

-- A lane is a pair of queue and type. Its counters change with every commit, so that no query counts rows. All of them
-- are in this one row, so that a commit writes one page for them: tasks by state, the sum of (finished - enqueued) over
-- all done tasks, the number done in the newest minute, and the highest id that is or was done.
CREATE TABLE lane (
    id                INTEGER PRIMARY KEY,
    queue             TEXT    NOT NULL,
    type              TEXT    NOT NULL,
    queued            INTEGER NOT NULL DEFAULT 0,
    blocked           INTEGER NOT NULL DEFAULT 0,
    scheduled         INTEGER NOT NULL DEFAULT 0,
    awaiting_approval INTEGER NOT NULL DEFAULT 0,
    leased            INTEGER NOT NULL DEFAULT 0,
    done              INTEGER NOT NULL DEFAULT 0,
    failed            INTEGER NOT NULL DEFAULT 0,
    cancelled         INTEGER NOT NULL DEFAULT 0,
    completion_ms     INTEGER NOT NULL DEFAULT 0,
    minute            INTEGER NOT NULL DEFAULT 0,
    minute_done       INTEGER NOT NULL DEFAULT 0,
    newest_done       INTEGER NOT NULL DEFAULT 0,
    UNIQUE (queue, type)
) STRICT;

CREATE TABLE task (
    id           INTEGER PRIMARY KEY,
    state        INTEGER NOT NULL,
    lane         INTEGER NOT NULL,
    priority     INTEGER NOT NULL,
    fence        INTEGER NOT NULL,
    attempts     INTEGER NOT NULL,
    max_attempts INTEGER,
    run_at       INTEGER,
    lease_until  INTEGER,
    lease_ms     INTEGER,
    leased_at    INTEGER,
    session      TEXT,
    worker       TEXT,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    finished_at  INTEGER,
    flags        INTEGER NOT NULL,
    blocked_by   INTEGER NOT NULL
) STRICT;

-- The rowid (the id) is the last key of every index, so each is in id order within its key.
-- A query repeats its index's WHERE literally, or SQLite does not use it.
CREATE INDEX task_ready     ON task (lane, priority DESC) WHERE state = 0;
CREATE INDEX task_scheduled ON task (run_at)              WHERE state = 2;
CREATE INDEX task_leased    ON task (lease_until)         WHERE state = 4;
CREATE INDEX task_session   ON task (session)             WHERE state = 4 AND session IS NOT NULL;
-- Without the done tasks: nearly all tasks are done, and `lane.newest_done` bounds the search for them.
CREATE INDEX task_settled   ON task (state)               WHERE state <> 0 AND state <> 4 AND state <> 5;

-- The input of a task: written once, read when the task is leased or shown.
CREATE TABLE task_input (
    task_id         INTEGER PRIMARY KEY,
    prompt          TEXT NOT NULL,
    system_prompt   TEXT,
    options         TEXT, -- JSON; null: nothing but defaults
    idempotency_key TEXT
) STRICT;

CREATE TABLE idempotency (
    key     TEXT    PRIMARY KEY,
    task_id INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row per ended attempt, written at its end (the live attempt is in `task`).
CREATE TABLE attempt (
    task_id    INTEGER NOT NULL,
    fence      INTEGER NOT NULL,
    outcome    TEXT    NOT NULL, -- done, a failure class, released
    worker     TEXT,
    started_at INTEGER NOT NULL,
    ended_at   INTEGER NOT NULL,
    result     TEXT,
    error      TEXT,
    usage      TEXT, -- JSON
    PRIMARY KEY (task_id, fence)
) STRICT, WITHOUT ROWID;

-- The end of a task without an attempt: decided by a person, or failed because of a dependency.
CREATE TABLE note (
    task_id INTEGER PRIMARY KEY,
    result  TEXT,
    error   TEXT
) STRICT;

CREATE TABLE decision (
    id      INTEGER PRIMARY KEY,
    task_id INTEGER NOT NULL,
    fence   INTEGER NOT NULL,
    verdict TEXT    NOT NULL, -- approved, rejected
    by      TEXT,
    reason  TEXT,
    at      INTEGER NOT NULL
) STRICT;
CREATE INDEX decision_task ON decision (task_id);

CREATE TABLE dependency (
    depends_on INTEGER NOT NULL,
    task_id    INTEGER NOT NULL,
    PRIMARY KEY (depends_on, task_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX dependency_task ON dependency (task_id);

CREATE TABLE progress (
    task_id INTEGER PRIMARY KEY,
    fence   INTEGER NOT NULL,
    data    TEXT    NOT NULL, -- JSON
    at      INTEGER NOT NULL
) STRICT;

CREATE TABLE output (
    task_id INTEGER NOT NULL,
    fence   INTEGER NOT NULL,
    chunk   INTEGER NOT NULL,
    text    TEXT    NOT NULL,
    PRIMARY KEY (task_id, fence, chunk)
) STRICT, WITHOUT ROWID;

CREATE TABLE counter (
    name  TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE done_minute (
    minute INTEGER PRIMARY KEY, -- Unix minutes that are over; the present one is in `lane`
    done   INTEGER NOT NULL
) STRICT;

CREATE TABLE paused_queue (
    queue TEXT    PRIMARY KEY,
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- For people.
CREATE VIEW task_view AS
SELECT t.id,
       CASE t.state WHEN 0 THEN 'queued' WHEN 1 THEN 'blocked' WHEN 2 THEN 'scheduled' WHEN 3 THEN 'awaiting_approval'
                    WHEN 4 THEN 'leased' WHEN 5 THEN 'done' WHEN 6 THEN 'failed' WHEN 7 THEN 'cancelled' END AS status,
       l.queue, l.type, t.priority, t.fence, t.attempts, t.max_attempts, t.worker, t.session,
       datetime(t.created_at / 1000, 'unixepoch')  AS created,
       datetime(t.updated_at / 1000, 'unixepoch')  AS updated,
       datetime(t.lease_until / 1000, 'unixepoch') AS leased_until,
       datetime(t.run_at / 1000, 'unixepoch')      AS runs_at,
       datetime(t.finished_at / 1000, 'unixepoch') AS finished,
       i.prompt, a.outcome, coalesce(a.result, n.result) AS result, coalesce(a.error, n.error) AS error
FROM task t
JOIN lane l ON l.id = t.lane
LEFT JOIN task_input i ON i.task_id = t.id
LEFT JOIN attempt a ON a.task_id = t.id AND a.fence = t.fence
LEFT JOIN note n ON n.task_id = t.id;
