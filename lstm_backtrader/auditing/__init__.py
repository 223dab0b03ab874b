"""The look-ahead audit of Backtrader indicators and strategies, of models, and the command that runs it all."""
