DROP INDEX plan_cache_place;
ALTER TABLE plan_cache DROP COLUMN place;
ALTER TABLE plan_cache DROP COLUMN parts;
