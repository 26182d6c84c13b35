ALTER TABLE plan_item DROP COLUMN cached;
DROP TABLE plan_cache;
