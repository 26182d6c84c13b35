ALTER TABLE task DROP COLUMN leased_by;
