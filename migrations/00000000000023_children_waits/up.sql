-- Tasks of which an attempt has ended to wait for children.
CREATE TABLE children_wait (
    task_id INTEGER PRIMARY KEY,
    fence   INTEGER NOT NULL, -- of that attempt
    after   INTEGER NOT NULL, -- it waited for the children with ids above this one, and up to the next
    upto    INTEGER NOT NULL
) STRICT;
