# Two commands for a stranger (demo, test); the others are for those who change the code.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.made-from-pyproject
BENCH_STAMP := $(VENV)/.made-for-bench

.PHONY: help demo test test-motor exhaustive mutants soak bench check lint types format clean chromium

help:
	@echo "make demo    a live MongoDB view of this machine's processes (DURATION=30 ends by itself)"
	@echo "make test    everything, on a real Kafka broker and a real MongoDB-wire server"
	@echo "make test-motor  all tests of the sink on motor's databases; make test runs some of them on both"
	@echo "make exhaustive  every crash point of every history, twice in one run (eight minutes)"
	@echo "make mutants     breaks every guarantee in one line and sees that the tests notice (GUARANTEES='G4 G5')"
	@echo "make soak    the fault run ten times as large, and four smaller ones (FAULT_SEEDS=1,2 repeats some)"
	@echo "make bench   the sink beside its ceiling, MongoDB's connector and Quix Streams, the codec beside Faust's"
	@echo "make check   lint and types"

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "prom_faust needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..."; exit 1; }
	@echo "making $(VENV) (about 20 s with a warm pip cache, a minute without)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --editable ".[local,agents]" --group dev
	@touch $(STAMP)

demo: $(STAMP)
	@$(BIN)/python -m agents.demo $(if $(DURATION),--duration $(DURATION))

test: $(STAMP) chromium
	@$(MAKE) --no-print-directory check
ifdef ARGS
	@$(BIN)/python -m pytest $(ARGS)
else
	@$(BIN)/python -m pytest -n 3 --dist worksteal -m "not alone"
	@$(BIN)/python -m pytest -m alone
endif

# Tests that run with both drivers in any case are not run again with pymongo.
test-motor: $(STAMP)
	@$(BIN)/python -m pytest -n 2 --dist worksteal --driver motor -k "not pymongo" \
	  tests/integration/sink tests/integration/test_{projection,markers,history,growth}.py

# Longer histories than the tests go through; what they go through is in tests/exhaustive.
exhaustive: $(STAMP)
	@$(BIN)/python -m tests.exhaustive $(ARGS)

mutants: $(STAMP)
	@$(BIN)/python -m tests.mutants $(GUARANTEES)

# Half an hour; the seeds are in the output.
soak: $(STAMP)
	@SOAK=1 $(BIN)/python -m pytest -s tests/faults/test_faults.py $(ARGS)

# The page of /ops is tested in a real browser.
chromium:
	@command -v chromium > /dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null && \
	  echo "installing Debian's chromium, for the page of /ops" && \
	  (apt-get install -y -qq chromium || { apt-get update -qq && apt-get install -y -qq chromium; }) > /dev/null; } || \
	  { echo "the page of /ops is tested in a browser: install the package chromium"; exit 1; }

$(BENCH_STAMP): $(STAMP)
	@$(BIN)/python -m pip install --quiet --group bench
	@touch $(BENCH_STAMP)

bench: $(BENCH_STAMP)
	@$(BIN)/python -m benchmarks $(ARGS)

check: lint types

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec docker-compose.yml

types: $(STAMP)
	@$(BIN)/mypy

format: $(STAMP)
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
