-- A look at one task's questions must not pass by all others, nor read their arguments.
CREATE INDEX approval_same   ON approval (task_id, args_hash);
-- A query repeats its index's WHERE literally, or SQLite does not use it.
CREATE INDEX approval_task   ON approval (task_id) WHERE state = 0;
CREATE INDEX approval_unused ON approval (task_id) WHERE used = 0;
