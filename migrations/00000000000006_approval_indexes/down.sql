DROP INDEX approval_unused;
DROP INDEX approval_task;
DROP INDEX approval_same;
