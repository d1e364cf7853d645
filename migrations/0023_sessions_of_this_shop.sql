-- Ends the database sessions of an incarnation, which carry its id as their application name. Those of
-- this database alone: a copy of it on the same server knows the same incarnations.
CREATE OR REPLACE FUNCTION node_sessions_end(p_node uuid) RETURNS void
LANGUAGE sql AS $$
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database()
      AND application_name = 'holdfast-' || p_node AND pid <> pg_backend_pid()
$$;
