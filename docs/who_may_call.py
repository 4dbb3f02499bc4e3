"""Who may call each RPC, printed from the table that decides it, `calls/access.py`."""

from collections.abc import Iterable, Iterator

from balance_service.calls.access import TABLE, Condition, Rule
from balance_service.config import variable

_ANYBODY = "anybody, without a token"
# What a condition leaves users, and what callers without one have instead.
_USERS = {
    Condition.SELF: ("for themselves", ""),
    Condition.ONESELF: ("about themselves", "about anybody"),
    Condition.OWNER: ("for accounts of their own", "for any"),
    Condition.PARTY: ("where an account of it is theirs", "any"),
    Condition.RECEIVER: ("what they received", "any"),
    Condition.ASKER: ("by quotes that they asked for", ""),
    Condition.LISTENER: ("where they may list all events, too", ""),
    Condition.MAKER: ("those they made", "any"),
    Condition.MAKER_OR_OWNER: ("those they made, or by which their accounts pay", "any"),
    Condition.OTHERS: ("about somebody else than themselves", ""),
    Condition.ITEMS: ("each item as the RPC that it stands for", ""),
}
_CELLS = {
    Condition.NEVER: "",
    Condition.ALWAYS: "yes",
    Condition.SELF: "own",
    Condition.ONESELF: "oneself",
    Condition.OWNER: "owner",
    Condition.PARTY: "party",
    Condition.RECEIVER: "receiver",
    Condition.ASKER: "asker",
    Condition.LISTENER: "listener",
    Condition.MAKER: "maker",
    Condition.MAKER_OR_OWNER: "maker, owner",
    Condition.OTHERS: "others",
    Condition.ITEMS: "items",
}
_MEANINGS = {
    "yes": "whatever it is about",
    "own": "about the caller; it names nobody",
    "oneself": "where the user that it names is the caller",
    "owner": "where the account is the caller's",
    "party": "where an account of the movement is the caller's",
    "receiver": "where the caller received the movement",
    "maker": "where the caller made the hold, schedule or endpoint that it is about",
    "asker": "where the caller asked for the quote",
    "listener": "where the caller may list all events, too",
    "others": "where it is about somebody else",
    "items": "each item as the RPC that it stands for",
}


def sentence(rpc: str) -> str:
    """Who may make a call, in words.

    Args:
        rpc: Its name, which has a row in the table.
    """
    rule = TABLE[rpc]
    if rule.public:
        return _ANYBODY
    limited, free = _limited(rule), _free(rule)
    text = "; ".join(filter(None, [limited, free]))
    return f"{text} ({rule.note})" if rule.note else text


def _limited(rule: Rule) -> str:
    """Whom the rule lets in on a condition."""
    kinds = {"users": rule.user, "admins": rule.admin, "services": rule.scoped}
    if not rule.scopes:
        del kinds["services"]
    if rule.user is not Condition.NEVER:
        del kinds["admins"]
    condition = next((each for each in kinds.values() if each in _USERS), None)
    if condition is None:
        return ""
    who = [_named(kind, rule) for kind, each in kinds.items() if each is condition]
    text = f"{' and '.join(who)}, {_USERS[condition][0]}"
    setting = f", where `{variable(rule.setting)}` allows it" if rule.setting else ""
    return f"{text}{setting}"


def _free(rule: Rule) -> str:
    """Whom the rule lets in whatever the call is about."""
    kinds = {"moderators": rule.moderator, "admins": rule.admin, "services": rule.scoped}
    if not rule.scopes:
        del kinds["services"]
    who = [_named(kind, rule) for kind, each in kinds.items() if each is Condition.ALWAYS]
    what = _USERS.get(rule.user, ("", ""))[1]
    return ", ".join(filter(None, [_listed(who), what])) if who else ""


def _named(kind: str, rule: Rule) -> str:
    if kind != "services":
        return kind
    scopes = _listed([f"`{scope}`" for scope in rule.scopes], "or")
    return f"services with {scopes}"


def _listed(words: list[str], conjunction: str = "and") -> str:
    *first, last = words
    return f"{', '.join(first)} {conjunction} {last}" if first else last


def page(services: Iterable[tuple[str, list[str]]]) -> str:
    """The whole table as a page.

    Args:
        services: Names of services, each with those of its RPCs.
    """
    head = (
        "# Who may call what\n\n"
        "Made from the table in `balance_service/calls/access.py`, which decides it, by"
        " `make docs`.\n\n"
        "An empty cell is refused with"
        " [PERMISSION_MISSING](errors.md#permission_missing). A service without the scope that"
        " hears\n`owner` or `party` owns no account, and is answered as a stranger is.\n"
        "`*`: only where the setting `BALANCE_USER_DEPOSITS` allows it.\n\n"
        "| cell | the call is let in |\n|---|---|\n"
    )
    legend = "".join(f"| {cell} | {meaning} |\n" for cell, meaning in _MEANINGS.items())
    return head + legend + "".join(_section(name, rpcs) for name, rpcs in services)


def _section(service: str, rpcs: list[str]) -> str:
    columns = "RPC | no token | user | moderator | admin | service | with a scope | its scopes"
    links = {rpc: f"[{rpc}](rpcs.md#{rpc.lower()})" for rpc in rpcs}
    rows = "\n".join(f"| {links[rpc]} | {' | '.join(_row(rpc))} |" for rpc in rpcs)
    return f"\n## {service}\n\n| {columns} |\n|---|---|---|---|---|---|---|---|\n{rows}\n"


def _row(rpc: str) -> Iterator[str]:
    rule = TABLE[rpc]
    if rule.public:
        yield from ["yes"] * 6 + [""]
        return
    star = "\\*" if rule.setting else ""
    yield ""
    for condition in (rule.user, rule.moderator, rule.admin):
        yield _CELLS[condition] and _CELLS[condition] + star
    yield _CELLS[rule.service]
    yield _CELLS[rule.scoped] if rule.scopes else ""
    yield ", ".join(f"`{scope}`" for scope in rule.scopes)
