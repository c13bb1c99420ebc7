-- The accounting of a hold and of a capture, as plain SQL: one call is one transaction and one journey to the server.

CREATE FUNCTION plain_hold(who text, job text, wanted bigint, at double precision) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    lot record;
    part bigint;
    needed bigint := wanted;
BEGIN
    PERFORM 1 FROM wallets WHERE account_id = who FOR NO KEY UPDATE;
    INSERT INTO holds (job_id, account_id, amount, created_at) VALUES (job, who, wanted, at) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    FOR lot IN
        SELECT id, remaining FROM lots
        WHERE account_id = who AND closed_at IS NULL AND remaining > 0 AND (expires_at IS NULL OR expires_at > at)
        ORDER BY priority, expires_at NULLS LAST, created_at, id
    LOOP
        EXIT WHEN needed = 0;
        part := LEAST(needed, lot.remaining);
        UPDATE lots SET remaining = remaining - part WHERE id = lot.id;
        INSERT INTO hold_lots (job_id, lot_id, amount) VALUES (job, lot.id, part);
        INSERT INTO transfers (account_id, kind, debit, credit, amount, lot_id, job_id, reason, key, created_at)
        VALUES (who, 'hold', 'available', 'held', part, lot.id, job, 'Held', 'hold:' || job || ':' || lot.id, at);
        needed := needed - part;
    END LOOP;
    IF needed > 0 THEN
        RAISE EXCEPTION '% credits are missing', needed;
    END IF;
    UPDATE wallets SET available = available - wanted, held = held + wanted WHERE account_id = who;
END $$;

CREATE FUNCTION plain_capture(who text, job text, at double precision) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    owed bigint;
    lot record;
BEGIN
    PERFORM 1 FROM wallets WHERE account_id = who FOR NO KEY UPDATE;
    UPDATE holds SET state = 'captured', captured = amount
    WHERE job_id = job AND account_id = who AND state = 'open' RETURNING amount INTO owed;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    FOR lot IN SELECT lot_id, amount FROM hold_lots WHERE job_id = job LOOP
        INSERT INTO transfers (account_id, kind, debit, credit, amount, lot_id, job_id, reason, key, created_at)
        VALUES (who, 'capture', 'held', 'spent', lot.amount, lot.lot_id, job, 'Spent',
            'capture:' || job || ':' || lot.lot_id, at);
    END LOOP;
    UPDATE wallets SET held = held - owed WHERE account_id = who;
END $$;
