-- Permission requests of running agents, and their decisions. A request is bound to the lease of its attempt (task, fence,
-- call). When that lease is lost, the request is bound to the next attempt that requests the same (tool and args_hash).
--
-- States: 0 open, 1 approved, 2 rejected, 3 void, 4 expired. AUTOINCREMENT: an id that a person may still type in is
-- never reused.
CREATE TABLE approval (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id     INTEGER NOT NULL,
    fence       INTEGER NOT NULL,
    call        TEXT    NOT NULL, -- the agent's name for its call
    tool        TEXT    NOT NULL,
    kind        TEXT,
    title       TEXT    NOT NULL,
    args        TEXT,             -- canonical JSON, beyond 64 KiB cut with a mark
    args_hash   TEXT    NOT NULL, -- SHA-256 of tool and arguments, hexadecimal
    pool        TEXT,
    state       INTEGER NOT NULL,
    loose       INTEGER NOT NULL DEFAULT 0, -- 1: withdrawn; the next attempt that requests the same takes it over
    used        INTEGER NOT NULL DEFAULT 0, -- 1: the decision was delivered, or must not be any more
    asked_at    INTEGER NOT NULL,
    deadline_at INTEGER,
    decided_at  INTEGER,
    by          TEXT,
    reason      TEXT,
    rule        TEXT
) STRICT;

CREATE UNIQUE INDEX approval_call ON approval (task_id, fence, call);
-- A query repeats its index's WHERE literally, or SQLite does not use it.
CREATE INDEX approval_open     ON approval (state)       WHERE state = 0;
CREATE INDEX approval_deadline ON approval (deadline_at) WHERE state = 0 AND deadline_at IS NOT NULL;
