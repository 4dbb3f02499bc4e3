"""Statements as files that an operator downloads from an account's page."""

from datetime import UTC, datetime

from tests.console.visitors import Console
from tests.service import rich


async def test_account_page_leads_to_its_statement_in_each_form(console: Console) -> None:
    _, account = await rich(console.service)
    visitor = await console.admin()
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    page = await visitor.get(f"/accounts/{account}?from=2020-01-01&to={today}")
    links = [link for link in page.links if "/file?" in link]
    assert len(links) == 3
    for link, media_type, start in zip(
        links,
        ("text/csv", "application/x-ndjson", "application/pdf"),
        (b"Number,Date", b'{"opening"', b"%PDF"),
        strict=True,
    ):
        async with visitor.http.get(f"{visitor.url}{link}") as answer:
            assert answer.status == 200
            assert answer.headers["content-type"].startswith(media_type)
            assert answer.headers["content-disposition"].startswith('attachment; filename="stat')
            assert answer.headers["cache-control"] == "no-store"
            assert (await answer.read()).startswith(start)


async def test_file_that_there_is_not_is_told_on_a_page(console: Console) -> None:
    _, account = await rich(console.service)
    visitor = await console.admin()
    for query, status in {
        "format=xls": 400,
        "": 400,
        "format=csv&from=yesterday": 400,
        "format=csv&from=2026-01-02&to=2026-01-01": 400,
    }.items():
        shown = await visitor.get(f"/accounts/{account}/file?{query}")
        assert (shown.status, shown.headers["content-type"]) == (status, "text/html; charset=utf-8")
    nobodys = "00000000-0000-7000-8000-000000000000"
    assert (await visitor.get(f"/accounts/{nobodys}/file?format=csv")).status == 404
