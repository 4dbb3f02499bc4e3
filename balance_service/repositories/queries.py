"""Named SQL from the .sql file beside a module; the design is procrastinate's.

A query starts with a line `-- name --` and a comment that says its purpose, and ends with `;`. What
several queries of a file have in common, such as a list of columns, is written in one of them,
between `-- begin NAME --` and `-- end NAME --`; the others say `-- include NAME --` in its place.

Where a cluster of servers needs another text, a line that only one server gets ends with
`-- on one server --`, or the query of that name is written anew in the `.cluster.sql` file beside.
What that has between `begin` and `end` is included in place of what has that name here.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, LiteralString, TypeAlias, cast

from psycopg import AsyncConnection

_NAME = re.compile(r"^-- (\w+) --$", re.MULTILINE)
# Looked at from each beginning, for a fragment may contain another.
_FRAGMENT = re.compile(
    r"^ *-- begin (\w+) --\n(?=(.*?)\n *-- end \1 --$)", re.MULTILINE | re.DOTALL
)
_INCLUDE = re.compile(r"^ *-- include (\w+) --$", re.MULTILINE)
_ON_ONE_SERVER = re.compile(r"^.*-- on one server --\n", re.MULTILINE)

Queries: TypeAlias = Mapping[str, LiteralString]


class Statements(dict[str, LiteralString]):
    """The queries of a module by name, as one server takes them.

    Args:
        one_server: Their texts.
        cluster: Their texts for a cluster.
    """

    def __init__(self, one_server: Queries, cluster: Queries) -> None:
        super().__init__(one_server)
        self.on_cluster: Final = cluster

    def of(self, conn: AsyncConnection) -> Queries:
        """The queries as the server of a connection takes them."""
        return self.on_cluster if is_of_cluster(conn) else self


def is_of_cluster(conn: AsyncConnection) -> bool:
    """Whether a connection leads to a cluster of servers, as its pool found out."""
    return getattr(conn, "of_cluster", False)


def load(module_file: str) -> Statements:
    """The queries beside a module, by name.

    Args:
        module_file: The module's `__file__`.

    Raises:
        ValueError: Text stands before the first name, a name is used twice, a query does not end
            with `;`, or an included fragment is not written anywhere.
    """
    path = Path(module_file).with_suffix(".sql")
    text = path.read_text(encoding="utf-8")
    fragments = dict(_FRAGMENT.findall(text))
    one_server = _parse(path, text, fragments)
    beside = path.with_suffix(".cluster.sql")
    anew = beside.read_text(encoding="utf-8") if beside.exists() else ""
    there = {name: _ON_ONE_SERVER.sub("", fragment) for name, fragment in fragments.items()}
    there |= dict(_FRAGMENT.findall(anew))
    on_cluster = _parse(path, _ON_ONE_SERVER.sub("", text), there) | _parse(beside, anew, there)
    return Statements(one_server, on_cluster)


def _parse(path: Path, text: str, fragments: Mapping[str, str]) -> dict[str, LiteralString]:
    """The queries of a text, by name; the path is for errors."""
    # What is included may include others, but these no more.
    for _ in range(2):
        if unknown := set(_INCLUDE.findall(text)) - fragments.keys():
            raise ValueError(f"{path.name}: included, but not written anywhere: {sorted(unknown)}")
        text = _INCLUDE.sub(lambda include: fragments[include[1]], text)
    head, *parts = _NAME.split(text)
    names, bodies = parts[::2], [body.strip() for body in parts[1::2]]
    if head.strip() or len(set(names)) != len(names):
        raise ValueError(f"{path.name}: text before the first query, or a name used twice")
    if not all(body.endswith(";") for body in bodies):
        raise ValueError(f"{path.name}: a query does not end with a semicolon")
    statements = [body.removesuffix(";").rstrip() for body in bodies]
    # psycopg takes only literal SQL, so that no caller's text can become SQL. Files of this
    # package are as literal as it gets.
    return {
        name: cast("LiteralString", statement)
        for name, statement in zip(names, statements, strict=True)
    }
