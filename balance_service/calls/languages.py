"""The languages that refusals are told in, and the choice of one for a caller."""

DEFAULT = "en"
LANGUAGES = (DEFAULT, "ru")
_HEADER_LENGTH_MAX = 200


def choose(accept_language: str) -> str:
    """Chooses the language to answer in, `en` or `ru`.

    Args:
        accept_language: As in HTTP (RFC 9110, 12.5.4), such as `ru-RU,ru;q=0.9,en;q=0.8`. What is
            malformed in it is ignored.
    """
    best, weight_max = DEFAULT, 0.0
    for part in accept_language[:_HEADER_LENGTH_MAX].split(","):
        name, _, parameter = part.partition(";")
        language = name.strip().lower().partition("-")[0]
        weight = _weight(parameter)
        if language in LANGUAGES and weight > weight_max:
            best, weight_max = language, weight
    return best


def _weight(parameter: str) -> float:
    name, _, value = parameter.partition("=")
    if not parameter.strip():
        return 1.0
    try:
        return float(value) if name.strip() == "q" else 0.0
    except ValueError:
        return 0.0
