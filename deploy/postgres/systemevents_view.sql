-- For those whose rsyslog already writes its own default table, SystemEvents: a view that Pipit can read as log_entries.
-- Run this instead of schema.sql, in the database Syslog.
--
-- rsyslog wrote its times without a zone, in the local time of the machine it ran on. Put that machine's zone in place of
-- 'UTC' (both times), as `timedatectl` names it, for example 'Europe/Berlin'.

CREATE INDEX IF NOT EXISTS systemevents_by_time ON systemevents ((devicereportedtime AT TIME ZONE 'UTC'), id);
CREATE OR REPLACE VIEW log_entries AS
SELECT id,
       devicereportedtime AT TIME ZONE 'UTC' AS "timestamp",
       fromhost AS host,
       regexp_replace(syslogtag, '(\[\d+\])?:?$', '') AS program,
       facility,
       priority AS severity,
       substring(syslogtag FROM '\[(\d+)\]:?$') AS pid,
       ltrim(message) AS message
FROM systemevents;

DO $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'pipit_reader') THEN
        CREATE ROLE pipit_reader LOGIN;
    END IF;
END
$$;
GRANT SELECT ON log_entries TO pipit_reader;
ALTER ROLE pipit_reader SET default_transaction_read_only = on;
