-- Who ran an attempt: with a router that is not the pool's provider.
ALTER TABLE attempt ADD COLUMN provider TEXT;
