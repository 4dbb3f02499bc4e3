"""A ledger that is years old: millions of accounts and movements, and what each takes on disk."""

import psycopg

# Movement i goes from account i to the one half the circle away; in each round every account sends
# once and receives once, so that its sequence has no gaps and its balance returns.
_HISTORY = """
CREATE TEMP TABLE circle AS
SELECT account_id, row_number() OVER (ORDER BY account_id) - 1 AS place FROM accounts;
CREATE UNIQUE INDEX ON circle (place);
ANALYZE circle;
INSERT INTO movements (movement_id, from_account_id, to_account_id, request_id, amount_minor,
    balance_after_minor, created_at, kind, currency, principal, description)
SELECT {id}, a.account_id, b.account_id, {id}, 1, 99999999999999,
    a_time, 4, 'RUB', 'service:history', ''
FROM generate_series(0, {rounds} - 1) AS r (round)
CROSS JOIN circle AS a
INNER JOIN circle AS b ON b.place = (a.place + {accounts} / 2) % {accounts}
CROSS JOIN LATERAL (SELECT now() - interval '1 day' * ({rounds} - r.round)) AS t (a_time);
INSERT INTO entries (account_id, movement_id, counterparty_id, sequence, amount_minor,
    balance_after_minor, created_at, kind)
SELECT a.account_id, {entry_id}, b.account_id, 2 * r.round + s.side, s.amount,
    CASE s.side WHEN 1 THEN 99999999999999 ELSE 100000000000000 END,
    now() - interval '1 day' * ({rounds} - r.round), 4
FROM circle AS a
INNER JOIN circle AS b ON b.place = (a.place + {accounts} / 2) % {accounts}
CROSS JOIN generate_series(0, {rounds} - 1) AS r (round)
CROSS JOIN (VALUES (1, -1), (2, 1)) AS s (side, amount)
ORDER BY a.place, r.round, s.side;
UPDATE accounts SET sequence = 2 * {rounds};
"""
_ID = "lpad(to_hex(r.round::bigint * {accounts} + {place}), 32, '0')::uuid"
_SIZES = """
SELECT relname, pg_relation_size(oid)::float / greatest((SELECT count(*) FROM movements), 1)
FROM pg_class
WHERE relname IN ('movements', 'movements_pkey', 'entries', 'entries_pkey')
ORDER BY relname
"""


def load(url: str, movements: int) -> None:
    """Writes a history of about so many movements over all accounts, and tidies up after it."""
    with psycopg.connect(url, autocommit=True) as conn:
        row = conn.execute("SELECT count(*) FROM accounts").fetchone()
        accounts = row[0] if row else 0
        rounds = max(movements // accounts, 1)
        id_ = _ID.format(accounts=accounts, place="a.place")
        sender = f"CASE s.side WHEN 1 THEN a.place ELSE (a.place + {accounts} / 2) % {accounts} END"
        entry_id = _ID.format(accounts=accounts, place=sender)
        script = _HISTORY.format(rounds=rounds, accounts=accounts, id=id_, entry_id=entry_id)
        for statement in script.split(";\n"):
            if statement.strip():
                conn.execute(statement.encode())
        conn.execute("VACUUM ANALYZE")
        conn.execute("CHECKPOINT")


def sizes(url: str) -> dict[str, float]:
    """Bytes on disk for each movement, by table and index."""
    with psycopg.connect(url, autocommit=True) as conn:
        return dict(conn.execute(_SIZES.encode()).fetchall())
