ALTER TABLE attempt DROP COLUMN provider;
