-- Targets of notifications, as the settings name them.
CREATE TABLE notify_target (
    id           INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again: rows of a removed target are deleted later
    name         TEXT    NOT NULL UNIQUE,
    delivered    INTEGER, -- the last event that it got
    delivered_at INTEGER,
    lost         INTEGER NOT NULL DEFAULT 0, -- events that were dropped
    failures     INTEGER NOT NULL DEFAULT 0, -- in a row; the next three columns belong to them
    failing_at   INTEGER,
    error        TEXT,
    next_at      INTEGER
) STRICT;

-- Events for targets. The newest row is kept, so that numbers are never used again.
CREATE TABLE notice (
    id    INTEGER PRIMARY KEY,
    nonce INTEGER NOT NULL, -- random; makes the id unique over all hubs, and over copies of this file
    at    INTEGER NOT NULL,
    kind  TEXT    NOT NULL,
    data  TEXT    NOT NULL  -- JSON
) STRICT;

-- The events that a target has not got yet.
CREATE TABLE notice_due (
    target INTEGER NOT NULL,
    notice INTEGER NOT NULL,
    PRIMARY KEY (target, notice)
) STRICT, WITHOUT ROWID;
