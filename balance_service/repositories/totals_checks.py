"""What must be true of the totals that a trial balance is read from, and of sales."""

from balance_service.repositories import queries

SQL = queries.load(__file__)

CHECKS = {
    "totals_are_of_entries": "every total of a minute is the sum of what was posted in it",
    "totals_are_brought_forward": "totals before the horizon lead to what was brought forward",
    "totals_add_up": "every total of a day is the sum of its minutes",
    "sales_are_of_movements": "the sales of every month are those of its purchases and refunds",
}
