"""The bad days of the loopback venue: what goes wrong with an answer, drawn by a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from .market import Row

KINDS = (
    "too_many",  # HTTP 429 with an empty object
    "throttled",  # the venue's own words for too many requests
    "overloaded",  # HTTP 503 with an empty object
    "maintenance",  # the venue's own words for it
    "bad_gateway",  # HTTP 502 with a page in HTML
    "cut_body",  # the connection ends in the middle of the answer
    "cut_json",  # half of the answer, said to be all of it
    "hang_up",  # the connection ends without an answer
    "short_page",  # fewer rows than were asked for and are there
    "twice",  # a row at the edge of a page, twice
)


@dataclass
class Faults:
    """One answer in `1 / rate` goes wrong, in one of `kinds`; the same ones in every run of the same `seed`.

    `seen`: how often each kind went out.
    """

    rate: float = 0.0
    seed: int = 0
    kinds: tuple[str, ...] = KINDS
    seen: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def draw(self) -> str | None:
        """What is to go wrong with the next answer; None: nothing."""
        if self._random.random() >= self.rate:
            return None
        kind = self._random.choice(self.kinds)
        self.seen[kind] = self.seen.get(kind, 0) + 1
        return kind

    def spoil(self, rows: list[Row], kind: str | None) -> list[Row]:
        """The rows of a page as a short page, or with one of them twice."""
        if kind == "short_page" and len(rows) > 1:
            kept = self._random.randrange(1, len(rows))
            return rows[:kept] if self._random.random() < 0.5 else rows[-kept:]
        if kind == "twice" and rows:
            return [rows[0], *rows]
        return rows
