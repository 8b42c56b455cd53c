-- Times are microseconds since 1970, UTC. Ids are UUIDv7 made by the service.
-- Every row belongs to one workspace, whose id comes first in every key.

-- What the gateway told of a workspace.
CREATE TABLE workspaces (
    workspace_id UUID NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    channel TEXT NOT NULL CHECK (channel IN ('whatsapp', 'voice')),
    -- IANA.
    timezone TEXT NOT NULL,
    -- Grows with each change of the facts; older ones are ignored.
    version BIGINT NOT NULL,
    -- TRUE: everything of it is forgotten, and late news of it is nobody's.
    deleted BOOLEAN NOT NULL
);

-- How a workspace's bot behaves. No row: the defaults.
CREATE TABLE settings (
    workspace_id UUID NOT NULL PRIMARY KEY,
    settings JSONB NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE leads (
    workspace_id UUID NOT NULL,
    lead_id UUID NOT NULL,
    name TEXT NOT NULL,
    -- E.164. NULL: not known.
    phone TEXT,
    email TEXT,
    -- The messaging provider's id of the person. NULL: not known.
    external_id TEXT,
    -- Where messages go, as it was received: a channel, a colon, an address. NULL: nowhere yet.
    address TEXT,
    stage TEXT NOT NULL
        CHECK (stage IN ('new', 'contacted', 'qualified', 'booked', 'escalated', 'lost', 'opted_out')),
    -- The stage before opting out. NULL when not opted out.
    stage_before TEXT,
    source TEXT NOT NULL CHECK (source IN ('form', 'whatsapp', 'phone', 'api')),
    opted_out BOOLEAN NOT NULL,
    -- TRUE once a message came from the lead: the address is proven.
    wrote BOOLEAN NOT NULL,
    -- What the form asked besides: {"message": …, "answers": {…}}.
    details JSONB NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, lead_id)
);

CREATE UNIQUE INDEX leads_by_phone ON leads (workspace_id, phone) WHERE phone IS NOT NULL;
CREATE UNIQUE INDEX leads_by_external_id ON leads (workspace_id, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX leads_by_email ON leads (workspace_id, lower(email)) WHERE email IS NOT NULL;
CREATE INDEX leads_by_time ON leads (workspace_id, created_at, lead_id);

-- Submissions that were taken, each once.
CREATE TABLE submissions (
    workspace_id UUID NOT NULL,
    submission_id TEXT NOT NULL,
    lead_id UUID NOT NULL,
    PRIMARY KEY (workspace_id, submission_id)
);

CREATE INDEX submissions_by_lead ON submissions (workspace_id, lead_id);

CREATE TABLE conversations (
    workspace_id UUID NOT NULL,
    conversation_id UUID NOT NULL,
    lead_id UUID NOT NULL,
    channel TEXT NOT NULL CHECK (channel IN ('whatsapp', 'voice')),
    -- Who answers.
    owner TEXT NOT NULL CHECK (owner IN ('bot', 'person', 'nobody')),
    is_open BOOLEAN NOT NULL,
    -- How many messages the lead wrote here.
    turn BIGINT NOT NULL,
    -- The last number given to a message or a step: their order.
    seq BIGINT NOT NULL,
    -- Until when free text may be sent. NULL: the lead never wrote here.
    window_closes_at BIGINT,
    -- TRUE: the hand-off sentence was said.
    handed_off BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, conversation_id)
);

CREATE UNIQUE INDEX conversations_open ON conversations (workspace_id, lead_id) WHERE is_open;
CREATE INDEX conversations_by_lead ON conversations (workspace_id, lead_id);
CREATE INDEX conversations_by_time ON conversations (workspace_id, updated_at, conversation_id);

CREATE TABLE messages (
    workspace_id UUID NOT NULL,
    -- Of an outbound message: the id of its intent too.
    message_id UUID NOT NULL,
    conversation_id UUID NOT NULL,
    seq BIGINT NOT NULL,
    -- Inbound: its own number. Outbound: how many the lead had written.
    turn BIGINT NOT NULL,
    outbound BOOLEAN NOT NULL,
    author TEXT NOT NULL CHECK (author IN ('lead', 'bot', 'person', 'system')),
    text TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('received', 'planned', 'sending', 'accepted', 'sent', 'delivered',
                                           'read', 'failed', 'unknown', 'dropped')),
    -- Why it failed. NULL otherwise.
    error_code TEXT,
    error_message TEXT,
    -- The provider's id. NULL: not sent yet.
    provider_message_id TEXT,
    -- The run that wrote it. NULL: none did.
    run_id UUID,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, message_id)
);

CREATE UNIQUE INDEX messages_inbound ON messages (workspace_id, provider_message_id) WHERE NOT outbound;
CREATE INDEX messages_by_conversation ON messages (workspace_id, conversation_id, seq);

-- One answer in the making. At most one at a time in a conversation.
CREATE TABLE runs (
    workspace_id UUID NOT NULL,
    run_id UUID NOT NULL,
    conversation_id UUID NOT NULL,
    -- pending: waits for the end of a burst. working: a worker has it, or it goes on at `due_at`.
    -- parked: waits for an intent of its conversation.
    state TEXT NOT NULL CHECK (state IN ('pending', 'working', 'parked', 'done')),
    -- How many replies a newer message dropped.
    reloads BIGINT NOT NULL,
    -- Grows with each claim; a write with an older one is refused.
    fence BIGINT NOT NULL,
    -- When a worker may take it: the end of the burst, of a lease, or of a pause.
    due_at BIGINT NOT NULL,
    -- Model calls that failed since the last one that did not.
    failures BIGINT NOT NULL,
    -- Of the first of them. NULL: none.
    failing_since BIGINT,
    -- W3C trace context of the message that began it. NULL: not traced.
    traceparent TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, run_id)
);

