-- What a later task of the same item is compared with, to say why it did not get the result.
ALTER TABLE plan_cache ADD COLUMN place TEXT NOT NULL DEFAULT ''; -- hash of the scope, the step and the key; empty: of an earlier version
ALTER TABLE plan_cache ADD COLUMN parts TEXT NOT NULL DEFAULT ''; -- short hashes of the parts of the fingerprint
CREATE INDEX plan_cache_place ON plan_cache (place, created_at);
