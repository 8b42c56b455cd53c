-- Times are microseconds since 1970, UTC. Ids are UUIDv7.

-- The outbox of a workspace's facts (name, channel, zone) lies in the row itself: what another
-- service must be told is the present, and a change and its number are one statement.
ALTER TABLE workspaces ADD COLUMN facts_version BIGINT NOT NULL DEFAULT 1;
-- The last version that the agent took. 0: none.
ALTER TABLE workspaces ADD COLUMN facts_delivered BIGINT NOT NULL DEFAULT 0;

CREATE INDEX workspaces_with_news ON workspaces (id) WHERE facts_delivered < facts_version;

-- Workspaces that were made before this table get their form when it is first asked for.
CREATE TABLE forms (
    workspace_id UUID NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    -- 1: the form that every workspace has.
    position BIGINT NOT NULL,
    -- What the form's address holds.
    id UUID NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, position)
);

-- What came from outside, stored before it is answered: webhooks and form submissions. A row lives
-- until the agent took it, and a week longer, so that a late copy of it is known.
CREATE TABLE webhook_inbox (
    -- The order of arrival.
    number BIGINT NOT NULL GENERATED ALWAYS AS IDENTITY UNIQUE,
    workspace_id UUID NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('twilio_message', 'twilio_status', 'form_submission')),
    -- The message's SID; of a status `SID/status`; of a submission its id.
    provider_key TEXT NOT NULL,
    -- Empty when verified. Of an unverified row the SHA-256, in hex, of what was received: a forged
    -- copy takes nobody's place.
    variant TEXT NOT NULL,
    -- False: the vault could not be asked yet, and the row has no effect.
    verified BOOLEAN NOT NULL,
    -- Path and query as they were signed, and the MAC. NULL when verified.
    target TEXT,
    signature BYTEA,
    -- Of a status: the intent in the path. NULL for other kinds.
    intent_id UUID,
    -- The SHA-256 of whom it is about: rows of one lane are handed on in their order.
    lane BYTEA NOT NULL CHECK (octet_length(lane) = 32),
    -- The body as it was received; emptied when the row was handed on.
    payload BYTEA NOT NULL,
    received_at BIGINT NOT NULL,
    -- W3C trace context of the request. NULL: no trace.
    traceparent TEXT,
    -- Who works on it. NULL: nobody.
    lease UUID,
    attempts BIGINT NOT NULL DEFAULT 0,
    -- When it may be taken; while it is worked on, when that counts as given up.
    next_at BIGINT NOT NULL,
    -- NULL: it waits.
    handed_on_at BIGINT,
    -- True: the agent cannot take it, now or later.
    refused BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (workspace_id, kind, provider_key, variant),
    CHECK (verified = (variant = '')),
    CHECK (verified = (signature IS NULL))
);

CREATE INDEX webhook_inbox_waiting ON webhook_inbox (workspace_id, lane, number) WHERE handed_on_at IS NULL;
CREATE INDEX webhook_inbox_due ON webhook_inbox (next_at, number) WHERE handed_on_at IS NULL;
CREATE INDEX webhook_inbox_quarantine ON webhook_inbox (workspace_id, number) WHERE NOT verified;
CREATE INDEX webhook_inbox_leased ON webhook_inbox (lease) WHERE lease IS NOT NULL;
CREATE INDEX webhook_inbox_done ON webhook_inbox (handed_on_at) WHERE handed_on_at IS NOT NULL;
