-- Times are microseconds since 1970, UTC. Ids are UUIDv7.
-- Hashes are the SHA-256 of a token with 256 random bits, 32 bytes.

-- Holds one row from the moment the first owners exist: only one process makes them.
CREATE TABLE installation (
    id SMALLINT NOT NULL PRIMARY KEY CHECK (id = 1),
    claimed_at BIGINT NOT NULL
);

CREATE TABLE users (
    id UUID NOT NULL PRIMARY KEY,
    -- Those of one start are a microsecond apart, in the order of the configuration.
    created_at BIGINT NOT NULL
);

CREATE TABLE api_keys (
    id UUID NOT NULL PRIMARY KEY,
    -- Whom the key acts as.
    user_id UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash BYTEA NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    name TEXT NOT NULL,
    -- What may be shown of the key, such as cbk_…abcd.
    hint TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    -- To the minute. NULL: never used.
    last_used_at BIGINT
);

CREATE INDEX api_keys_by_user ON api_keys (user_id, created_at, id);

CREATE TABLE sessions (
    hash BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(hash) = 32),
    user_id UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX sessions_by_end ON sessions (expires_at);

CREATE TABLE sign_in_links (
    hash BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(hash) = 32),
    user_id UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    -- NULL: not used yet.
    used_at BIGINT
);

CREATE INDEX sign_in_links_by_end ON sign_in_links (expires_at);

CREATE TABLE workspaces (
    id UUID NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    channel TEXT NOT NULL CHECK (channel IN ('whatsapp', 'voice')),
    -- A name of the IANA time zone database.
    timezone TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    -- Since when the workspace is hidden and being deleted everywhere. NULL: it lives.
    deleting_at BIGINT
);

CREATE INDEX workspaces_being_deleted ON workspaces (deleting_at) WHERE deleting_at IS NOT NULL;

CREATE TABLE memberships (
    workspace_id UUID NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    user_id UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('owner')),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, user_id)
);

CREATE INDEX memberships_by_user ON memberships (user_id, workspace_id);
