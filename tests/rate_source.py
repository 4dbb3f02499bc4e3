"""A local server of exchange rates in the formats of the real ones."""

import contextlib
import http.server
import threading
from collections.abc import Iterator
from datetime import datetime

CBR = """<?xml version="1.0" encoding="windows-1251"?>
<ValCurs Date="{date}" name="Foreign Currency Market">
<Valute ID="R01235"><NumCode>840</NumCode><CharCode>USD</CharCode><Nominal>1</Nominal>
<Name>Доллар США</Name><Value>78,9988</Value><VunitRate>78,9988</VunitRate></Valute>
<Valute ID="R01820"><NumCode>392</NumCode><CharCode>JPY</CharCode><Nominal>100</Nominal>
<Name>Иен</Name><Value>51,2345</Value><VunitRate>0,512345</VunitRate></Valute>
<Valute ID="R01589"><NumCode>960</NumCode><CharCode>XDR</CharCode><Nominal>1</Nominal>
<Name>СДР</Name><Value>108,1234</Value><VunitRate>108,1234</VunitRate></Valute>
</ValCurs>"""


ECB = """<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01"
 xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">
<gesmes:subject>Reference rates</gesmes:subject>
<gesmes:Sender><gesmes:name>European Central Bank</gesmes:name></gesmes:Sender>
<Cube><Cube time='2026-11-23'><Cube currency='USD' rate='1.1572'/>
<Cube currency='JPY' rate='178.31'/></Cube></Cube></gesmes:Envelope>"""


def cbr(day: datetime, dollar: str = "78,9988") -> bytes:
    text = CBR.format(date=day.strftime("%d.%m.%Y")).replace("78,9988", dollar)
    return text.encode("windows-1251")


class Source:
    """A local server that answers with a document, or one for each day asked for, and counts."""

    def __init__(self) -> None:
        self.document = b""
        self.by_day: dict[str, bytes] = {}
        self.headers: dict[str, str] = {}
        self.status = 200
        self.asked = 0
        source = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                source.asked += 1
                _, _, day = self.path.partition("date_req=")
                document = source.by_day.get(day, source.document)
                self.send_response(source.status if document else 503)
                for name, value in source.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(document)

            def log_message(self, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/daily.xml"


@contextlib.contextmanager
def serving() -> Iterator[Source]:
    made = Source()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        thread.join()
        made.server.server_close()
