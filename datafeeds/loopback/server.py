"""The loopback venue itself: an HTTP server that answers for the hosts of all venues.

A client is led to it by `LoopbackAdapter` (see `adapter`), which keeps the venue's own URL in the path, so that the
client signs, asks and reads errors as it does in earnest::

    with LoopbackVenue([ServedMarket("bybit", "BTC/USD:BTC", candles)]) as venue:
        ...  # lbt download --store dry-run --via {venue.address} ...
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ..ccxt_habits import SPEED_HEADER
from . import binance, bingx, bitget, bitmex, bybit
from .faults import Faults
from .market import ServedMarket
from .shelf import Dialect, Refusal, Shelf

DIALECTS: Mapping[str, Dialect] = {
    "fapi.binance.com": binance.answer_linear,
    "dapi.binance.com": binance.answer_inverse,
    "api.bybit.com": bybit.answer,
    "open-api.bingx.com": bingx.answer,
    "api.bitget.com": bitget.answer,
    "www.bitmex.com": bitmex.answer,
}
_STATUS = {"too_many": 429, "overloaded": 503, "bad_gateway": 502}
_PAGE = b"<html><body><h1>502 Bad Gateway</h1></body></html>"


class LoopbackVenue:
    """Serves `markets` on 127.0.0.1 until it is closed.

    `now_ms`: its clock in ms, UTC, a number that may be set anew at any time, or None for the time of day. `speed`:
    how many times faster than ours it goes from `now_ms` on, 0: it stands; clients are told, and wait accordingly.
    `faults`: what goes wrong. `recorded`: URL without its query -> the JSON that is answered to it, or a function
    of the query that gives it, before anything else. `asked`: the URLs so far. `retry_after_s`: told with HTTP 429.
    """

    def __init__(
        self,
        markets: Iterable[ServedMarket] = (),
        *,
        now_ms: int | None = None,
        speed: float = 0.0,
        faults: Faults | None = None,
        recorded: Mapping[str, Any] | None = None,
        port: int = 0,
    ) -> None:
        self.markets = tuple(markets)
        self.now_ms = now_ms
        self.speed = speed
        self._began_s = time.monotonic()
        self.faults = faults or Faults()
        self.recorded = dict(recorded or {})
        self.asked: list[str] = []
        self.retry_after_s: int | None = None
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def address(self) -> str:
        """Where it listens, say http://127.0.0.1:43211."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def clock_ms(self) -> int:
        """What its clock shows."""
        if self.now_ms is None:
            return round(time.time() * 1000)
        return self.now_ms + round((time.monotonic() - self._began_s) * 1000 * self.speed)

    def reply(self, url: str) -> tuple[Any, str | None]:
        """The answer to a venue's URL, and what goes wrong with it on the way."""
        parts = urlsplit(url)
        with self._lock:  # one at a time, so that a seed gives the same faults in every run
            self.asked.append(url)
            plain = f"{parts.scheme}://{parts.netloc}{parts.path}"
            query = dict(parse_qsl(parts.query))
            if plain in self.recorded:
                known = self.recorded[plain]
                return known(query) if callable(known) else known, None
            dialect = DIALECTS.get(parts.netloc)
            if dialect is None:
                return Refusal(404, {"error": f"{parts.netloc} is none of {', '.join(DIALECTS)}"}), None
            fault = self.faults.draw()
            if fault in _STATUS:
                return Refusal(_STATUS[fault], {}), fault
            shelf = Shelf(self.markets, self.clock_ms(), self.faults, fault)
            return dialect(parts.path, query, shelf), fault

    def __enter__(self) -> LoopbackVenue:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle, or is killed, is no error of the venue's."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def _handler(venue: LoopbackVenue) -> Callable[..., BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # or the body waits 40 ms for the header to be acknowledged

        def do_GET(self) -> None:
            reply, fault = venue.reply(self.path.removeprefix("/"))
            if fault == "hang_up":
                self.close_connection = True
                return
            refusal = reply if isinstance(reply, Refusal) else Refusal(200, reply)
            content, kind = json.dumps(refusal.body).encode(), "application/json"
            if fault == "bad_gateway":
                content, kind = _PAGE, "text/html"
            length = len(content)
            if fault in ("cut_body", "cut_json"):
                content = content[: length // 2]
                self.close_connection = True
            self.send_response_only(refusal.status)
            self.send_header("Date", formatdate(venue.clock_ms() / 1000, usegmt=True))
            self.send_header("Content-Type", kind)
            if venue.speed:
                self.send_header(SPEED_HEADER, str(venue.speed))
            if refusal.status == 429 and venue.retry_after_s is not None:
                self.send_header("Retry-After", str(venue.retry_after_s))
            self.send_header("Content-Length", str(len(content) if fault == "cut_json" else length))
            if self.close_connection:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: `asked` has it."""

    return Handler
