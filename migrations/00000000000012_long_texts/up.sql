-- Texts that are too long for one commit. The row of such a text (in `task_input`, `attempt` or `note`) has its beginning,
-- the pieces have the rest. The pieces are stored before the row, some in each commit.
CREATE TABLE long_text (
    id     INTEGER PRIMARY KEY,
    state  INTEGER NOT NULL, -- 0 its pieces are being stored, 1 a row refers to it, 2 none does, and it is being deleted
    first  INTEGER NOT NULL, -- bytes of the pieces of the row's first text: the prompt or the result
    second INTEGER NOT NULL  -- bytes of the pieces of its second text: the system prompt or the error
) STRICT;
CREATE INDEX long_text_unused ON long_text (state) WHERE state <> 1;

-- A piece is found by its number alone: in an index with the text in it a search would read whole pieces.
CREATE TABLE text_piece (
    id   INTEGER PRIMARY KEY, -- long_text.id * 2^20 + (0 for the first text of the row, 2^19 for the second) + number
    text TEXT NOT NULL
) STRICT;

-- The pieces of a row's texts, put together, and the last one of its first text; null for a text without pieces.
CREATE VIEW text_rest AS
SELECT l.id,
       (SELECT group_concat(p.text, '') FROM (SELECT text FROM text_piece
           WHERE id BETWEEN l.id << 20 AND (l.id << 20) + 524287 ORDER BY id) p) AS first,
       (SELECT group_concat(p.text, '') FROM (SELECT text FROM text_piece
           WHERE id BETWEEN (l.id << 20) + 524288 AND (l.id << 20) + 1048575 ORDER BY id) p) AS second,
       (SELECT text FROM text_piece
           WHERE id BETWEEN l.id << 20 AND (l.id << 20) + 524287 ORDER BY id DESC LIMIT 1) AS first_end
FROM long_text l;

ALTER TABLE task_input ADD COLUMN text_id INTEGER; -- null: no text of the row has pieces
ALTER TABLE attempt    ADD COLUMN text_id INTEGER;
ALTER TABLE note       ADD COLUMN text_id INTEGER;

DROP VIEW task_view;
-- For people.
CREATE VIEW task_view AS
SELECT t.id,
       CASE t.state WHEN 0 THEN 'queued' WHEN 1 THEN 'blocked' WHEN 2 THEN 'scheduled' WHEN 3 THEN 'awaiting_approval'
                    WHEN 4 THEN 'leased' WHEN 5 THEN 'done' WHEN 6 THEN 'failed' WHEN 7 THEN 'cancelled' END AS status,
       l.queue, l.type, t.priority, t.fence, t.attempts, t.max_attempts, t.worker, t.session,
       datetime(t.created_at / 1000, 'unixepoch')  AS created,
       datetime(t.updated_at / 1000, 'unixepoch')  AS updated,
       datetime(t.lease_until / 1000, 'unixepoch') AS leased_until,
       datetime(t.run_at / 1000, 'unixepoch')      AS runs_at,
       datetime(t.finished_at / 1000, 'unixepoch') AS finished,
       i.prompt || coalesce((SELECT first FROM text_rest WHERE id = i.text_id), '') AS prompt, a.outcome,
       coalesce(a.result || coalesce((SELECT first FROM text_rest WHERE id = a.text_id), ''),
                n.result || coalesce((SELECT first FROM text_rest WHERE id = n.text_id), '')) AS result,
       coalesce(a.error || coalesce((SELECT second FROM text_rest WHERE id = a.text_id), ''),
                n.error || coalesce((SELECT second FROM text_rest WHERE id = n.text_id), '')) AS error
FROM task t
JOIN lane l ON l.id = t.lane
LEFT JOIN task_input i ON i.task_id = t.id
LEFT JOIN attempt a ON a.task_id = t.id AND a.fence = t.fence
LEFT JOIN note n ON n.task_id = t.id;
