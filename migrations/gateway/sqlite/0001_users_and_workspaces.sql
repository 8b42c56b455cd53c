-- Times are microseconds since 1970, UTC. Ids are UUIDv7 as 16 bytes.
-- Hashes are the SHA-256 of a token with 256 random bits, 32 bytes.

-- Holds one row from the moment the first owners exist: only one process makes them.
CREATE TABLE installation (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    claimed_at INTEGER NOT NULL
) STRICT;

CREATE TABLE users (
    id BLOB NOT NULL PRIMARY KEY,
    -- Those of one start are a microsecond apart, in the order of the configuration.
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE api_keys (
    id BLOB NOT NULL PRIMARY KEY,
    -- Whom the key acts as.
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    name TEXT NOT NULL,
    -- What may be shown of the key, such as cbk_…abcd.
    hint TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    -- To the minute. NULL: never used.
    last_used_at INTEGER
) STRICT;

CREATE INDEX api_keys_by_user ON api_keys (user_id, created_at, id);

CREATE TABLE sessions (
    hash BLOB NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX sessions_by_end ON sessions (expires_at);

CREATE TABLE sign_in_links (
    hash BLOB NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    -- NULL: not used yet.
    used_at INTEGER
) STRICT;

CREATE INDEX sign_in_links_by_end ON sign_in_links (expires_at);

CREATE TABLE workspaces (
    id BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    channel TEXT NOT NULL CHECK (channel IN ('whatsapp', 'voice')),
    -- A name of the IANA time zone database.
    timezone TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    -- Since when the workspace is hidden and being deleted everywhere. NULL: it lives.
    deleting_at INTEGER
) STRICT;

CREATE INDEX workspaces_being_deleted ON workspaces (deleting_at) WHERE deleting_at IS NOT NULL;

CREATE TABLE memberships (
    workspace_id BLOB NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('owner')),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, user_id)
) STRICT;

CREATE INDEX memberships_by_user ON memberships (user_id, workspace_id);
