"""Verification of sub-accounts: what waits on them, and what the outbox says of that."""

from balance_service.repositories import queries

SQL = queries.load(__file__)
CHECKS = {
    "sub_accounts_are_counted": "every account has the sub-accounts that it counts",
    "sub_account_is_sum_of_receipts": "every sub-account holds what waits on it",
    "receipt_is_told": "receipts that wait and their events agree",
}
