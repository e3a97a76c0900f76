# Every target stands alone: the first one that needs .venv makes it, and makes it again when the lock has changed.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
COMPILE := $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-header \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host

# The tests start many processes, and each would compile the code anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help dev test check chaos bench lock clean
.DEFAULT_GOAL := help

help:  ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(STAMP): requirements-dev.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes -r requirements-dev.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

dev: $(STAMP)  ## Run PyTake on this machine: servers, demo shop, API and worker
	$(BIN)/pytake dev

test: $(STAMP)  ## Run all tests, warnings as errors, two files at a time
	$(BIN)/pytest -n 2 --dist loadfile

check: $(STAMP)  ## Lint, types, layers, the schema's freshness and the tests of the house itself
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytake schema --check
	$(BIN)/pytest -q tests/test_house.py tests/test_ship.py

chaos: $(STAMP)  ## The long runs: processes killed and Redis emptied, races, every zone and text
	$(BIN)/pytest --long

bench: $(STAMP)  ## Measure against floors and peers; prints ratios
	$(BIN)/pip install --quiet --require-hashes -r requirements-bench.txt
	$(BIN)/python -m benchmarks

lock: $(STAMP)  ## Resolve the dependencies anew; UPGRADE=--upgrade takes newer versions
	$(COMPILE) $(UPGRADE) --output-file requirements.txt pyproject.toml
	$(COMPILE) $(UPGRADE) --extra dev --constraint requirements.txt --output-file requirements-dev.txt pyproject.toml
	$(COMPILE) $(UPGRADE) --extra bench --constraint requirements-dev.txt --output-file requirements-bench.txt pyproject.toml

clean:  ## Stop the embedded servers, delete their data, and remove .venv
	if [ -x $(BIN)/pytake ]; then $(BIN)/pytake dev --reset; fi
	rm -rf .venv
