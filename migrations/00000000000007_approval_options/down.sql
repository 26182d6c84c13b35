ALTER TABLE approval DROP COLUMN chosen;
ALTER TABLE approval DROP COLUMN options;
