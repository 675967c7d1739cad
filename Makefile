# One command each; `make` alone lists them. Needs Python 3.11 or newer and make.
#
#   PYTHON    the interpreter that .venv is made from       (default python3)
#   WORKERS   processes that run the tests side by side     (default 2, each with its own servers)
#   ARGS      more arguments, for test, test-fast and bench (e.g. make test ARGS="-k watermark")

PYTHON ?= python3
ARGS   ?=
WORKERS ?= 2
export PYTHON

BIN   := .venv/bin
READY := .venv/.ready
BENCH_LOCK  := benchmarks/requirements.lock
BENCH_READY := $(if $(wildcard $(BENCH_LOCK)),.venv-bench/.ready)
PEERS_LOCK  := elite_pipeline_tests/peers/requirements.lock
PEERS_READY := .venv-peers/.ready

# Nothing here is built twice at once, and a recipe that fails leaves no target behind.
.NOTPARALLEL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help setup demo demo-reset test test-fast pictures check format bench lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

setup: $(READY)  ## make or update .venv from the lock (the other targets do it by themselves)

$(READY): requirements-dev.lock pyproject.toml scripts/setup-venv
	@scripts/setup-venv .venv requirements-dev.lock --with-project
	@touch $@

.venv-bench/.ready: $(BENCH_LOCK) scripts/setup-venv
	@scripts/setup-venv .venv-bench $(BENCH_LOCK)
	@touch $@

$(PEERS_READY): $(PEERS_LOCK) scripts/setup-venv
	@scripts/setup-venv .venv-peers $(PEERS_LOCK)
	@touch $@

demo: $(READY)  ## start the sandbox and Dagster on this machine, with made-up data; Ctrl-C ends it
	@$(BIN)/elite-pipeline demo

demo-reset: $(READY)  ## remove the demo's data; the next `make demo` starts over
	@$(BIN)/elite-pipeline demo-reset

test: $(READY) $(PEERS_READY)  ## run all tests, with their coverage (finds or installs MariaDB, Postgres and Chromium)
	@scripts/ensure-mariadb
	@scripts/ensure-postgres
	@scripts/ensure-chromium
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --cov --cov-report=term $(ARGS)

test-fast: $(READY)  ## run the tests that need no server
	@$(BIN)/python -m pytest -m "not server and not e2e and not peers" $(ARGS)

pictures: $(READY)  ## take the pictures in docs/images anew, from the tests of the page
	@scripts/ensure-chromium
	@PICTURES_DIR=docs/images $(BIN)/python -m pytest elite_pipeline_tests/e2e/test_page.py $(ARGS)

check: $(READY)  ## lint, format, types and import walls
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)  ## rewrite the sources in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY) $(BENCH_READY)  ## run the benchmarks and print their table
	@scripts/ensure-mariadb
	@$(BIN)/python -m benchmarks $(ARGS)

lock:  ## write the locks anew from pyproject.toml (make lock ARGS=--upgrade: newest releases)
	@scripts/lock $(ARGS)

clean:  ## remove environments, caches and build products; the demo's data stay
	rm -rf .venv .venv-bench .venv-peers build dist *.egg-info htmlcov .coverage .coverage.*
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .tmp_dagster_home_*
	find elite_pipeline elite_pipeline_tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
