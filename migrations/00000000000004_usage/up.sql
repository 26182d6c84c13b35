-- Recorded usage, budgets and reservations. Attempts without usage and tasks without a budget have no rows here. Money is
-- in millionths of a US dollar, times are Unix milliseconds.

-- Usage per day (Unix days, UTC). The rows stay when tasks are pruned. An empty text means unknown.
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
    micros      INTEGER NOT NULL, -- the known cost
    estimated   INTEGER NOT NULL, -- the part of it that was computed from prices
    unpriced    INTEGER NOT NULL, -- attempts of unknown cost
    PRIMARY KEY (day, pool, provider, model)
) STRICT, WITHOUT ROWID;

-- Usage per task, until the task is pruned.
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

-- A budget. Scopes: hub, pool:NAME, provider:NAME (limit of the newest reservation), task:ID, tree:ID (as enqueued).
CREATE TABLE budget (
    scope           TEXT    PRIMARY KEY,
    tokens          INTEGER, -- the limit; null means none
    micros          INTEGER,
    raise_tokens    INTEGER, -- added by an approval, for a task or tree
    raise_micros    INTEGER,
    per             INTEGER NOT NULL, -- length of the window; 0 means no window
    since           INTEGER NOT NULL, -- start of the window that `used` counts
    used_tokens     INTEGER NOT NULL,
    used_micros     INTEGER NOT NULL,
    reserved_tokens INTEGER NOT NULL,
    reserved_micros INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The reservation of an attempt. After an end without an ack the row stays without an amount, so that a late ack does not
-- count the same usage again.
CREATE TABLE reservation (
    task_id        INTEGER PRIMARY KEY,
    fence          INTEGER NOT NULL,
    tokens         INTEGER NOT NULL,
    micros         INTEGER NOT NULL,
    told_tokens    INTEGER NOT NULL, -- the usage that the run has reported
    told_micros    INTEGER NOT NULL,
    counted_tokens INTEGER NOT NULL, -- the part that is in `used` already
    counted_micros INTEGER NOT NULL,
    scopes         TEXT    NOT NULL  -- JSON: the budgets of which it is reserved
) STRICT;

-- Existing attempts are counted without pool, provider and model, which were not recorded. Clients could report numbers
-- that overflow a sum; these must not prevent the migration.
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
