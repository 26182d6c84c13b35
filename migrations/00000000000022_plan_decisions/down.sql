ALTER TABLE plan_run DROP COLUMN agreed;
ALTER TABLE plan_run DROP COLUMN raised;
