-- The tasks that a task has enqueued. A separate table costs nothing if `parent_id` is not used.
CREATE TABLE child (
    parent_id INTEGER NOT NULL,
    task_id   INTEGER NOT NULL,
    PRIMARY KEY (parent_id, task_id)
) STRICT, WITHOUT ROWID;

INSERT INTO child (parent_id, task_id)
SELECT json_extract(options, '$.parent_id'), task_id
FROM task_input
WHERE options IS NOT NULL AND json_extract(options, '$.parent_id') IS NOT NULL;
