-- Times are microseconds since 1970, UTC. Workspace ids are UUIDv7.
-- "Sealed" is a CBV1 record: 90 bytes of header, the ciphertext, a tag of 16.
-- A key id is 8 bytes derived from a key. It names the key and tells nothing about it.

-- The platform keys that the data knows. Never a key itself.
CREATE TABLE keyring (
    key_id BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(key_id) = 8),
    -- Derived from the key, as its id is: two keys of one id are told apart by it.
    key_check BYTEA NOT NULL CHECK (octet_length(key_check) = 16),
    -- Sealed under this key: that it opens proves the configured key.
    canary BYTEA NOT NULL,
    -- TRUE for the one key that seals new data keys.
    is_current BOOLEAN NOT NULL,
    enrolled_at BIGINT NOT NULL
);

-- Two replicas that start on an empty database enrol one key between them.
CREATE UNIQUE INDEX keyring_current ON keyring (is_current) WHERE is_current;

-- The keys that seal a workspace's values. Without its row, everything that it sealed is lost.
CREATE TABLE data_keys (
    workspace_id UUID NOT NULL,
    -- From 1; bound into `sealed`. The highest one seals.
    version BIGINT NOT NULL CHECK (version >= 1),
    -- The id of the data key, which the records that it sealed carry.
    key_id BYTEA NOT NULL CHECK (octet_length(key_id) = 8),
    -- The platform key under which `sealed` is sealed: keyring.key_id.
    platform_key_id BYTEA NOT NULL CHECK (octet_length(platform_key_id) = 8),
    -- Sealed: the 32 bytes of the data key.
    sealed BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, version),
    UNIQUE (workspace_id, key_id)
);

CREATE INDEX data_keys_by_platform_key ON data_keys (platform_key_id, workspace_id);

CREATE TABLE workspace_integrations (
    workspace_id UUID NOT NULL,
    provider TEXT NOT NULL CHECK (provider IN ('twilio', 'vapi', 'calcom', 'openai')),
    -- From 1; grows with each save and each deletion, and is bound into `encrypted_data`.
    revision BIGINT NOT NULL CHECK (revision >= 1),
    -- Sealed: all fields, as one JSON object. NULL: deleted; the row stays, so that no
    -- revision comes twice and no old ciphertext opens as a newer one.
    encrypted_data BYTEA,
    -- The data key that sealed it: data_keys.key_id. NULL with `encrypted_data`.
    key_id BYTEA CHECK (octet_length(key_id) = 8),
    -- In clear: ids, and masks of secrets. Empty when deleted.
    shown_fields JSONB NOT NULL,
    -- When the fields were last saved or deleted.
    updated_at BIGINT NOT NULL,
    -- What the last check of this revision found. NULL: not checked since the save.
    verification JSONB,
    -- The revision that was found not to open. NULL: none was.
    failed_revision BIGINT,
    PRIMARY KEY (workspace_id, provider),
    CHECK ((encrypted_data IS NULL) = (key_id IS NULL))
);

CREATE TABLE tool_tokens (
    workspace_id UUID NOT NULL,
    -- From 1; bound into `sealed`.
    generation BIGINT NOT NULL CHECK (generation >= 1),
    -- Sealed: the token's text.
    sealed BYTEA NOT NULL,
    -- The data key that sealed it: data_keys.key_id.
    key_id BYTEA NOT NULL CHECK (octet_length(key_id) = 8),
    -- The token's SHA-256, by which it is found while nothing can be opened.
    hash BYTEA NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    -- In clear: what may be shown of it, such as cbt_…abcd.
    hint TEXT NOT NULL,
    issued_at BIGINT NOT NULL,
    -- Until when it is accepted. NULL: it is the present one.
    valid_until BIGINT,
    PRIMARY KEY (workspace_id, generation)
);

CREATE UNIQUE INDEX tool_tokens_present ON tool_tokens (workspace_id) WHERE valid_until IS NULL;
