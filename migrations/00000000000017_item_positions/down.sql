ALTER TABLE plan_item DROP COLUMN position;
