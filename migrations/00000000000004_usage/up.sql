-- What runs used, and the budgets they count against. Nothing here is written for attempts that tell no usage and tasks
-- that have no budget. Money is in millionths of a US dollar, times are Unix milliseconds.

-- The ledger by day (Unix days, UTC). It stays when tasks are pruned. Empty text: not told.
CREATE TABLE usage_day (
    day         INTEGER NOT NULL,
    pool        TEXT    NOT NULL,
    provider    TEXT    NOT NULL,
    model       TEXT    NOT NULL,
    attempts    INTEGER NOT NULL,
    input       INTEGER NOT NULL,
    cache_read  INTEGER NOT NULL,
    cache_write INTEGER NOT NULL,
    output      INTEGER NOT NULL,
    micros      INTEGER NOT NULL, -- cost, as far as it is known
    estimated   INTEGER NOT NULL, -- the part of it that was computed from prices
    unpriced    INTEGER NOT NULL, -- attempts whose cost nobody knows
    PRIMARY KEY (day, pool, provider, model)
) STRICT, WITHOUT ROWID;

-- The same by task, for as long as the hub knows the task.
CREATE TABLE usage_task (
    task_id     INTEGER NOT NULL,
    day         INTEGER NOT NULL,
    pool        TEXT    NOT NULL,
    provider    TEXT    NOT NULL,
    model       TEXT    NOT NULL,
    attempts    INTEGER NOT NULL,
    input       INTEGER NOT NULL,
    cache_read  INTEGER NOT NULL,
    cache_write INTEGER NOT NULL,
    output      INTEGER NOT NULL,
    micros      INTEGER NOT NULL,
    estimated   INTEGER NOT NULL,
    unpriced    INTEGER NOT NULL,
    PRIMARY KEY (task_id, day, pool, provider, model)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_task_day ON usage_task (day);

-- A budget: hub, pool:NAME, provider:NAME (as who asked last told its limit), task:ID, tree:ID (as enqueued).
CREATE TABLE budget (
    scope           TEXT    PRIMARY KEY,
    tokens          INTEGER, -- the limit; null: none
    micros          INTEGER,
    raise_tokens    INTEGER, -- what an approval adds to the limit of a task or tree
    raise_micros    INTEGER,
    per             INTEGER NOT NULL, -- length of the window; 0: for ever
    since           INTEGER NOT NULL, -- begin of the window that `used` counts
    used_tokens     INTEGER NOT NULL,
    used_micros     INTEGER NOT NULL,
    reserved_tokens INTEGER NOT NULL,
    reserved_micros INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What an attempt holds of its budgets. After an attempt that ended without an ack the row stays, with nothing held: its
-- late ack must know what was counted already.
CREATE TABLE reservation (
    task_id        INTEGER PRIMARY KEY,
    fence          INTEGER NOT NULL,
    tokens         INTEGER NOT NULL,
    micros         INTEGER NOT NULL,
    told_tokens    INTEGER NOT NULL, -- what the run said it had used
    told_micros    INTEGER NOT NULL,
    counted_tokens INTEGER NOT NULL, -- what is in `used` already
    counted_micros INTEGER NOT NULL,
    scopes         TEXT    NOT NULL  -- JSON: the budgets it is held of
) STRICT;

-- Attempts from before are in the ledger without pool, provider and model, which nobody wrote down. Figures that no sum
-- could hold, which clients could write, must not keep a hub from its store.
INSERT INTO usage_task
SELECT task_id, ended_at / 86400000, '', '', '', count(*),
       CAST(total(json_extract(usage, '$.input_tokens')) AS INTEGER),
       CAST(total(json_extract(usage, '$.cache_read_tokens')) AS INTEGER),
       CAST(total(json_extract(usage, '$.cache_write_tokens')) AS INTEGER),
       CAST(total(json_extract(usage, '$.output_tokens')) AS INTEGER),
       CAST(round(total(json_extract(usage, '$.cost_usd')) * 1000000) AS INTEGER),
       CAST(round(total(CASE WHEN json_extract(usage, '$.cost_estimated')
                             THEN json_extract(usage, '$.cost_usd') END) * 1000000) AS INTEGER),
       sum(json_extract(usage, '$.cost_usd') IS NULL)
FROM attempt WHERE usage IS NOT NULL
GROUP BY task_id, ended_at / 86400000;
INSERT INTO usage_day
SELECT day, pool, provider, model, sum(attempts), CAST(total(input) AS INTEGER), CAST(total(cache_read) AS INTEGER),
       CAST(total(cache_write) AS INTEGER), CAST(total(output) AS INTEGER), CAST(total(micros) AS INTEGER),
       CAST(total(estimated) AS INTEGER), sum(unpriced)
FROM usage_task GROUP BY day, pool, provider, model;
