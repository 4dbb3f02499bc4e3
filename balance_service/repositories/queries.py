"""Named SQL from the .sql file beside a module.

A query starts with a line `-- name --` and a comment that says its purpose; the design is
procrastinate's.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import LiteralString, cast

_NAME = re.compile(r"^-- (\w+) --$", re.MULTILINE)


def load(module_file: str) -> Mapping[str, LiteralString]:
    """The queries beside a module, by name.

    Args:
        module_file: The module's `__file__`.

    Raises:
        ValueError: A name is used twice, or text stands before the first name.
    """
    path = Path(module_file).with_suffix(".sql")
    head, *parts = _NAME.split(path.read_text(encoding="utf-8"))
    names, bodies = parts[::2], parts[1::2]
    if head.strip() or len(set(names)) != len(names):
        raise ValueError(f"{path.name}: text before the first query, or a name used twice")
    # psycopg takes only literal SQL, so that no caller's text can become SQL. Files of this
    # package are as literal as it gets.
    return {
        name: cast("LiteralString", body.strip()) for name, body in zip(names, bodies, strict=True)
    }
