"""Backtrader indicators."""
