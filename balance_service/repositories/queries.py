"""Named SQL from the .sql file beside a module; the design is procrastinate's.

A query starts with a line `-- name --` and a comment that says its purpose, and ends with `;`. What
several queries of a file have in common, such as a list of columns, is written in one of them,
between `-- begin NAME --` and `-- end NAME --`; the others say `-- include NAME --` in its place.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import LiteralString, cast

_NAME = re.compile(r"^-- (\w+) --$", re.MULTILINE)
# Looked at from each beginning, for a fragment may contain another.
_FRAGMENT = re.compile(
    r"^ *-- begin (\w+) --\n(?=(.*?)\n *-- end \1 --$)", re.MULTILINE | re.DOTALL
)
_INCLUDE = re.compile(r"^ *-- include (\w+) --$", re.MULTILINE)


def load(module_file: str) -> Mapping[str, LiteralString]:
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
