"""Leads the requests of an exchange client to the loopback venue, by requests' own means.

The client keeps its https:// URLs, so that signatures, error mapping and all else that looks at them stay the same.
"""

from __future__ import annotations

import re
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter

from lstm_backtrader.errors import ConfigError


class LoopbackAdapter(HTTPAdapter):
    """`session.mount("https://", LoopbackAdapter("http://127.0.0.1:8000"))` sends everything there."""

    def __init__(self, address: str) -> None:
        if not re.fullmatch(r"http://[\w.-]+(:\d+)?/?", address):
            raise ConfigError(f"{address!r} is no address of a loopback venue. Write http://127.0.0.1:8000.")
        super().__init__()
        self.address = address.rstrip("/")

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        """Send to the loopback venue, the whole URL as its path; no proxy lies between."""
        request.url = f"{self.address}/{request.url}"
        kwargs["proxies"] = None
        return super().send(request, *args, **kwargs)
