-- Of a reduce that began while the step went on whose results it merges: the path of that step.
ALTER TABLE plan_step ADD COLUMN merges TEXT;
