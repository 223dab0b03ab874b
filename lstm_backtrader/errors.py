"""The exceptions of lstm_backtrader: every message names the rule, the value and the way out.

::

    LbtError
    ├── DataError          candles, funding or mark prices break the contract
    ├── ModelError         an artefact is damaged, or does not fit the data it is used on
    │   └── TimeframeError     the bars are longer or shorter than those the model was trained on
    ├── ConfigError        an option or parameter is outside its range
    │   └── LeverageError      leverage, margin or stop that the contract does not allow
    ├── VenueError         a venue gives no answer, or refuses the question
    ├── LookAheadError     the audit found something that knows the future
    └── ReportError        the returns cannot be turned into a report
"""

from __future__ import annotations


class LbtError(Exception):
    """Root of everything this package raises on purpose; the command line prints it in one line."""


class DataError(LbtError, ValueError):
    """Candles, funding or mark prices break the contract of `lstm_backtrader.candles`."""


class ModelError(LbtError, ValueError):
    """A model artefact is damaged, of another schema, or does not fit the data."""


class TimeframeError(ModelError):
    """The measured bar length, or the place of the bars on the clock, differs from the model's."""


class ConfigError(LbtError, ValueError):
    """An option or a parameter is outside its documented range."""


class LeverageError(ConfigError):
    """A leverage, margin or stop that the contract does not allow."""


class VenueError(LbtError, RuntimeError):
    """A venue gives no answer, or refuses the question."""


class LookAheadError(LbtError, AssertionError):
    """The audit has findings: something knows more than its bars can tell. A failure, and so named, in a test."""


class ReportError(LbtError, ValueError):
    """Returns or equity that cannot be turned into a correct report."""
