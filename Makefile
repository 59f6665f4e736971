# The two commands of a new user are `make demo` and `make test`. PYTHON picks the interpreter.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
LOCK ?=

.DEFAULT_GOAL := help
.PHONY: help demo test check bench load clean

help: ## say what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

$(VENV)/.installed: pyproject.toml $(LOCK)
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet $(if $(LOCK),-c $(LOCK)) --editable . --group dev
	@touch $@

demo: $(VENV)/.installed ## a burst from zero to a thousand and back, live, in under a minute
	$(BIN)/engine demo

test: $(VENV)/.installed ## the whole test suite
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(VENV)/.installed ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.installed ## the engine and its floors in one run, as JSON ratios
	@$(BIN)/python -m tests.bench

load: $(VENV)/.installed ## a Locust scenario against the example handlers
	$(BIN)/python -m loadtests.run

clean: ## remove what the above made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis report.html
