# Everything a person types. `make help` lists it. Needs git, make and Python 3.11+ with venv; touches nothing outside this folder.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
V := .venv
BIN := $(V)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

# Variables of the targets: make train EXPORT=logs.csv.gz, make ship VERSION=latest TO=pi-attic
EXPORT ?=
VERSION ?= latest
TO ?=
DSN ?=
CONFIG ?=
HOST ?=
ONCE ?=
CORPUS ?=
ARGS ?=
TESTS ?= tests
AGENT ?= wifi
OUT ?= exports/logs-$(shell date -u +%Y%m%d-%H%M%S).csv.gz

.PHONY: help setup cluster lint format test arm-test bench demo train ship rollback export trainer inference compose-check deploy-pi undeploy-pi lock clean

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(V)/.ok ## the virtual environment with everything in it
	@echo "ready: $(BIN)/pipit-trainer, $(BIN)/pipit-inference"

# uv installs in seconds what takes pip half a minute; where it cannot be had, pip reads the same lock. The lock is whole:
# nothing beside it is wanted (--no-deps).
$(V)/.ok: requirements-test.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Pipit needs Python 3.11 or newer; $(PYTHON) is older. Say which to use: make setup PYTHON=python3.12"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(V) || { echo "Python has no venv module here. On Debian: apt install python3-venv"; exit 2; }
	@echo "installing into $(V)"
	@if $(BIN)/python -m pip install -q --disable-pip-version-check uv >/dev/null 2>&1; then \
	  $(BIN)/uv pip install -q --python $(BIN)/python --no-deps --require-hashes -r requirements-test.lock; \
	else \
	  $(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements-test.lock; \
	fi
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation --editable . 2>&1 | { grep -v 'is ignored' || true; }
	@$(BIN)/python -c 'import shared'
	@touch $@

# Dask is for those who train on several machines: they say so, and the tests say so for themselves.
cluster: $(V)/.cluster ## Dask too, on the laptop and on each worker (docs/cluster.md)

$(V)/.cluster: $(V)/.ok requirements-cluster.lock
	@if test -x $(BIN)/uv; then \
	  $(BIN)/uv pip install -q --python $(BIN)/python --no-deps --require-hashes -r requirements-cluster.lock; \
	else \
	  $(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements-cluster.lock; \
	fi
	@touch $@

lint: $(V)/.ok ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(V)/.ok ## let ruff put the code in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: $(V)/.ok ## all tests against real parts (FAULTS=quick|full, REAL_PARTS=all, TESTS=tests/unit)
	@$(MAKE) -s cluster || echo "Dask could not be installed: its tests are skipped, or fail where REAL_PARTS asks for it"
	$(BIN)/python -m pytest -q -n auto --dist loadfile $(TESTS)

ARM_ROOT ?= /var/tmp/pipit-arm64-$(shell id -u)
arm-test: $(V)/.ok ## the Pi's side on an emulated arm64 (Debian; fetches 50 MB once, installs nothing)
	UV=$(BIN)/uv tests/arm/make_root.sh $(ARM_ROOT) requirements-inference.lock
	ARM_ROOT=$(ARM_ROOT) $(BIN)/python -m pytest -q -rP tests/arm

bench-detection: $(V)/.ok ## what is found, beside simpler detectors and under stress (CORPUS=folder, ARGS='--seeds 10')
	$(BIN)/python -m bench.detection $(CORPUS) $(ARGS)

bench: $(V)/.ok ## the figures, peers side by side
	@test -f bench/__main__.py || { echo "There is no bench/ here yet."; exit 1; }
	$(BIN)/python -m bench

demo: $(V)/.ok ## train, sign, ship, serve and catch an attack on this machine (ONCE=1 ends after the summary)
	ONCE=$(ONCE) $(BIN)/python -m examples.demo

train: $(V)/.ok ## EXPORT=file… [CONFIG=file] [AGENT=wifi]: a new model version
	@test -n "$(EXPORT)" || { echo "Say what to train on: make train EXPORT=logs.csv.gz"; exit 2; }
	$(BIN)/pipit-trainer train $(EXPORT) --agent $(AGENT) $(if $(CONFIG),--config $(CONFIG))

ship: $(V)/.ok ## TO=target [VERSION=latest]: send a version to a Pi and wait until it serves
	@test -n "$(TO)" || { echo "Say where to: make ship TO=NAME, or TO=sftp://user@host:22/inbox"; exit 2; }
	$(BIN)/pipit-trainer ship $(VERSION) --to $(TO) --wait

rollback: $(V)/.ok ## TO=target [VERSION=…]: the version before, or the one you name
	@test -n "$(TO)" || { echo "Say where: make rollback TO=NAME"; exit 2; }
	$(BIN)/pipit-trainer rollback --to $(TO) $(filter-out latest,$(VERSION))

export: $(V)/.ok ## DSN=postgresql://… [OUT=file]: the last 30 days of log_entries
	@test -n "$(DSN)" || { echo "Say from where: make export DSN=postgresql://user@host/logs"; exit 2; }
	@mkdir -p $(dir $(OUT))
	$(BIN)/pipit-trainer export --dsn "$(DSN)" --output-file $(OUT)

trainer: $(V)/.ok ## the trainer's page on http://127.0.0.1:8001
	$(BIN)/pipit-trainer serve

inference: $(V)/.ok ## the daemon and its page on http://127.0.0.1:8000
	@trap 'kill $$web 2>/dev/null; wait' EXIT; $(BIN)/pipit-inference web & web=$$!; $(BIN)/pipit-inference run

compose-check: $(V)/.ok ## are the compose files right?
	@ls docker-compose.*.yml >/dev/null 2>&1 || { echo "There are no compose files here yet."; exit 1; }
	$(BIN)/python -m deploy.check_compose docker-compose.*.yml

deploy-pi: $(V)/.ok ## HOST=user@pi [NAME=attic] [WHEELHOUSE=1]: install or upgrade a Raspberry Pi over SSH
	@test -n "$(HOST)" || { echo "Say which Pi: make deploy-pi HOST=pi@raspberrypi.local"; exit 2; }
	deploy/install-pi.sh "$(HOST)"

undeploy-pi: ## HOST=user@pi [PURGE=1]: remove the programs from a Pi; state and models stay without PURGE
	@test -n "$(HOST)" || { echo "Say which Pi: make undeploy-pi HOST=pi@raspberrypi.local"; exit 2; }
	deploy/uninstall-pi.sh "$(HOST)"

# The first lock decides the versions; the others are cuts of it (the cluster's with Dask besides), so that the tests test what is installed.
LOCK := uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --quiet
lock: $(V)/.ok ## resolve the newest versions into requirements-*.lock
	$(LOCK) --upgrade --extra trainer --extra inference --extra notify --extra test pyproject.toml -o requirements-test.lock
	$(LOCK) --extra trainer -c requirements-test.lock pyproject.toml -o requirements-trainer.lock
	$(LOCK) --extra inference --extra notify -c requirements-test.lock pyproject.toml -o requirements-inference.lock
	$(LOCK) --upgrade --extra trainer --extra cluster -c requirements-test.lock pyproject.toml -o requirements-cluster.lock
	@! grep -E '://' requirements-*.lock || { echo "a lock holds an address"; exit 1; }

clean: ## remove the virtual environment, caches and the demo's folder
	rm -rf $(V) .demo build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
