-- A disabled user has no session that goes on.
SELECT
    (SELECT count(*) FROM session) || ' sessions' AS "figure!",
    count(*) AS "breaches!"
FROM session JOIN app_user USING (user_id)
WHERE app_user.disabled AND session.revoked_at IS NULL
