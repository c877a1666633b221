"""A receiver of OTLP over HTTP for tests: prints its port, then each span it gets as a line of JSON.

Not a collector: it decodes with the official messages of the package opentelemetry-proto and answers as one.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


def value(any_value):
    """The value of an attribute."""
    return getattr(any_value, any_value.WhichOneof("value"))


def attributes(pairs):
    """Attributes as a dictionary."""
    return {pair.key: value(pair.value) for pair in pairs}


def spans(request):
    """Every span of a request, flat."""
    for resource in request.resource_spans:
        service = attributes(resource.resource.attributes).get("service.name")
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield {
                    "service": service,
                    "name": span.name,
                    "trace_id": span.trace_id.hex(),
                    "span_id": span.span_id.hex(),
                    "parent_id": span.parent_span_id.hex(),
                    "kind": span.kind,
                    "begun": span.start_time_unix_nano,
                    "ended": span.end_time_unix_nano,
                    "status": span.status.code,
                    "attributes": attributes(span.attributes),
                }


class Receiver(BaseHTTPRequestHandler):
    """Takes POST /v1/traces."""

    def do_POST(self):
        """Decodes, prints and answers."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        known = self.path == "/v1/traces" and self.headers["Content-Type"] == "application/x-protobuf"
        answer = ExportTraceServiceResponse().SerializeToString()
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        if known:
            for span in spans(ExportTraceServiceRequest.FromString(body)):
                print(json.dumps(span), flush=True)

    def log_message(self, *_):
        """Says nothing of requests."""


server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
print(server.server_address[1], flush=True)
sys.stdout.flush()
server.serve_forever()
