ALTER TABLE idempotency DROP COLUMN body;
DROP TABLE member;
DROP TABLE work;
