"""The forms of statements' files, by their numbers in the contract."""

import enum

from balance_service.messages.statement_files.csv_form import CsvFile
from balance_service.messages.statement_files.form import Heading, StatementFile
from balance_service.messages.statement_files.json_form import JsonFile
from balance_service.messages.statement_files.texts import TEXTS


class Form(enum.IntEnum):
    """The form of a file; the numbers are those of the contract."""

    CSV = 1
    JSON = 2
    PDF = 3

    @property
    def media_type(self) -> str:
        return MEDIA_TYPES[self]

    @property
    def suffix(self) -> str:
        """What a file's name ends with."""
        return _SUFFIXES[self]


MEDIA_TYPES = {
    Form.CSV: "text/csv; charset=utf-8; header=present",
    Form.JSON: "application/x-ndjson",
    Form.PDF: "application/pdf",
}
_SUFFIXES = {Form.CSV: ".csv", Form.JSON: ".jsonl", Form.PDF: ".pdf"}


def begin(form: Form, heading: Heading, language: str) -> StatementFile:
    """Begins a file.

    Args:
        form: Its form.
        heading: What it tells of.
        language: `en` or `ru`; JSON has none.
    """
    if form is Form.CSV:
        return CsvFile(heading, TEXTS[language])
    if form is Form.JSON:
        return JsonFile(heading)
    # Loaded with the first PDF: it costs every worker 15 MB.
    from balance_service.messages.statement_files.pdf_form import PdfFile  # noqa: PLC0415

    return PdfFile(heading, TEXTS[language])
