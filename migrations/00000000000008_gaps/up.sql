-- Ids that were skipped when the store was put back from a backup: they may have been given out after it was made.
CREATE TABLE gap (
    first INTEGER PRIMARY KEY,
    last  INTEGER NOT NULL
) STRICT;
