-- A query for one task's requests must not read those of others, nor their arguments.
CREATE INDEX approval_same   ON approval (task_id, args_hash);
-- A query repeats its index's WHERE literally, or SQLite does not use it.
CREATE INDEX approval_task   ON approval (task_id) WHERE state = 0;
CREATE INDEX approval_unused ON approval (task_id) WHERE used = 0;
