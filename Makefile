# Works in a fresh clone with only Python >= 3.11, git and make. `make help` lists the targets.

# An executable of the right name may still be a version manager's stub that fails, or a
# Python without ensurepip: each candidate is run, and the first that works is taken.
# Another one: make test PYTHON=/path/to/python
CANDIDATES := python3.13 python3.12 python3.11 python3.14 python3 python
WORKS := import ensurepip, sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for candidate in $(CANDIDATES); do \
	if "$$candidate" -c '$(WORKS)' >/dev/null 2>&1; then echo "$$candidate"; break; fi; done)

VENV := .venv
BIN := $(VENV)/bin

# Closed doors: no plugin that happens to be installed is loaded, only ours, by name. Set in
# the environment and not by a flag, so that it holds in the runs that tests start, too.
CLOSED := PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 PYTEST_PLUGINS=pytest_memreturn.plugin

# More arguments for pytest: make test ARGS="-k sizes -vv"
ARGS ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# One environment is filled step by step: two pips at once would trip over each other.
.NOTPARALLEL:

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z ]*:.*## / { printf "make %-38s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(VENV)/.installed-examples ## judge a few tests that keep memory, and a few that do not
	$(BIN)/python examples/demo.py

.PHONY: test
test: $(VENV)/.installed-test ## run the whole test suite
	$(CLOSED) $(BIN)/pytest $(ARGS)

# More arguments for the benchmarks: make bench BENCH="--only marked --against ../other"
BENCH ?=

.PHONY: bench
bench: $(VENV)/.installed-bench .sdists/.downloaded ## measure speed beside others, into benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks $(BENCH)

# The one step that needs a network besides installing. Tests of other projects, for the
# versions that were installed.
.sdists/.downloaded: $(VENV)/.installed-bench
	$(BIN)/python -m benchmarks.sdists $(@D)
	@touch $@

# What these do is written once, in noxfile.py.
NOX_SESSIONS := lint types docs package extended browser lowest soak coverage mutation
.PHONY: $(NOX_SESSIONS)
lint types docs package extended browser lowest soak coverage mutation: $(VENV)/.installed-nox ## run the nox session of that name
	$(BIN)/nox --session $@

.PHONY: clean
clean: ## remove everything that was made here
	rm -rf $(VENV) .sdists .nox .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist docs/_build
	rm -f .coverage .coverage.*
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

# A stamp per dependency group: set-up is repeated only when pyproject.toml changes.
$(VENV)/.installed-%: pyproject.toml | $(VENV)/.created
	@echo "installing the project with its dependency group '$*' into $(VENV)"
	$(BIN)/python -m pip install --quiet --editable . --group $*
	@touch $@

$(VENV)/.created:
	@test -n "$(PYTHON)" || { \
		echo "No Python >= 3.11 with ensurepip found among: $(CANDIDATES)" >&2; \
		echo "Name one: make PYTHON=/path/to/python ..." >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@# --group needs pip 25.1; the one that comes with Python may be older.
	$(BIN)/python -m pip install --quiet --upgrade pip
	@touch $@
