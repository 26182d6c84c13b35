-- The task to which the run of another one has handed over: it begins when that one is done.
CREATE TABLE handoff (
    task_id INTEGER PRIMARY KEY,
    next    INTEGER NOT NULL,
    fence   INTEGER NOT NULL -- of the lease that handed over: that of another attempt counts no more
) STRICT;
CREATE INDEX handoff_next ON handoff (next);
