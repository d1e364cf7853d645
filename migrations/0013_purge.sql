-- Forgetting, by the Postgres clock and in bounded portions. Nothing here is fenced: these rows have
-- served their time whoever owns them.

CREATE FUNCTION operations_purge(p_limit bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_count bigint;
BEGIN
    DELETE FROM operation WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM operation WHERE at < clock_timestamp() - interval '48 hours'
        ORDER BY at LIMIT p_limit FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS v_count = ROW_COUNT;
    RETURN v_count;
END $$;

-- No access token lives longer than ten minutes.
CREATE FUNCTION access_changes_purge(p_limit bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_count bigint;
BEGIN
    DELETE FROM access_change WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM access_change WHERE at < clock_timestamp() - interval '15 minutes'
        ORDER BY xid LIMIT p_limit FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS v_count = ROW_COUNT;
    RETURN v_count;
END $$;

-- Failures older than the window in which they count.
CREATE FUNCTION login_attempts_purge(p_limit bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_count bigint;
BEGIN
    DELETE FROM login_attempt WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM login_attempt WHERE window_started_at < clock_timestamp() - interval '1 hour'
        ORDER BY window_started_at LIMIT p_limit FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS v_count = ROW_COUNT;
    RETURN v_count;
END $$;

-- Sessions whose last refresh token expired a day ago, ended or not.
CREATE FUNCTION sessions_purge(p_limit bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_count bigint;
BEGIN
    DELETE FROM session WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM session WHERE expires_at < clock_timestamp() - interval '1 day'
        ORDER BY expires_at LIMIT p_limit FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS v_count = ROW_COUNT;
    RETURN v_count;
END $$;
