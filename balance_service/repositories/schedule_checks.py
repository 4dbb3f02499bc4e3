"""What must be true of schedules' occurrences and their movements."""

from balance_service.repositories import queries

SQL = queries.load(__file__)

CHECKS = {
    "occurrence_has_movement": "every occurrence that is done has its movement, and no other has",
}
