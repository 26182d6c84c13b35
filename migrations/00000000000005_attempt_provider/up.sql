-- The provider that ran an attempt: with a router it differs from the pool's provider.
ALTER TABLE attempt ADD COLUMN provider TEXT;
