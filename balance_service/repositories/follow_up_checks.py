"""What must be true of holds, and of all that refers to an earlier movement."""

from balance_service.repositories import queries

SQL = queries.load(__file__)

CHECKS = {
    "held_is_sum_of_holds": "every account holds what is left of its holds",
    "hold_follows_from_movements": "every hold is what its movements left of it",
    "hold_has_purpose": "every hold is for a movement that can be made",
    "hold_shows_balance": "every hold shows a balance that its account had",
    "follow_has_movement": "what follows a movement agrees with its own",
    "follow_fits_original": "reversals and captures fit what they follow",
    "follows_within_original": "nothing is reversed or captured twice",
}
