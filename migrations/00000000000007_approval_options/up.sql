-- A tool question may offer several answers that allow, as "Which database?": they are shown, and one of them is chosen.
ALTER TABLE approval ADD COLUMN options TEXT; -- JSON list of {"id", "name"}
ALTER TABLE approval ADD COLUMN chosen  TEXT; -- the id of one of them
