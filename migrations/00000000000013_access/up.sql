-- The keys of clients. Only a hash of each secret is stored: a secret is 32 random bytes, which cannot be found by trying, so
-- a plain SHA-256 protects it as well as a slow password hash would, and costs a microsecond per request.
CREATE TABLE credential (
    name       TEXT    NOT NULL PRIMARY KEY,
    role       TEXT    NOT NULL,
    hash       TEXT    NOT NULL UNIQUE, -- SHA-256 of the secret, in hex
    scope      TEXT    NOT NULL, -- JSON
    created_at INTEGER NOT NULL,
    expires_at INTEGER, -- null: never
    used_at    INTEGER, -- exact to a minute
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

-- Changes, and requests that were refused for lack of a right.
CREATE TABLE audit (
    id         INTEGER PRIMARY KEY,
    at         INTEGER NOT NULL, -- of refusals the start of their minute
    who        TEXT    NOT NULL,
    role       TEXT,
    peer       TEXT    NOT NULL,
    method     TEXT    NOT NULL,
    first_task INTEGER, -- the tasks first_task to last_task, few enough for a search by id
    last_task  INTEGER,
    target     TEXT, -- a queue, a permission request or the name of a credential
    code       TEXT, -- the error code of a refusal; null: it succeeded
    count      INTEGER NOT NULL -- refusals of this kind in the minute
) STRICT;
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_task ON audit (first_task) WHERE first_task IS NOT NULL;
CREATE UNIQUE INDEX audit_refusal ON audit (at, who, method, code) WHERE code IS NOT NULL;
