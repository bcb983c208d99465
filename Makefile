# The commands of developers and CI. They work in .venv, where stamp files show what is done already, so that a second run
# starts at once. Packages are installed only from the lock files, with hashes. The lock files are complete, so pip resolves
# nothing (--no-deps). Without that option, pip before 24 would take the newest release for a requirement with an extra
# (coverage[toml], redis[hiredis]) and fail, because the lock file has no hash for it.

PYTHON ?= python3
ROUNDS ?= 10
SEED ?= 1
UV = 0.13.9

# Without bytecode, each of the hundreds of processes that the tests start would compile the program and its packages.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

.PHONY: help install demo serve test coverage collect thorough lint chaos bench lock clean
.DEFAULT_GOAL := help

help: ## show this list
	@sed -n 's/^\([a-z]*\):[^#]*## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r name does; do printf '  make %-9s %s\n' "$$name" "$$does"; done

install: .venv/.installed ## create .venv with the program in it
	@echo "Ready: $(BIN)/segment-personas --help"

demo: .venv/.installed ## a full sync in one process, against the built-in sandbox
	@$(BIN)/segment-personas sync --sandbox

serve: .venv/.installed ## the HTTP API in one process, against the built-in sandbox (ARGS=--port 8000)
	@$(BIN)/segment-personas serve --sandbox $(ARGS)

test: .venv/.tests-installed ## lint, types, import rules and all tests
	@$(MAKE) --no-print-directory --jobs=2 lint collect
	@$(PYTEST) $(ARGS)

coverage: .venv/.tests-installed ## all tests with coverage, in twice the time; fails below 95 %
	@$(PYTEST) --cov --cov-report term $(ARGS)

# A test mostly waits for other processes, so each processor runs several tests.
PYTEST = $(BIN)/python -m pytest --numprocesses 8 --dist worksteal

# pytest rewrites and compiles each test module. This does it once, instead of in every process of `make test`.
collect: .venv/.tests-installed ## compile the test modules, as `make test` does beside the linters
	@$(BIN)/python -m pytest --collect-only --quiet $(ARGS) >/dev/null || true # `make test` reports what fails

thorough: .venv/.tests-installed ## property tests with ten times the examples
	@HYPOTHESIS_PROFILE=thorough $(PYTEST) tests/unit $(ARGS)

lint: .venv/.tests-installed ## lint, types and import rules only
	@$(BIN)/ruff format --check --quiet . || { echo "Run: $(BIN)/ruff format ." >&2; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@report="$$($(BIN)/lint-imports --no-logo)" || { echo "$$report"; exit 1; }

chaos: .venv/.tests-installed ## kill workers, runs, Redis and connections under load (ROUNDS=10 SEED=1)
	@$(BIN)/python -m tests.chaos --rounds $(ROUNDS) --seed $(SEED)

bench: .venv/.bench-installed ## measure speed and memory, and print the table
	@$(BIN)/python -m tests.bench $(ARGS)

# All extras are resolved together first; every other lock file takes its versions from there.
lock: .venv/.created ## resolve the lock files again (ARGS=--upgrade for newer versions)
	@$(PIP) install uv==$(UV)
	@$(LOCK) --all-extras --group build $(ARGS) --output-file deploy/locks/all.lock
	@$(LOCK) --group build --group test $(ARGS) --constraint deploy/locks/all.lock --output-file tests/requirements.lock
	@$(LOCK) --group build --constraint deploy/locks/all.lock --output-file requirements.lock
	@for extra in $(EXTRAS); do $(LOCK) --extra $$extra --constraint deploy/locks/all.lock \
		--output-file deploy/locks/$$extra.lock || exit 1; done
	@$(COMPILE) --group installer $(ARGS) --output-file tests/installer.lock
	@$(LOCK) --group bench --constraint tests/requirements.lock $(ARGS) --output-file tests/bench/requirements.lock

EXTRAS = bigquery databricks object-storage otel postgres snowflake
LOCK = $(COMPILE) pyproject.toml
COMPILE = $(BIN)/uv pip compile --quiet --no-config --system-certs \
	--universal --python-version 3.11 --generate-hashes --no-header --no-annotate

clean: ## remove .venv and everything that tools left behind
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.* dist
	@find worker producer tests -name __pycache__ -prune -exec rm -rf {} +

.venv/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "segment-personas needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." >&2; \
		echo "Name another one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot create virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Creating .venv ($$($(PYTHON) --version))"; $(PYTHON) -m venv --clear .venv; }
	@touch $@

.venv/.installed: .venv/.created requirements.lock pyproject.toml
	@echo "Installing the program into .venv"
	@$(PIP) install --no-deps --require-hashes --requirement requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.tests-installed: .venv/.created tests/installer.lock tests/requirements.lock pyproject.toml
	@echo "Installing the program and what its tests need into .venv"
	@$(PIP) install --no-deps --require-hashes --no-compile --requirement tests/installer.lock
	@# The tests import less than half of the modules; Python compiles a module when a process first imports it.
	@$(PIP) install --no-deps --require-hashes --no-compile --requirement tests/requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@ .venv/.installed

.venv/.bench-installed: .venv/.tests-installed tests/bench/requirements.lock
	@echo "Installing what the benchmark measures beside us into .venv"
	@$(PIP) install --no-deps --require-hashes --requirement tests/bench/requirements.lock
	@touch $@
