-- A permission request may offer several ways to allow it, such as "Which database?"; a person chooses one of them.
ALTER TABLE approval ADD COLUMN options TEXT; -- JSON list of {"id", "name"}
ALTER TABLE approval ADD COLUMN chosen  TEXT; -- the id of one of them
