"""Feeds that hand candles to Cerebro, and a synthetic market with a known oracle."""
