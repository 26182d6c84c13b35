-- The key of the role `work` under which the newest lease was taken; null for every other client.
ALTER TABLE task ADD COLUMN leased_by TEXT;
