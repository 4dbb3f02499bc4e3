-- The service's role may update the columns that a statement of the service updates, and no other:
-- a fault in it cannot give an account another owner, a user another id or a session another life.
-- tests/integration/test_grants.py holds these grants to the statements, both ways.

-- What a REVOKE takes from a table it takes from each of its columns, too.
REVOKE UPDATE ON
users, sessions, service_principals, refresh_tokens, idempotency_keys, accounts, system_accounts,
services, rate_sheets, rate_fetches, verifications, sign_in_quotas, known_askers, second_factors,
recovery_codes
FROM balance_service;
-- No released version writes it any more.
REVOKE INSERT, UPDATE, DELETE ON exchange_rates FROM balance_service;

GRANT UPDATE (
    email, username, first_name, last_name, bio, role, second_factor, version, disabled_at,
    erased_at, updated_at
) ON users TO balance_service;
GRANT UPDATE (second_factor, refreshed_at, revoked_at, expires_at) ON sessions TO balance_service;
GRANT UPDATE (secret_hash, revoked_at) ON service_principals TO balance_service;
GRANT UPDATE (used_at) ON refresh_tokens TO balance_service;
GRANT UPDATE (answer) ON idempotency_keys TO balance_service;
GRANT UPDATE (
    balance_minor, held_minor, spent_minor, sequence, changed_at,
    status, limit_minor, debit_limit_minor, daily_limit_minor
) ON accounts TO balance_service;
GRANT UPDATE (balance_minor, entries) ON system_accounts TO balance_service;
GRANT UPDATE (
    name, description, price_minor, currency, repeatable, version, updated_at, deleted_at
) ON services TO balance_service;
GRANT UPDATE (base, currencies, units, worth, fetched_at) ON rate_sheets TO balance_service;
GRANT UPDATE (due_at) ON rate_fetches TO balance_service;
GRANT UPDATE (guesses) ON verifications TO balance_service;
GRANT UPDATE (key, full_at) ON sign_in_quotas TO balance_service;
GRANT UPDATE (mailbox, seen_at) ON known_askers TO balance_service;
GRANT UPDATE (
    sealed_secret, created_at, confirmed_at, last_step
) ON second_factors TO balance_service;
-- Left whole: signing_keys, because LOCK TABLE asks for a right to the table, and
-- confirmation_codes, which version 0.1.0 writes while it runs beside this one.
