-- Work on many tasks that goes on in steps: what is left of it. Kinds: 0 what a task's end means for its dependents, 1
-- what its return means for them, 2 the retry of failed tasks.
CREATE TABLE work (
    id      INTEGER PRIMARY KEY,
    kind    INTEGER NOT NULL,
    task_id INTEGER NOT NULL, -- 0 for kind 2
    state   INTEGER NOT NULL, -- of the task, when the work began
    after   INTEGER NOT NULL, -- tasks up to this id are behind it
    upto    INTEGER NOT NULL, -- later tasks do not concern it
    queue   TEXT,             -- of kind 2: only tasks of this queue
    count   INTEGER NOT NULL
) STRICT;

-- 4096: it failed for the sake of a dependency, and comes back with it.
UPDATE task SET flags = flags | 4096
WHERE state <> 0 AND state <> 4 AND state <> 5 AND state = 6 AND flags & 2 <> 0
  AND id IN (SELECT task_id FROM note WHERE error GLOB 'dependency [0-9]* failed' OR error GLOB 'dependency [0-9]* was cancelled');

-- Which tasks are in the tree of a task with a budget for its tree. Of tasks that are pruned the row stays as long as the
-- tree has others: their children to come are in it too.
CREATE TABLE member (
    task_id INTEGER NOT NULL,
    tree_id INTEGER NOT NULL,
    pruned  INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (task_id, tree_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX member_tree ON member (tree_id, pruned);

INSERT INTO member (task_id, tree_id)
SELECT DISTINCT task_id, value FROM task_input, json_each(options, '$.budget_trees')
WHERE options LIKE '%"budget_trees"%';
-- Those that were left behind.
DELETE FROM budget WHERE scope GLOB 'tree:*'
AND NOT EXISTS (SELECT 1 FROM member WHERE tree_id = CAST(substr(scope, 6) AS INTEGER));

-- What was enqueued under the key, as a hash; null: from before it was kept, anything goes.
ALTER TABLE idempotency ADD COLUMN body INTEGER;
