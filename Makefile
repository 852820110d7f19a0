# `make demo` and `make test` are all a new machine needs; both create .venv themselves.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

CORES  ?= $(shell nproc 2>/dev/null || echo 2)

# BLAS and OpenMP threads fight over shared cores: trials run side by side instead.
export OMP_NUM_THREADS ?= 1
export OMP_WAIT_POLICY ?= passive
# Modules are compiled once, and not by every process anew: tests start hundreds.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo loop up down test check lint types imports lock clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

$(STAMP): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Evergreen needs Python 3.11 or newer; try: make PYTHON=python3.12 demo")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-compile --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@# On every core, which pip does on one; and not what nobody imports.
	-$(BIN)/python -m compileall -q -j 0 -x '/tests/' $(VENV)/lib src >/dev/null 2>&1
	@touch $(STAMP)

demo: $(STAMP)  ## retrain the model `flights` twice on real data
	$(BIN)/evergreen run flights --as-of 2013-03-04 --as-of 2013-06-03

loop: $(STAMP)  ## watch the loop close: drift, alert, retraining, promotion, swap, recovery
	@$(BIN)/evergreen loop

up: $(STAMP)  ## everything on this machine: Prefect, MLflow, a worker, serving; Ctrl-C stops it
	@$(BIN)/evergreen up

down: $(STAMP)  ## stop what `make up` started
	@$(BIN)/evergreen down

test: $(STAMP)  ## every test, a file at a time on every core and two more, as many tests wait for servers
	$(BIN)/python -m pytest -n $$(($(CORES) + 2)) --dist loadfile --no-loadscope-reorder

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

imports: $(STAMP)
	$(BIN)/lint-imports

check: lint types imports test  ## everything continuous integration asks for

lock: $(STAMP)  ## resolve pyproject.toml again into requirements/*.txt
	$(BIN)/python requirements/lock.py

clean:  ## forget the environment; state in .evergreen stays
	rm -rf $(VENV)
