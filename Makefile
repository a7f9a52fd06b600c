# make test   lint, types and tests      make demo   run the quickstart notebook headless
# make lab    open it in JupyterLab      make bench  the benchmark table
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet -c .ci/constraints.txt
READY := .venv/.ready
BENCH_READY := .venv/.bench-ready

.DEFAULT_GOAL := help
.PHONY: help demo test lint lab bench clean

help:
	@head -n 2 $(firstword $(MAKEFILE_LIST)) | sed 's/^# //'

$(READY): pyproject.toml .ci/constraints.txt
	@python=; for candidate in $(PYTHON) python3.13 python3.12 python3.11; do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	  then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "comfy_nb needs Python 3.11 or later; none was found. Name one: make PYTHON=/path/to/python3.11" >&2; \
	  exit 1; \
	fi; \
	"$$python" -m venv .venv || { \
	  echo "No virtual environment could be made. On Debian and Ubuntu: apt-get install python3-venv" >&2; \
	  exit 1; }
	@echo "Installing comfy_nb and its dependencies into .venv (some minutes the first time) ..."
	$(PIP) -e '.[dev]'
	@touch $@

$(BENCH_READY): $(READY)
	$(PIP) -e '.[bench]'
	@touch $@

demo: $(READY)
	$(BIN)/python -m comfy_nb.cli demo

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/pytest --cov --cov-fail-under=95 $(PYTEST_ARGS)

lab: $(READY)
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) notebooks/01_quickstart.ipynb

bench: $(BENCH_READY)
	$(BIN)/python -m comfy_nb.cli bench

clean:
	rm -rf .venv build dist *.egg-info .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis notebooks/results
