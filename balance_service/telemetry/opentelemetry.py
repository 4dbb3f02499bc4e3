"""How traces are made and sent: the only module that loads OpenTelemetry."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Link, Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

__all__ = ["Span", "Tracing"]

# Of the semantic conventions for gRPC: what a server's span counts as an error.
_ERRORS = {
    "UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
}  # fmt: skip
_DATABASE = {"db.system.name": "postgresql"}
_NAMELESS = "unknown_service"


class Tracing:
    """Makes spans and sends them.

    Args:
        exporter: Takes the spans; by default, what OpenTelemetry's variables name.
    """

    def __init__(self, exporter: SpanExporter | None = None) -> None:
        resource = Resource.create()
        if str(resource.attributes.get("service.name", "")).startswith(_NAMELESS):
            resource = resource.merge(Resource({"service.name": "balance-service"}))
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("balance_service")
        self._propagator = TraceContextTextMapPropagator()

    def stop(self, seconds_max: float) -> None:
        """Sends what is left, for as long as that may take."""
        # A collector that is away would hold the process; a daemon thread does not.
        stopping = threading.Thread(target=self._provider.shutdown, daemon=True)
        stopping.start()
        stopping.join(seconds_max)

    def begin_call(self, method: str, traceparent: str) -> Span:
        """As of `traces.call_began`."""
        name = method.removeprefix("/")
        parent = self._propagator.extract({"traceparent": traceparent}, Context())
        attributes = {"rpc.system.name": "grpc", "rpc.method": name}
        return self._tracer.start_span(name, parent, SpanKind.SERVER, attributes)

    def end_call(self, span: Span, code: str) -> None:
        """As of `traces.call_ended`."""
        span.set_attribute("rpc.response.status_code", code)
        if code in _ERRORS:
            span.set_attribute("error.type", code)
            span.set_status(StatusCode.ERROR)
        span.end()

    @contextmanager
    def commit(self, calls: Iterable[Span | None]) -> Iterator[None]:
        """As of `traces.commit`; where no call is sampled, neither is the commit."""
        sampled = [call for call in calls if call and call.is_recording()]
        if not sampled:
            yield
            return
        links = [Link(call.get_span_context()) for call in sampled]
        with self._tracer.start_as_current_span("commit", Context(), links=links) as span:
            for call in sampled:
                call.add_link(span.get_span_context())
            yield

    def round_trip(self, name: str) -> AbstractContextManager[object]:
        """As of `traces.round_trip`."""
        if not trace.get_current_span().is_recording():
            return nullcontext()
        return self._tracer.start_as_current_span(
            name, kind=SpanKind.CLIENT, attributes={**_DATABASE, "db.query.summary": name}
        )

    def note(self, statement: str) -> None:
        """As of `traces.statement_sent`."""
        trace.get_current_span().add_event(statement)
