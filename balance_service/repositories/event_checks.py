"""What must be true of the log of events: it tells what the journal has, once and in its order."""

from balance_service.repositories import queries

SQL = queries.load(__file__)

CHECKS = {
    "event_is_numbered": "events are numbered without gaps",
    "movement_has_event": "every movement has one event, and every event its movement",
    "event_has_entries": "every event of a movement names its entries",
    "events_follow_each_other": "the events of every account come in the order of its entries",
}
