-- The labels of tasks. A separate table costs nothing if labels are not used. A label's tasks are in id order.
CREATE TABLE task_label (
    label   TEXT    NOT NULL,
    task_id INTEGER NOT NULL,
    PRIMARY KEY (label, task_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX task_label_task ON task_label (task_id);
