PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
INSTALLED := .venv/.installed
RIVALS := .venv/.rivals

.PHONY: demo test check bench docs install clean

install: $(INSTALLED)

$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(INSTALLED)
	$(BIN)/lbt demo --out demo

test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(RIVALS)
	$(BIN)/python -m benchmarks $(BENCH)

docs: $(INSTALLED)
	$(BIN)/python -m sphinx -W -b html docs docs/_build

$(RIVALS): $(INSTALLED) benchmarks/constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		-c benchmarks/constraints.txt -e '.[bench]'
	touch $@

clean:
	rm -rf .venv demo docs/_build build dist *.egg-info .mypy_cache .ruff_cache .hypothesis
