-- The task to which the run of another one has handed over: it begins when that one is done.
CREATE TABLE handoff (
    task_id INTEGER PRIMARY KEY,
    next    INTEGER NOT NULL
) STRICT;
CREATE INDEX handoff_next ON handoff (next);
