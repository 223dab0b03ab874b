"""The futures account: rules as scalar arithmetic, and the broker that translates them for Backtrader."""
