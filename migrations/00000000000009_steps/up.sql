-- Unfinished bulk work. Kinds: 0 the dependents of a task that ended, 1 the dependents of a task that was retried, 2 the
-- retry of failed tasks.
CREATE TABLE work (
    id      INTEGER PRIMARY KEY,
    kind    INTEGER NOT NULL,
    task_id INTEGER NOT NULL, -- 0 for kind 2
    state   INTEGER NOT NULL, -- of the task, when the work began
    after   INTEGER NOT NULL, -- tasks up to this id are done
    upto    INTEGER NOT NULL, -- tasks above this id are not included
    queue   TEXT,             -- of kind 2: only tasks of this queue
    count   INTEGER NOT NULL
) STRICT;

-- 4096: the task failed because of a dependency, and waits again when that is retried.
UPDATE task SET flags = flags | 4096
WHERE state <> 0 AND state <> 4 AND state <> 5 AND state = 6 AND flags & 2 <> 0
  AND id IN (SELECT task_id FROM note WHERE error GLOB 'dependency [0-9]* failed' OR error GLOB 'dependency [0-9]* was cancelled');

-- The members of trees with a budget. The row of a pruned task stays while the tree has other tasks, as its future
-- children belong to the tree, too.
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
-- Budgets of trees without members.
DELETE FROM budget WHERE scope GLOB 'tree:*'
AND NOT EXISTS (SELECT 1 FROM member WHERE tree_id = CAST(substr(scope, 6) AS INTEGER));

-- A hash of the request's parameters; null for older keys, which match any request.
ALTER TABLE idempotency ADD COLUMN body INTEGER;
