"""The chart of docs/operating/performance.md, drawn from the first table of that page.

`docs/generate_pages.py` writes it, so a changed figure changes the chart as well.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

WIDTH, NAME_WIDTH, BAR_WIDTH_MAX = 880, 336, 420
TOP, ROW_HEIGHT, BAR_HEIGHT = 64, 50, 15
# Of a name "ledger, how it was asked, more": as much as fits before the bars.
NAME_PARTS_MAX = 2

_HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" \
aria-labelledby="title desc" font-family="system-ui, -apple-system, 'Segoe UI', sans-serif" \
font-size="13">
  <title id="title">Transfers a second, beside other ledgers</title>
  <desc id="desc">{described}</desc>
  <style>
    .sheet {{ fill: #ffffff; stroke: #d0d7de; }}
    .many {{ fill: #0969da; }}
    .hot {{ fill: #bf8700; }}
    text {{ fill: #1f2328; }}
    .name {{ text-anchor: end; }}
    @media (prefers-color-scheme: dark) {{
      .sheet {{ fill: #0d1117; stroke: #30363d; }}
      .many {{ fill: #58a6ff; }}
      .hot {{ fill: #d29922; }}
      text {{ fill: #e6edf3; }}
    }}
  </style>
  <rect class="sheet" x="1" y="1" width="{inner_width}" height="{inner_height}" rx="8"/>
  <rect class="many" x="{left}" y="24" width="12" height="12"/>
  <text x="{left_text}" y="35">many accounts</text>
  <rect class="hot" x="{right}" y="24" width="12" height="12"/>
  <text x="{right_text}" y="35">one hot receiver</text>
"""


class Rates(NamedTuple):
    """Transfers a second of a ledger.

    Args:
        name: The ledger and how it was asked.
        many: Between many accounts.
        hot: To one account.
    """

    name: str
    many: int
    hot: int


def draw(page: str) -> str:
    """The chart as SVG, readable on light and on dark pages.

    Args:
        page: Markdown whose first table has a ledger, its rate between many accounts and its rate
            to one account in the first three columns.
    """
    ledgers = list(_read(page))
    height = TOP + ROW_HEIGHT * len(ledgers)
    described = "; ".join(f"{one.name}: {one.many:,} and {one.hot:,}" for one in ledgers)
    head = _HEAD.format(
        width=WIDTH,
        height=height,
        inner_width=WIDTH - 2,
        inner_height=height - 2,
        described=escape(f"Between many accounts, and to one hot receiver. {described}."),
        left=NAME_WIDTH + 16,
        left_text=NAME_WIDTH + 34,
        right=NAME_WIDTH + 160,
        right_text=NAME_WIDTH + 178,
    )
    return head + "".join(_rows(ledgers)) + "</svg>\n"


def _read(page: str) -> Iterator[Rates]:
    table = re.search(r"^\| ledger .*\n(\|.*\n)+", page, re.MULTILINE)
    assert table, "the page has a table of ledgers"
    for line in table[0].splitlines()[2:]:
        name, many, hot = (cell.strip(" *`") for cell in line.split("|")[1:4])
        yield Rates(name.replace("`", ""), int(many.replace(",", "")), int(hot.replace(",", "")))


def _rows(ledgers: Sequence[Rates]) -> Iterator[str]:
    most = max(max(one.many, one.hot) for one in ledgers)
    for number, one in enumerate(ledgers):
        y = TOP + ROW_HEIGHT * number
        name = ", ".join(one.name.split(", ")[:NAME_PARTS_MAX])
        yield f'  <text class="name" x="{NAME_WIDTH}" y="{y + 20}">{escape(name)}</text>\n'
        for kind, rate, top in (("many", one.many, y), ("hot", one.hot, y + BAR_HEIGHT + 2)):
            width = max(round(BAR_WIDTH_MAX * rate / most), 1)
            place = f'x="{NAME_WIDTH + 16}" y="{top}" width="{width}" height="{BAR_HEIGHT}"'
            yield f'  <rect class="{kind}" {place}/>\n'
            after = f'x="{NAME_WIDTH + 22 + width}" y="{top + 12}"'
            yield f'  <text {after} font-size="12">{rate:,}</text>\n'
