-- Parts of `enqueue_batch` requests that are too large for one commit. A batch without its last part was never answered
-- and never made a task. A part is deleted in the commit that makes its tasks.
CREATE TABLE batch_part (
    batch INTEGER NOT NULL,
    first INTEGER NOT NULL, -- the position in the batch of the first task of the part
    next  INTEGER NOT NULL, -- the position after its last task
    last  INTEGER NOT NULL, -- 1 if the batch ends with this part
    at    INTEGER NOT NULL, -- the time of the commit in Unix milliseconds, from which delays count
    tasks TEXT    NOT NULL, -- parameters of `enqueue_batch`, as JSON
    PRIMARY KEY (batch, first)
) STRICT;
