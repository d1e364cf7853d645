-- Functions that serve one request find rows by key, whatever the statistics say: their statements are
-- planned once for each connection, and no plan that was made for an empty shop reads a full one through.
--
-- Connections plan statements for the values at hand (lists need that), and so did all that is in here, at
-- every call. Functions that purge, or read on from somewhere, still do, and those of one SQL statement.

DO $$
DECLARE
    v_function regprocedure;
BEGIN
    FOR v_function IN
        SELECT oid FROM pg_proc
        WHERE pronamespace = current_schema()::regnamespace AND proname = ANY (ARRAY[
            'consumer_task_dead', 'consumer_task_done', 'consumer_task_failed', 'login_attempts_save',
            'order_settled', 'order_settled_rounds', 'password_set', 'product_create',
            'product_save', 'relay_advance', 'session_create', 'session_save', 'sessions_end',
            'sessions_revoke_all', 'user_register', 'user_update'])
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET plan_cache_mode = force_generic_plan', v_function);
        EXECUTE format('ALTER FUNCTION %s SET enable_seqscan = off', v_function);
    END LOOP;
END $$;
