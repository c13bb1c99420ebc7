"""The statements of the event list."""

INSERT_EVENT = """
INSERT INTO events (account_id, job_id, type, data, created_at)
VALUES (:account_id, :job_id, :type, :data, :now)
"""

EVENTS_AFTER = """
SELECT id, job_id, type, data, created_at FROM events
WHERE account_id = :account_id AND id > :after ORDER BY id LIMIT :limit
"""

JOB_EVENTS_AFTER = """
SELECT id, job_id, type, data, created_at FROM events
WHERE account_id = :account_id AND job_id = :job_id AND id > :after ORDER BY id LIMIT :limit
"""

LAST_EVENT = "SELECT COALESCE(MAX(id), 0) AS id FROM events WHERE account_id = :account_id"

# Ids grow with time, so the oldest events are the lowest ids.
DELETE_OLD_EVENTS = """
DELETE FROM events WHERE id IN (SELECT id FROM events ORDER BY id LIMIT :limit) AND created_at < :before
"""

INSERT_LETTER = """
INSERT INTO letters (id, recipient, subject, text, created_at, send_at)
VALUES (:id, :to, :subject, :text, :now, :now)
"""

# Of two processes that look at once the second finds what the first has taken no longer due.
TAKE_LETTERS = """
UPDATE letters SET send_at = :again_at, tries = tries + 1
WHERE send_at <= :now AND id IN (SELECT id FROM letters WHERE send_at <= :now ORDER BY send_at, id LIMIT :limit)
RETURNING id, recipient, subject, text, tries
"""

LETTER_SENT = "UPDATE letters SET send_at = NULL, sent_at = :now, text = '' WHERE id = :id"

LETTER_SHOWN = "UPDATE letters SET send_at = NULL, sent_at = :now WHERE id = :id"

LETTER_AGAIN = "UPDATE letters SET send_at = :at WHERE id = :id"

LETTER_GIVEN_UP = "UPDATE letters SET send_at = NULL, text = '' WHERE id = :id"

NEWEST_LETTERS = """
SELECT id, recipient, subject, text, created_at FROM letters ORDER BY created_at DESC, id DESC LIMIT :limit
"""

FORGET_LETTERS = """
DELETE FROM letters WHERE id IN (
    SELECT id FROM letters WHERE send_at IS NULL AND created_at < :before LIMIT 500)
"""