CREATE UNIQUE INDEX runs_active ON runs (workspace_id, conversation_id) WHERE state <> 'done';
CREATE INDEX runs_due ON runs (due_at) WHERE state IN ('pending', 'working');

-- What a run did: model answers and tool results, stored before they are acted on.
CREATE TABLE steps (
    workspace_id UUID NOT NULL,
    run_id UUID NOT NULL,
    -- From 1.
    number BIGINT NOT NULL,
    conversation_id UUID NOT NULL,
    seq BIGINT NOT NULL,
    -- How many messages of the lead were known to it.
    turn BIGINT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('model', 'tool')),
    -- The model's or the tool's.
    name TEXT NOT NULL,
    -- The model's id of the tool call. NULL for a model step.
    call_id TEXT,
    -- As the model wrote them; it may be no JSON.
    arguments TEXT NOT NULL,
    -- JSON: of a model, its items; of a tool, its result.
    result TEXT NOT NULL,
    -- TRUE: a reply that was dropped before it was sent.
    superseded BOOLEAN NOT NULL,
    milliseconds BIGINT NOT NULL,
    tokens BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, run_id, number)
);

CREATE UNIQUE INDEX steps_by_call ON steps (workspace_id, run_id, call_id) WHERE call_id IS NOT NULL;
CREATE INDEX steps_by_conversation ON steps (workspace_id, conversation_id, seq);

-- Effects outside: each is a row before it happens.
CREATE TABLE intents (
    workspace_id UUID NOT NULL,
    intent_id UUID NOT NULL,
    conversation_id UUID NOT NULL,
    lead_id UUID NOT NULL,
    -- reply, first_touch, stop, start, handoff are messages.
    purpose TEXT NOT NULL
        CHECK (purpose IN ('reply', 'first_touch', 'stop', 'start', 'handoff', 'booking')),
    -- unknown: its answer was lost, and evidence is looked for. dropped: never to happen.
    state TEXT NOT NULL CHECK (state IN ('planned', 'sending', 'accepted', 'delivered', 'failed', 'unknown', 'dropped')),
    -- The run and the tool call that want it. NULL: none do.
    run_id UUID,
    call_id TEXT,
    -- Messages of a conversation go out in this order.
    seq BIGINT NOT NULL,
    -- The lead's messages that a reply answers. NULL: a newer one is no reason to drop it.
    turn BIGINT,
    -- Grows with each claim; a write with an older one is refused.
    fence BIGINT NOT NULL,
    -- When a worker may take it: the end of a lease or of a pause.
    due_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    -- What is to happen: to whom, with which words; or which slot for whom.
    payload JSONB NOT NULL,
    -- The provider's id of what happened. NULL: nothing is known to have.
    provider_id TEXT,
    -- When it was first tried. NULL: never.
    sending_at BIGINT,
    -- When the provider was first seen not to know it since the last try. NULL: was not.
    absent_at BIGINT,
    -- When the present row of failures began. NULL: none.
    failing_since BIGINT,
    -- Why the provider refused it. NULL: did not.
    code TEXT,
    -- W3C trace context. NULL: not traced.
    traceparent TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, intent_id)
);

CREATE INDEX intents_due ON intents (due_at) WHERE state IN ('planned', 'sending', 'unknown');
CREATE INDEX intents_by_conversation ON intents (workspace_id, conversation_id, seq);
CREATE UNIQUE INDEX intents_by_call ON intents (workspace_id, run_id, call_id) WHERE call_id IS NOT NULL;
CREATE INDEX intents_by_provider_id ON intents (workspace_id, provider_id) WHERE provider_id IS NOT NULL;
-- Two bookings of one conversation are never under way at once.
CREATE UNIQUE INDEX intents_booking ON intents (workspace_id, conversation_id)
    WHERE purpose = 'booking' AND state IN ('planned', 'sending', 'unknown');

CREATE TABLE bookings (
    workspace_id UUID NOT NULL,
    -- The id of its intent too.
    booking_id UUID NOT NULL,
    conversation_id UUID NOT NULL,
    lead_id UUID NOT NULL,
    provider_uid TEXT NOT NULL,
    start_at BIGINT NOT NULL,
    end_at BIGINT NOT NULL,
    -- IANA.
    timezone TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'accepted', 'cancelled', 'rejected')),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, booking_id)
);

CREATE INDEX bookings_by_time ON bookings (workspace_id, created_at, booking_id);
CREATE INDEX bookings_by_lead ON bookings (workspace_id, lead_id);

CREATE TABLE escalations (
    workspace_id UUID NOT NULL,
    escalation_id UUID NOT NULL,
    conversation_id UUID NOT NULL,
    lead_id UUID NOT NULL,
    -- A stable upper-case word.
    reason TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    -- NULL: open.
    resolved_at BIGINT,
    PRIMARY KEY (workspace_id, escalation_id)
);

CREATE UNIQUE INDEX escalations_open ON escalations (workspace_id, conversation_id, reason)
    WHERE resolved_at IS NULL;
CREATE INDEX escalations_by_time ON escalations (workspace_id, created_at, escalation_id);

-- Model tokens used, by day.
CREATE TABLE token_usage (
    workspace_id UUID NOT NULL,
    -- A date in the workspace's time zone, such as 2026-11-25.
    day TEXT NOT NULL,
    tokens BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, day)
);
