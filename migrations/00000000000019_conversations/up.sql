-- Conversations with providers, which a further task can continue.
CREATE TABLE conversation (
    task_id      INTEGER PRIMARY KEY,
    fence        INTEGER NOT NULL, -- of the attempt that reported it
    body         TEXT    NOT NULL, -- JSON: a TaskConversation
    continued_by INTEGER -- the newest task that continues it; it may have been pruned
) STRICT;
