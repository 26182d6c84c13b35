-- The plan with which a run goes on instead of that of its task.
CREATE TABLE plan_text (
    run_id INTEGER PRIMARY KEY,
    plan   TEXT NOT NULL -- a RunPlan as JSON
) STRICT;
