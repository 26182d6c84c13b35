ALTER TABLE plan_step DROP COLUMN merges;
