# The two commands of a new user are `make demo` and `make test`. PYTHON picks the interpreter.
PYTHON ?= python3
# `make test WHEEL=pure` and `WHEEL=compiled` test what that wheel installs, and not where anybody works.
WHEEL ?=
VENV ?= $(if $(WHEEL),.venv-wheel,.venv)
BIN := $(VENV)/bin
LOCK ?=
# A worker that dies is not replaced: xdist would wait for ever for what the new one is to do by loadfile.
PYTEST_ARGS ?= -n 4 --dist loadfile --no-loadscope-reorder --max-worker-restart 0

# Where it is set, each of the suite's hundreds of interpreters would compile the engine anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo collect test test-ray check bench load dashboards previews pictures lock wheels clean environments

help: ## say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(VENV)/.installed: pyproject.toml $(LOCK)
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
ifeq ($(LOCK),)
	@$(BIN)/python -m pip install --quiet --editable . --group dev
else
	@$(BIN)/python -m pip install --quiet --require-hashes --requirement $(LOCK)
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
endif
	@$(BIN)/python -m tests.durable.conformance.requirement_files
	@touch $@

demo: $(VENV)/.installed ## a burst from zero to a thousand and back, live, in under a minute
	$(BIN)/engine demo

collect: $(VENV)/.installed ## import every test once, so that the workers of `make test` find them compiled
	$(BIN)/python -m pytest --collect-only -qqq

test: $(VENV)/.installed ## the whole test suite; on what a wheel installs: WHEEL=compiled or WHEEL=pure
	$(BIN)/python $(if $(WHEEL),tools/test_wheel.py $(WHEEL),-m pytest) $(PYTEST_ARGS)

test-ray: $(VENV)/.installed ## tests on a Ray cluster of two nodes that they make (needs root)
	ENGINE_RAY_TESTS=1 $(BIN)/python -m pytest -n 0 tests/ray

check: $(VENV)/.installed ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.installed ## the engine and its floors in one run, as JSON ratios
	@$(BIN)/python -m tests.bench

SCENARIO ?= spike

load: $(VENV)/.installed ## a load test: SCENARIO=spike (step, scale-from-zero, ...), LOAD_ARGS="--duration 20"
# Status 3: the generator was the limit, and the report says so.
	$(BIN)/engine load $(SCENARIO) $(LOAD_ARGS) || [ $$? = 3 ]

dashboards: $(VENV)/.installed ## write Grafana's dashboards and Prometheus's rules anew
	$(BIN)/python -m grafana.src.build

previews: $(VENV)/.installed ## draw the dashboards under load into docs/images (needs prometheus and chromium)
	$(BIN)/python -m grafana.src.preview --out reports/previews --pictures docs/images

pictures: $(VENV)/.installed ## take pictures of the console under load into docs/images (needs chromium)
	$(BIN)/python -m tools.console_pictures

lock: $(VENV)/.installed ## write requirements.lock anew: LOCK_ARGS=--upgrade takes the newest versions
	@$(BIN)/python -m pip install --quiet 'uv>=0.7'
	$(BIN)/python tools/lock.py $(LOCK_ARGS)

wheels: $(VENV)/.installed ## the compiled wheel and the pure one, and the sources they are built from, into dist/
	@$(BIN)/python tools/wheels.py $(WHEELS_ARGS)

environments: ## a short try in other environments: the oldest dependencies; among other packages
	@$(PYTHON) -m venv --clear $(VENV)-oldest
	@$(VENV)-oldest/bin/python -m pip install --quiet 'uv>=0.7'
	@$(VENV)-oldest/bin/python -m uv pip install --quiet --no-config --resolution lowest-direct .
	$(VENV)-oldest/bin/python tests/environments/smoke.py
	@$(PYTHON) -m venv --clear $(VENV)-company
	@$(VENV)-company/bin/python -m pip install --quiet . pytest sniffio trio
	$(VENV)-company/bin/python tests/environments/smoke.py

clean: ## remove what the above made
	rm -rf build dist $(VENV) .venv-wheel $(VENV)-oldest $(VENV)-company .mypy_cache .ruff_cache .pytest_cache .hypothesis report.html
