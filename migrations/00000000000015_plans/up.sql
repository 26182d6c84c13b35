-- Runs of plans: tasks of the type `plan` that the hub has begun.
CREATE TABLE plan_run (
    task_id    INTEGER PRIMARY KEY,
    state      TEXT    NOT NULL, -- a RunState
    reason     TEXT,
    name       TEXT,
    hash       TEXT, -- of the compiled plan; null until it is compiled
    made       INTEGER NOT NULL, -- tasks of its steps
    wishes     TEXT, -- a JSON list of what `run_retry` asked for and is not done yet
    started_at INTEGER NOT NULL,
    ended_at   INTEGER
) STRICT;
CREATE INDEX plan_run_open ON plan_run (task_id) WHERE ended_at IS NULL;

-- A step of a run, once per pass of the loops around it.
CREATE TABLE plan_step (
    id         INTEGER PRIMARY KEY,
    run_id     INTEGER NOT NULL, -- the task
    path       TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    each       INTEGER NOT NULL, -- 1: the result of a task is a list with one element per item
    shared     INTEGER NOT NULL, -- 1: the items of a task share its result
    state      TEXT    NOT NULL, -- a StepState
    reason     TEXT,
    generation INTEGER NOT NULL, -- times that it was begun anew
    version    INTEGER NOT NULL, -- decisions about it: a command names the version on which it was decided
    total      INTEGER, -- items; null: not known yet
    cursor     INTEGER NOT NULL, -- items that have a row, which are the first ones
    waiting    INTEGER NOT NULL, -- items in each ItemState
    open       INTEGER NOT NULL,
    done       INTEGER NOT NULL,
    failed     INTEGER NOT NULL,
    cancelled  INTEGER NOT NULL,
    streak     INTEGER NOT NULL, -- the newest ends of items in a row that failed with the class `class`
    class      TEXT,
    result     TEXT, -- JSON: where the result is
    started_at INTEGER NOT NULL,
    ended_at   INTEGER
) STRICT;
CREATE UNIQUE INDEX plan_step_path ON plan_step (run_id, path);

CREATE TABLE plan_item (
    step_id INTEGER NOT NULL,
    idx     INTEGER NOT NULL, -- from 0
    key     TEXT    NOT NULL,
    state   INTEGER NOT NULL, -- an ItemState, by its number
    task_id INTEGER, -- the newest; null: none is needed, or its task is to be made again
    class   TEXT, -- of a failure
    PRIMARY KEY (step_id, idx)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX plan_item_key ON plan_item (step_id, key);
CREATE INDEX plan_item_task ON plan_item (task_id) WHERE task_id IS NOT NULL;
-- Few items are in another state than 2, done.
CREATE INDEX plan_item_state ON plan_item (step_id, state, idx) WHERE state <> 2;

-- Items of maps that a client has read.
CREATE TABLE plan_source (
    id         INTEGER PRIMARY KEY,
    items      INTEGER NOT NULL,
    run_id     INTEGER, -- the run that has named it; null: none yet
    created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE plan_source_piece (
    source_id INTEGER NOT NULL,
    first     INTEGER NOT NULL, -- the position of its first item
    items     TEXT    NOT NULL, -- a JSON list
    UNIQUE (source_id, first)
) STRICT;
