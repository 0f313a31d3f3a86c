# Needs Python 3.11 or newer with venv, make and git; everything else goes into .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Python versions of test-matrix; the classifiers in pyproject.toml name the same.
MATRIX ?= 3.11 3.12 3.13
TESTS ?=

.PHONY: help demo test check bounds fuzz lock test-locked test-lowest test-highest test-matrix clean

help:
	@echo "make demo    phantoms, masks, overlays and scores, in demo/"
	@echo "make test    lint, types, import rules and the test suite"
	@echo "make check   format, then make test"
	@echo "make bounds        the kernels' tests with every array access checked"
	@echo "make fuzz          mutated files of every format, for ten minutes"
	@echo "make lock          pin what development needs, with hashes, in requirements.lock"
	@echo "make test-locked   the tests with the versions of requirements.lock"
	@echo "make test-lowest   the tests with the lowest versions that pyproject.toml allows"
	@echo "make test-highest  the tests with the newest versions that it allows"
	@echo "make test-matrix   the tests with each Python of MATRIX ($(MATRIX)) that can be had;"
	@echo "                   TESTS=PATHS runs those alone"
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
	@echo "one row per radiograph is in demo/masks/results.csv, the scores are in demo/scores/metrics.json."

test: $(VENV)/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(VENV)/ready
	$(BIN)/ruff format .
	$(MAKE) test

bounds: $(VENV)/ready
	NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=$(VENV)/numba-bounds $(BIN)/python -m pytest -n 2 \
		tests/kernels tests/test_radiograph.py tests/postprocessing tests/analysis/test_measurements.py \
		tests/training/test_augmentation.py tests/batch/test_pipeline.py

fuzz: $(VENV)/ready
	$(BIN)/python benchmarks/fuzz.py --seconds 600 --keep fuzz-found

# uv resolves; what is installed comes from the locked or resolved list alone.
$(VENV)/bin/uv: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

lock: $(VENV)/bin/uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --generate-hashes --universal \
		--no-emit-index-url --no-header --quiet --output-file requirements.lock

test-locked:
	$(MAKE) .tested-with/locked LIST=requirements.lock HASHES=--require-hashes

test-lowest test-highest: test-%: $(VENV)/bin/uv
	mkdir -p .tested-with
	$(BIN)/uv pip compile pyproject.toml --extra dev --quiet --no-header --no-emit-index-url \
		--resolution $(if $(filter lowest,$*),lowest-direct,highest) --output-file .tested-with/$*.txt
	$(MAKE) .tested-with/$* LIST=.tested-with/$*.txt

.tested-with/%: FORCE
	$(PYTHON) -m venv --clear $@
	$@/bin/python -m pip install --quiet --disable-pip-version-check $(HASHES) -r $(LIST)
	$@/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	$@/bin/python -m pytest -n 2 --dist loadfile

# uv looks for interpreters in PATH, where pyenv's are added, and downloads those that are missing.
test-matrix: $(VENV)/bin/uv
	@failed=; \
	for version in $(MATRIX); do \
		python=$$(PATH="$$PATH:$$(printf '%s:' $$HOME/.pyenv/versions/*/bin)" \
			$(BIN)/uv python find --no-project $$version 2>/dev/null) || \
		python=$$($(BIN)/uv python install --quiet --no-bin $$version 2>/dev/null && \
			$(BIN)/uv python find --no-project $$version); \
		if [ -z "$$python" ]; then \
			echo "Python $$version: NOT TESTED: not installed here, and uv could not download it"; \
			continue; \
		fi; \
		echo "Python $$version: $$python"; \
		$(MAKE) --no-print-directory .tested-with-python/$$version INTERPRETER="$$python" || \
			failed="$$failed $$version"; \
	done; \
	if [ -n "$$failed" ]; then echo "Failed with Python$$failed"; exit 1; fi

.tested-with-python/%: FORCE
	$(BIN)/uv venv --quiet --clear --python $(INTERPRETER) .tested-with/python-$*
	$(BIN)/uv pip install --quiet --python .tested-with/python-$*/bin/python --editable '.[dev]'
	.tested-with/python-$*/bin/python -m pytest -n 2 --dist loadfile $(TESTS)

FORCE:

clean:
	rm -rf $(VENV) .tested-with fuzz-found demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
