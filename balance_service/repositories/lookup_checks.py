"""What must be true of what users, accounts and movements are looked up by."""

from balance_service.repositories import queries

SQL = queries.load(__file__)

CHECKS = {
    "external_id_has_subject": "external ids lead to users and accounts, and back",
    "label_has_movement": "what movements are found by is in their metadata",
}
