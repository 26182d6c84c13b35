-- Decisions of people about a run that are not carried out yet, by their number: each further one counts.
ALTER TABLE plan_run ADD COLUMN agreed INTEGER NOT NULL DEFAULT 0; -- waiting steps may go on
ALTER TABLE plan_run ADD COLUMN raised INTEGER NOT NULL DEFAULT 0; -- tasks that wait for the budget may run
