"""How Sphinx builds these pages: ``pip install -e '.[docs]' && make docs``."""

import lstm_backtrader

project = "lstm_backtrader"
author = "the lstm_backtrader developers"
release = lstm_backtrader.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["conf.py"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True

html_theme = "alabaster"
html_theme_options = {"description": "LSTM forecasts in Backtrader", "page_width": "1000px"}
