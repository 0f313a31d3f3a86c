# Needs Python 3.11 or newer with venv, make and git; everything else goes into .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: help demo test check format clean

help:
	@echo "make demo    phantoms, masks, overlays and scores, in demo/"
	@echo "make test    lint, types and the test suite"
	@echo "make check   format, then make test"
	@echo "make clean   remove what these made"

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(VENV)/ready
	$(BIN)/xrayseg phantom --count 8 --out demo/sample
	$(BIN)/xrayseg batch demo/sample/images --out demo/masks
	$(BIN)/xrayseg evaluate --images demo/sample/images --masks demo/sample/scr --out demo/scores
	@echo
	@echo "Look at the overlays in demo/masks/overlay; the label maps are in demo/masks/labels,"
	@echo "one row per film is in demo/masks/results.csv, the scores are in demo/scores/metrics.json."

test: $(VENV)/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(VENV)/ready
	$(BIN)/ruff format .
	$(MAKE) test

clean:
	rm -rf $(VENV) demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
