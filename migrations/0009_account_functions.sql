-- Writes about accounts; the shard is that of the account's id.

CREATE FUNCTION user_insert(
    p_user uuid, p_email text, p_display_name text, p_role text, p_email_verified boolean,
    p_password_hash text, p_created_at timestamptz
) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO app_user
        (user_id, email, display_name, role, email_verified, disabled, password_hash, created_at, version)
    VALUES
        (p_user, p_email, p_display_name, p_role, p_email_verified, false, p_password_hash, p_created_at, 1)
$$;

CREATE FUNCTION user_register(
    p_node uuid, p_epoch bigint, p_operation jsonb, p_user uuid, p_email text, p_display_name text,
    p_role text, p_email_verified boolean, p_password_hash text, p_created_at timestamptz, p_events jsonb
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_node text := fence_one(p_node, 'sessions', p_user, p_epoch);
BEGIN
    PERFORM operation_record(p_operation);
    PERFORM user_insert(p_user, p_email, p_display_name, p_role, p_email_verified, p_password_hash, p_created_at);
    PERFORM events_record(v_node, p_epoch, p_events);
END $$;

-- Makes the first administrator. No node need run yet, so there is no lease to check: the lock on
-- the table is what lets one of two racing callers win.
CREATE FUNCTION admin_bootstrap(
    p_user uuid, p_email text, p_display_name text, p_email_verified boolean, p_password_hash text,
    p_created_at timestamptz, p_events jsonb
) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    LOCK TABLE app_user IN SHARE ROW EXCLUSIVE MODE;
    IF EXISTS (SELECT 1 FROM app_user WHERE role = 'admin') THEN
        RETURN false;
    END IF;
    PERFORM user_insert(p_user, p_email, p_display_name, 'admin', p_email_verified, p_password_hash, p_created_at);
    PERFORM events_record('bootstrap', 0, p_events);
    RETURN true;
END $$;

-- Ends a user's sessions, but for one, and tells all nodes. Its callers have passed the fence.
CREATE FUNCTION sessions_end(p_user uuid, p_except uuid, p_at timestamptz) RETURNS uuid[]
LANGUAGE plpgsql AS $$
DECLARE
    v_live uuid[] := ARRAY(
        SELECT session_id FROM session
        WHERE user_id = p_user AND revoked_at IS NULL AND session_id IS DISTINCT FROM p_except
        ORDER BY session_id FOR UPDATE);
BEGIN
    UPDATE session SET revoked_at = p_at WHERE session_id = ANY (v_live);
    INSERT INTO access_change (kind, subject, at)
    SELECT 'session_ended', ended, p_at FROM unnest(v_live) AS ended;
    RETURN v_live;
END $$;

CREATE FUNCTION user_expect_version(p_user uuid, p_version bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_version bigint;
BEGIN
    SELECT version INTO v_version FROM app_user WHERE user_id = p_user FOR UPDATE;
    IF v_version IS DISTINCT FROM p_version THEN
        PERFORM raise_stale(jsonb_build_array(
            jsonb_build_object('what', 'user', 'user_id', p_user, 'version', v_version)));
    END IF;
END $$;

CREATE FUNCTION user_update(
    p_node uuid, p_epoch bigint, p_operation jsonb, p_user uuid, p_display_name text, p_role text,
    p_email_verified boolean, p_disabled boolean, p_version bigint, p_at timestamptz
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_before app_user;
BEGIN
    PERFORM fence_one(p_node, 'sessions', p_user, p_epoch);
    PERFORM operation_record(p_operation);
    PERFORM user_expect_version(p_user, p_version - 1);
    SELECT * INTO v_before FROM app_user WHERE user_id = p_user;
    UPDATE app_user
    SET display_name = p_display_name, role = p_role, email_verified = p_email_verified,
        disabled = p_disabled, version = p_version
    WHERE user_id = p_user;
    IF p_role <> v_before.role THEN
        INSERT INTO access_change (kind, subject, role, at) VALUES ('role_changed', p_user, p_role, p_at);
    END IF;
    IF p_disabled AND NOT v_before.disabled THEN
        PERFORM sessions_end(p_user, NULL, p_at);
    END IF;
END $$;

CREATE FUNCTION password_set(
    p_node uuid, p_epoch bigint, p_operation jsonb, p_user uuid, p_version bigint, p_password_hash text,
    p_keep_session uuid, p_at timestamptz
) RETURNS uuid[]
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM fence_one(p_node, 'sessions', p_user, p_epoch);
    PERFORM operation_record(p_operation);
    PERFORM user_expect_version(p_user, p_version);
    UPDATE app_user SET password_hash = p_password_hash WHERE user_id = p_user;
    RETURN sessions_end(p_user, p_keep_session, p_at);
END $$;

-- No failures: no row.
CREATE FUNCTION login_attempts_save(
    p_node uuid, p_epoch bigint, p_account uuid, p_failures bigint, p_window_started_at timestamptz
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM fence_one(p_node, 'sessions', p_account, p_epoch);
    IF p_failures = 0 THEN
        DELETE FROM login_attempt WHERE account_id = p_account;
    ELSE
        INSERT INTO login_attempt (account_id, failures, window_started_at)
        VALUES (p_account, p_failures, p_window_started_at)
        ON CONFLICT (account_id) DO UPDATE
        SET failures = excluded.failures, window_started_at = excluded.window_started_at;
    END IF;
END $$;

CREATE FUNCTION raise_stale_session(p_session uuid) RETURNS void
LANGUAGE sql AS $$
    SELECT raise_stale(jsonb_build_array(jsonb_build_object('what', 'session', 'session_id', p_session)))
$$;

-- Signing in forgets the failures before it.
CREATE FUNCTION session_create(
    p_node uuid, p_epoch bigint, p_session uuid, p_user uuid, p_refresh_hash bytea, p_created_at timestamptz,
    p_expires_at timestamptz, p_user_agent text, p_ip text
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM fence_one(p_node, 'sessions', p_user, p_epoch);
    PERFORM 1 FROM app_user WHERE user_id = p_user AND NOT disabled FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'account % cannot sign in', p_user USING ERRCODE = 'HF005';
    END IF;
    INSERT INTO session
        (session_id, user_id, refresh_hash, used_hashes, created_at, last_used_at, expires_at, user_agent, ip)
    VALUES
        (p_session, p_user, p_refresh_hash, '{}', p_created_at, p_created_at, p_expires_at, p_user_agent, p_ip)
    ON CONFLICT (session_id) DO NOTHING;
    IF NOT FOUND THEN
        PERFORM 1 FROM session
        WHERE session_id = p_session AND user_id = p_user AND refresh_hash = p_refresh_hash;
        IF NOT FOUND THEN
            PERFORM raise_stale_session(p_session);
        END IF;
    END IF;
    DELETE FROM login_attempt WHERE account_id = p_user;
END $$;

CREATE FUNCTION session_save(
    p_node uuid, p_epoch bigint, p_session uuid, p_user uuid, p_expected_hash bytea, p_refresh_hash bytea,
    p_used_hashes bytea[], p_last_used_at timestamptz, p_expires_at timestamptz, p_revoked_at timestamptz
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM fence_one(p_node, 'sessions', p_user, p_epoch);
    UPDATE session
    SET refresh_hash = p_refresh_hash, used_hashes = p_used_hashes, last_used_at = p_last_used_at,
        expires_at = p_expires_at, revoked_at = p_revoked_at
    WHERE session_id = p_session AND user_id = p_user
      AND refresh_hash = p_expected_hash AND revoked_at IS NULL;
    IF NOT FOUND THEN
        PERFORM raise_stale_session(p_session);
    END IF;
    IF p_revoked_at IS NOT NULL THEN
        INSERT INTO access_change (kind, subject, at) VALUES ('session_ended', p_session, p_revoked_at);
    END IF;
END $$;

CREATE FUNCTION sessions_revoke_all(
    p_node uuid, p_epoch bigint, p_operation jsonb, p_user uuid, p_except uuid, p_at timestamptz
) RETURNS uuid[]
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM fence_one(p_node, 'sessions', p_user, p_epoch);
    PERFORM operation_record(p_operation);
    RETURN sessions_end(p_user, p_except, p_at);
END $$;

-- Adds a signing key if none signs. The lock on the table lets one of two racing nodes win.
CREATE FUNCTION signing_key_ensure(p_kid text, p_private_key_pem text, p_at timestamptz) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    LOCK TABLE signing_key IN SHARE ROW EXCLUSIVE MODE;
    INSERT INTO signing_key (kid, private_key_pem, created_at)
    SELECT p_kid, p_private_key_pem, p_at
    WHERE NOT EXISTS (SELECT 1 FROM signing_key WHERE retired_at IS NULL);
    RETURN FOUND;
END $$;
