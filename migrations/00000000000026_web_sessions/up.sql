-- The sessions of browsers that are logged in to the web page.
CREATE TABLE web_session (
    hash       TEXT    NOT NULL PRIMARY KEY, -- SHA-256 of the secret, in hex
    who        TEXT    NOT NULL, -- for records
    key_hash   TEXT    NOT NULL, -- of the key whose rights it has; a key that ends, ends it
    is_person  INTEGER NOT NULL, -- 1: with the hub's key, decides as a person
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
