-- Accounts, sessions, and what all nodes must hear about them.

-- The keys that sign access tokens.
CREATE TABLE signing_key (
    kid             text PRIMARY KEY,
    private_key_pem text NOT NULL,
    created_at      timestamptz NOT NULL,
    retired_at      timestamptz
);

CREATE TABLE app_user (
    user_id        uuid PRIMARY KEY,
    email          text NOT NULL CONSTRAINT app_user_email_key UNIQUE,
    display_name   text NOT NULL,
    role           text NOT NULL CHECK (role IN ('customer', 'seller', 'admin')),
    email_verified boolean NOT NULL,
    disabled       boolean NOT NULL,
    password_hash  text NOT NULL CHECK (password_hash LIKE '$%'),
    created_at     timestamptz NOT NULL,
    version        bigint NOT NULL CHECK (version >= 1)
);

-- Failed logins, by account or by the phantom id of an address that has none: no foreign key.
CREATE TABLE login_attempt (
    account_id        uuid PRIMARY KEY,
    failures          bigint NOT NULL CHECK (failures > 0),
    window_started_at timestamptz NOT NULL
);
CREATE INDEX login_attempt_age ON login_attempt (window_started_at);

CREATE TABLE session (
    session_id   uuid PRIMARY KEY,
    user_id      uuid NOT NULL REFERENCES app_user,
    refresh_hash bytea NOT NULL CHECK (octet_length(refresh_hash) = 32),
    used_hashes  bytea[] NOT NULL CHECK (cardinality(used_hashes) <= 64),
    created_at   timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    revoked_at   timestamptz,
    user_agent   text NOT NULL,
    ip           text NOT NULL,
    CONSTRAINT session_in_shard_of_user CHECK (shard_of(session_id) = shard_of(user_id))
);
CREATE INDEX session_of_user ON session (user_id, session_id);
CREATE INDEX session_age ON session (expires_at);

-- The feed by which nodes learn that tokens say too much. Read by transaction id, so that a commit
-- that took long is not missed: see access_changes in the store.
CREATE TABLE access_change (
    xid     xid8 NOT NULL DEFAULT pg_current_xact_id(),
    kind    text NOT NULL CHECK (kind IN ('session_ended', 'role_changed')),
    subject uuid NOT NULL,
    role    text CHECK (role IN ('customer', 'seller', 'admin')),
    at      timestamptz NOT NULL,
    PRIMARY KEY (xid, kind, subject),
    CHECK ((kind = 'role_changed') = (role IS NOT NULL))
);
