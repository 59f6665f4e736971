"""What an HTTP client may cost the server: bytes, seconds and requests in line."""

from __future__ import annotations

from engine.core.late_dataclass import dataclass

MB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """The limits of one server; all but `remembered_heads` are per connection.

    Attributes:
        max_header_bytes: Request line and headers together; above it the answer is 431.
        max_headers: Header lines of one request. Browsers and SDKs send 10 to 40, proxies add a dozen, and
            Apache stops at 100: 256 refuses only abuse.
        max_body_bytes: Above it the handler is told by `Request.too_large`. The default is what Lambda takes
            for a synchronous invocation (Lambda Developer Guide, "Lambda quotas").
        header_timeout_s: From the first byte of a request to the end of its headers, in all.
        body_timeout_s: Without any byte of the body.
        idle_timeout_s: Between two requests.
        write_timeout_s: Without the peer taking any byte of an answer.
        max_pipelined: Requests that wait behind the one in hand before reading stops.
        linger_bytes, linger_s: How much of what follows a refused request is read and dropped, and for how
            long after the answer, so that the client comes to read the answer before the connection ends.
        remembered_heads: Heads of requests that need not be parsed again, because they were sent before. A
            server whose clients hardly repeat themselves saves memory with few.
    """

    max_header_bytes: int = 65_536
    max_headers: int = 256
    max_body_bytes: int = 6 * MB
    header_timeout_s: float = 10.0
    body_timeout_s: float = 30.0
    idle_timeout_s: float = 75.0
    write_timeout_s: float = 30.0
    max_pipelined: int = 16
    linger_bytes: int = 64 * MB
    linger_s: float = 5.0
    remembered_heads: int = 1024

    def sweep_every_s(self) -> float:
        """How often the timeouts are looked at: each second, or more often where one is short."""
        shortest_s = min(
            self.header_timeout_s,
            self.body_timeout_s,
            self.idle_timeout_s,
            self.write_timeout_s,
            self.linger_s,
        )
        return min(1.0, max(shortest_s / 2, 0.005))
