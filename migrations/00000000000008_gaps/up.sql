-- Ids that were skipped when a backup was restored: they may have been given out after it was made.
CREATE TABLE gap (
    first INTEGER PRIMARY KEY,
    last  INTEGER NOT NULL
) STRICT;
