# Blotter. "make" alone lists what there is.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
# Words for pytest: make test ARGS="tests/market -x"
ARGS ?=
# The whole suite is shared by two workers, each on servers of its own.
ALL_TESTS := -n 2 --dist loadgroup

.DEFAULT_GOAL := help
.PHONY: help run test lint public-api bench clean

help: ## List these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' \
		| while IFS='|' read -r name text; do printf '%-17s %s\n' "$$name" "$$text"; done

run: $(VENV)/runtime ## Run everything here until Ctrl-C (PORT=8000, DEMO=0 starts empty)
	@exec $(BIN)/python -m config.run

test: $(VENV)/development ## Run the tests on servers of their own (ARGS="tests/alerts -x")
	@exec $(BIN)/python -m pytest $(or $(ARGS),$(ALL_TESTS))

lint: $(VENV)/development ## Check style, types and who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

public-api: $(VENV)/development ## Write down a change of the public API that is meant
	@REWRITE_PUBLIC_API=1 $(BIN)/python -m pytest -q tests/contract/test_public_api.py

bench: $(VENV)/benchmarks ## Measure what must be fast, each against its yardstick
	@exec $(BIN)/python -m benchmarks $(ARGS)

clean: ## Remove the virtual environment and caches; the data in .blotter stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# --- The virtual environment: a stamp file per set of requirements ---------------------------

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Blotter needs Python 3.11 or newer; $(PYTHON) is" \
			"$$($(PYTHON) -V 2>&1 || echo not there). Name another: make PYTHON=python3.12 run"; \
		exit 1; }
	@echo "Making the virtual environment in $(VENV) ..."
ifdef UV
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
else
	@$(PYTHON) -m venv $(VENV) || { \
		echo "$(PYTHON) lacks its venv module (Debian: apt-get install python3-venv)."; exit 1; }
endif

ifdef UV
install = $(UV) pip install --quiet --python $(BIN)/python
else
install = $(BIN)/python -m pip install -qq --disable-pip-version-check
endif

$(VENV)/runtime: requirements.txt requirements-demo.txt | $(VENV)/bin/python
	@echo "Installing what Blotter runs on ..."
	@$(install) -r requirements.txt
	@$(install) --no-deps --upgrade --target $(VENV)/demo -r requirements-demo.txt \
		|| echo "The demo's data could not be installed; Blotter works without it."
	@touch $@

$(VENV)/development: requirements-dev.txt $(VENV)/runtime
	@echo "Installing what tests and checks need ..."
	@$(install) -r requirements-dev.txt
	@touch $@

$(VENV)/benchmarks: requirements-bench.txt $(VENV)/development
	@echo "Installing what benches are measured against (about 1 GB) ..."
	@$(install) -r requirements-bench.txt && touch $@ \
		|| echo "Some of it could not be installed; the benches against it are left out."
