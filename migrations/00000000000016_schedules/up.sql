-- Schedules, by which the hub adds tasks.
CREATE TABLE schedule (
    id         INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    spec       TEXT    NOT NULL, -- JSON: a ScheduleSpec, with the time zone of a cron expression
    task       TEXT    NOT NULL, -- JSON: parameters of `enqueue`, without `accept`
    accept     TEXT, -- JSON
    queue      TEXT    NOT NULL, -- of the task, for lists
    task_type  TEXT    NOT NULL,
    prompt     TEXT    NOT NULL, -- its beginning
    missed     TEXT    NOT NULL, -- a MissedPolicy
    overlap    TEXT    NOT NULL, -- an OverlapPolicy
    jitter_ms  INTEGER NOT NULL,
    paused     INTEGER NOT NULL,
    next_at    INTEGER, -- the next time; null: it is finished
    due_at     INTEGER, -- next_at with the jitter
    last_at    INTEGER, -- the newest time for which a task was added
    last_task  INTEGER, -- that task; it may have been pruned
    fired      INTEGER NOT NULL, -- tasks that it has added
    skipped    INTEGER NOT NULL, -- times that were left out, as the last task was unfinished
    error      TEXT, -- why no task was added at its newest time, or why it was paused
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX schedule_due ON schedule (due_at) WHERE paused = 0 AND due_at IS NOT NULL;
