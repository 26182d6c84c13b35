DROP TABLE task_label;
