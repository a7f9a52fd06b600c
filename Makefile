# make demo      run the quickstart notebook headless
# make lab       open it in JupyterLab
# make check     lint, types and quick tests: under two minutes
# make test      lint, types, all tests and their coverage
# make bench     the benchmark table
# make files     list in docs/files.md what each file holds
# make release VERSION=0.2.0      date the changelog and build the wheel
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet -c .ci/constraints.txt
READY := $(VENV)/.ready
BENCH_READY := $(VENV)/.bench-ready
QUICK := not (browser or kernel or process or long)

.DEFAULT_GOAL := help
.PHONY: help demo check test lint lab bench files release clean

help:
	@head -n 7 $(firstword $(MAKEFILE_LIST)) | sed 's/^# //'

$(READY): pyproject.toml .ci/constraints.txt
	@python=; for candidate in $(PYTHON) python3.14 python3.13 python3.12 python3.11; do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	  then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "comfy_nb needs Python 3.11 or later, and none was found. Pass one: make PYTHON=/path/to/python3.11" >&2; \
	  exit 1; \
	fi; \
	"$$python" -m venv $(VENV) || { \
	  echo "Cannot create a virtual environment. On Debian and Ubuntu: apt-get install python3-venv" >&2; \
	  exit 1; }
	@echo "Installing comfy_nb and its dependencies into $(VENV) (this takes a few minutes once) ..."
	$(PIP) -e '.[dev]'
	@touch $@

$(BENCH_READY): $(READY)
	$(PIP) -e '.[bench]'
	@touch $@

demo: $(READY)
	$(BIN)/python -m comfy_nb demo

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint
	$(BIN)/pytest -m "$(QUICK)" $(PYTEST_ARGS)

ifdef PYTEST_ARGS
test: lint
	$(BIN)/pytest $(PYTEST_ARGS)
else
test: lint
	$(BIN)/pytest --cov --cov-report=
	@BIN=$(BIN) .ci/coverage
endif

lab: $(READY)
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) notebooks/01_quickstart.ipynb

bench: $(BENCH_READY)
	$(BIN)/python -m comfy_nb bench

files: $(READY)
	$(BIN)/python .ci/files.py

release: $(READY)
	@$(BIN)/python .ci/release.py $(VERSION)

clean:
	rm -rf .venv .venv-* build dist *.egg-info .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis \
	  notebooks/results
