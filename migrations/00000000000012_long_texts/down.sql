DROP VIEW task_view;
DROP VIEW text_rest;
DROP TABLE text_piece;
DROP TABLE long_text;
ALTER TABLE task_input DROP COLUMN text_id;
ALTER TABLE attempt DROP COLUMN text_id;
ALTER TABLE note DROP COLUMN text_id;
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
       i.prompt, a.outcome, coalesce(a.result, n.result) AS result, coalesce(a.error, n.error) AS error
FROM task t
JOIN lane l ON l.id = t.lane
LEFT JOIN task_input i ON i.task_id = t.id
LEFT JOIN attempt a ON a.task_id = t.id AND a.fence = t.fence
LEFT JOIN note n ON n.task_id = t.id;
