-- The newest task of each fingerprint of steps with `cache`.
CREATE TABLE plan_cache (
    fingerprint TEXT    PRIMARY KEY,
    task_id     INTEGER NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX plan_cache_task ON plan_cache (task_id);
-- 1: the task was made for an earlier item, whose result this one has.
ALTER TABLE plan_item ADD COLUMN cached INTEGER NOT NULL DEFAULT 0;
