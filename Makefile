# Table of contents of the project: `make` prints it.
SHELL := /bin/bash
PYTHON ?= python3
V := .venv/bin
PROTOS := $(shell find protos/oip -name '*.proto')
# Processes that run test files, each with its own servers: more than cores, since they
# wait for each other part of the time.
CORES ?= 3
# Where tests stand that need no server; those that do are marked `server`.
UNIT := tests/architecture tests/contract tests/properties tests/rules tests/unit
export PYTHONPATH := .:protos/gen
.DEFAULT_GOAL := help
.PHONY: help setup protos promise format check lint unit test journeys faults bench golden client demo dev verify docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile

setup: .venv/dev.stamp protos/gen/.stamp ## build the virtual environment and the generated code

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "Python 3.11 to 3.13 is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv

.venv/run.stamp: requirements/run.txt | .venv/bin/python
	$(V)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/run.txt
	touch $@

.venv/dev.stamp: requirements/dev.txt .venv/run.stamp
	$(V)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/dev.txt
	touch $@

protos/gen/.stamp: $(PROTOS) tools/protos.py .venv/run.stamp
	$(V)/python tools/protos.py
	touch $@

.venv/bin/oip: pyproject.toml protos/gen/.stamp
	$(V)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

protos: protos/gen/.stamp ## generate the protobuf code into protos/gen

format: setup ## format the code
	$(V)/ruff format .
	$(V)/ruff check --fix --exit-zero --quiet .

lint: setup
	$(V)/ruff check . && $(V)/ruff format --check .
	$(V)/mypy services tests tools
	$(V)/python tools/protos.py --lint && $(V)/lint-imports

check: lint ## ruff, mypy, buf, import-linter, the project's own rules
	$(V)/pytest -q tests/architecture

unit: setup ## what needs no server: units, rules, properties, house rules
	$(V)/pytest -q -n $(CORES) -m 'not server' $(UNIT)

test: setup .venv/bin/oip ## all tests but the fault series and the benchmarks
	rm -rf build/reached
	$(V)/python tools/in_memory.py $(V)/pytest -q -n $(CORES) --dist loadfile --no-loadscope-reorder --durations=20 $(addprefix --ignore=tests/,benchmarks console faults wired)
	$(V)/pytest -q -n 2 --dist loadfile tests/console
	$(V)/pytest -q tests/wired

journeys: setup .venv/bin/oip ## the whole-system tests alone
	$(V)/pytest -q tests/journeys

faults: setup .venv/bin/oip ## the fault series
	$(V)/pytest -q -n $(CORES) --dist loadfile --no-loadscope-reorder --durations=20 tests/faults

bench: setup .venv/bin/oip ## the benchmarks, both sides in one run, into build/bench.json
	$(V)/pytest -q -s tests/benchmarks

promise: setup ## rewrite the image of the protos that `make check` compares with (ADR 12)
	$(V)/python tools/protos.py --promise

golden: setup .venv/bin/oip ## rewrite the golden files; review the diff like code
	OIP_GOLDEN=write $(V)/pytest -q tests/contract tests/journeys

client: setup ## build the wheel of oip-client into build/client/dist
	$(V)/python tools/client_distribution.py

demo: .venv/bin/oip ## a province's month, end to end (ORDERS=file MAPPING=file FRESH=1)
	@$(V)/python -m services.demo $(if $(ORDERS),--orders "$(ORDERS)") $(if $(MAPPING),--mapping "$(MAPPING)") $(if $(FRESH),--fresh)

dev: .venv/bin/oip ## the same stack, kept running, with its addresses
	@$(V)/python -m services

verify: .venv/bin/oip ## re-compute the invariants of the running stack
	@$(V)/oip verify

docs: setup ## rewrite the generated documents
	$(V)/python -m tools.docs

clean: ## remove what was built, but no data
	rm -rf build protos/gen .venv
