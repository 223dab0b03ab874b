"""Backtrader strategies for futures, and the baselines every result is shown beside."""
