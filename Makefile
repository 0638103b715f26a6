# forkbench: two commands do everything on a machine with Python 3.11 or newer, pip and make:
#   make demo    build .venv, run the shipped study on a local Dask cluster, write its report
#   make test    build .venv, run the test suite
# Any Python from 3.11 on will do: make test PYTHON=/path/to/python3.12

PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.14; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
JOBS ?= 2
# Some deep tests do little but wait for workers that were killed: one process more than there are processors.
DEEP_JOBS ?= 3
STUDY ?= phillips-2002

.PHONY: demo flagship test test-deep test-faults mutants test-browser check bench bench-engine bench-scaling bench-pipeline clean

demo: .venv/installed
	@$(BIN)/forkbench run configs/$(STUDY).yaml
	@$(BIN)/forkbench report results/$(STUDY) --out reports/$(STUDY).html

# Every design on users, profiles, grids and constructed worst cases; the report that is kept in reports/.
flagship: .venv/installed
	@$(BIN)/forkbench run configs/flagship.yaml
	@$(BIN)/forkbench search configs/flagship-worst.yaml --findings results/flagship-worst.json
	@$(BIN)/forkbench report results/flagship --findings results/flagship-worst.json --out reports/flagship.html

test: .venv/installed-tests
	@$(BIN)/python -c "from simcore.simulate import warm_up; warm_up()"
	$(BIN)/python -m pytest -q --dist worksteal -n $(JOBS)

test-deep: .venv/installed-tests
	HYPOTHESIS_PROFILE=deep $(BIN)/python -m pytest -q --dist worksteal -n $(DEEP_JOBS)
	FORKBENCH_JIT=0 $(BIN)/python -m pytest -q --dist worksteal -n $(JOBS) tests/scenarios
	FORKBENCH_BOUNDSCHECK=1 $(BIN)/python -m pytest -q --dist worksteal -n $(JOBS) tests/scenarios tests/differential tests/laws

# Faults of every kind, many of each, and a table of what became of them.
test-faults: .venv/installed-tests
	@PYTHONPATH=tests $(BIN)/python tests/pipeline/fault_kinds.py

# Mutants of the oracle's rules, killed by stories and the observational law; what is done is kept in mutants/.
mutants: .venv/installed-mutants
	FORKBENCH_JIT=0 FORKBENCH_ORACLE_ONLY=1 HYPOTHESIS_PROFILE=ci $(BIN)/mutmut run --max-children $(JOBS) </dev/null
	@$(BIN)/python tests/mutation_score.py

# The browser tests run in make test too where Chromium is found; this installs it first (Debian, root).
test-browser: .venv/installed-browser
	command -v chromium >/dev/null || { apt-get update && apt-get install -y chromium; }
	$(BIN)/python -m pytest -q tests/browser

check: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q --dist worksteal -n $(JOBS) tests/unit tests/scenarios tests/golden tests/house

# The engine beside the oracle, beside the machine that it simulates, and against the number of events.
bench: .venv/installed
	$(BIN)/forkbench bench --oracle

bench-engine: .venv/installed
	$(BIN)/forkbench bench

bench-scaling: .venv/installed
	$(BIN)/forkbench bench --scaling --startup

# Planning, sweeping and starting, beside a bare loop over the same cells.
bench-pipeline: .venv/installed
	$(BIN)/forkbench bench --pipeline --repeats 3

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer was found; install one, or name it: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/installed-tests: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

.venv/installed-browser: .venv/installed-tests
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,browser]'
	@touch $@

.venv/installed-mutants: .venv/installed-tests
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,mutants]'
	@touch $@

.venv/installed-dev: .venv/installed-tests
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,browser]'
	@touch $@

clean:
	rm -rf .venv mutants build dist *.egg-info
