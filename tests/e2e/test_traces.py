"""Calls and commits as a collector of traces sees them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from balance_client import v1
from tests.service import StartService, refused

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
DEPOSIT = "balance.v1.DepositService/CreateDeposit"


@dataclass
class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps the spans that it is sent."""

    spans: list[Span] = field(default_factory=list)
    services: set[str] = field(default_factory=set)

    def Export(
        self, request: trace_service_pb2.ExportTraceServiceRequest, context: object
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        for of_resource in request.resource_spans:
            attributes = {each.key: each.value for each in of_resource.resource.attributes}
            self.services.add(attributes["service.name"].string_value)
            for of_scope in of_resource.scope_spans:
                self.spans.extend(of_scope.spans)
        return trace_service_pb2.ExportTraceServiceResponse()

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    collecting = Collector()
    server = grpc.server(ThreadPoolExecutor(1))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collecting, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    yield collecting
    server.stop(None)


def code_of(span: Span) -> str:
    (code,) = [a.value for a in span.attributes if a.key == "rpc.response.status_code"]
    return str(code.string_value)


async def test_call_continues_its_callers_trace_and_is_linked_with_its_commit(
    collector: Collector, within: None, start_service: StartService
) -> None:
    service = await start_service(traces=True)
    person = await service.person()
    account = await person.open()
    request = v1.CreateDepositRequest(account=account.id, amount="5", currency="RUB")
    metadata = (("traceparent", f"00-{TRACE}-{PARENT}-01"),)
    await person.client.deposits.CreateDeposit(request, metadata=metadata)
    request.amount = "-5"
    await refused(person.client.deposits.CreateDeposit(request))
    await service.app.stop()

    assert collector.services == {"balance-service"}
    done, wrong = collector.named(DEPOSIT)
    assert (done.trace_id.hex(), done.parent_span_id.hex()) == (TRACE, PARENT)
    assert (code_of(done), code_of(wrong)) == ("OK", "INVALID_ARGUMENT")
    assert wrong.trace_id != done.trace_id
    (commit,) = collector.named("commit")
    assert [link.span_id for link in commit.links] == [done.span_id]
    assert [link.span_id for link in done.links] == [commit.span_id]
    assert not wrong.links
    trips = [span for span in collector.spans if span.parent_span_id == commit.span_id]
    assert [span.name for span in trips] == ["lock and look up", "write and COMMIT"]
    assert "lock_for_commit" in [event.name for event in trips[0].events]
    assert "write" in [event.name for event in commit.events]
