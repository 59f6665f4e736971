"""A receiver of OTLP over HTTP, as a collector is: it decodes what arrives, and keeps it."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from google.protobuf.message import Message
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

_PATHS = {"/v1/traces": ExportTraceServiceRequest, "/v1/metrics": ExportMetricsServiceRequest}


class OtlpReceiver:
    """What arrived so far.

    Attributes:
        url: For `OTEL_EXPORTER_OTLP_ENDPOINT`.
        requests: Decoded, in the order of arrival.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[Message] = []

    def take(self, path: str, body: bytes) -> None:
        request = _PATHS[path]()
        request.ParseFromString(body)
        self.requests.append(request)

    @property
    def spans(self) -> list[tuple[dict[str, Any], Any]]:
        """Each span, behind the attributes of its resource."""
        return [
            (values(resource.resource.attributes), span)
            for request in self.requests
            if isinstance(request, ExportTraceServiceRequest)
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def pushes(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """The metrics of each push by name, behind the attributes of their resource."""
        return [
            (
                values(resource.resource.attributes),
                {metric.name: metric for scope in resource.scope_metrics for metric in scope.metrics},
            )
            for request in self.requests
            if isinstance(request, ExportMetricsServiceRequest)
            for resource in request.resource_metrics
        ]


def values(attributes: Iterator[KeyValue]) -> dict[str, Any]:
    """Attributes as Python has them."""
    return {pair.key: _value(pair.value) for pair in attributes}


def _value(value: AnyValue) -> Any:
    return getattr(value, value.WhichOneof("value"))


@contextmanager
def otlp_receiver() -> Iterator[OtlpReceiver]:
    """A receiver that listens on a free port within the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            receiver.take(self.path, body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = OtlpReceiver(f"http://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
