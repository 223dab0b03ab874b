"""From a finished run to metrics, trades and one HTML page."""
