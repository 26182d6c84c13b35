-- The position of an item among those of its task: the element of the task's result that is its own.
ALTER TABLE plan_item ADD COLUMN position INTEGER NOT NULL DEFAULT 0;
UPDATE plan_item SET position =
    (SELECT count(*) FROM plan_item AS other WHERE other.task_id = plan_item.task_id AND other.idx < plan_item.idx);
