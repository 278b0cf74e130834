# The two commands of the README: `make demo` and `make test`. Needs git, make and Python 3.11 to 3.13.
PYTHON ?= python3
CORES ?= all
BIN := .venv/bin
export PYTHONPATH := workflow_scripts
export TF_ENABLE_ONEDNN_OPTS := 1
.DEFAULT_GOAL := help

help:  ## say what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: .venv/runtime  ## phantom cohort through the whole chain, then the report
	$(BIN)/python workflow_scripts/make_phantoms.py results/demo/phantoms \
	    --measurable 8 --no-contrast 1 --truncated 1 --not-ct 1 --first-seed 1
	$(BIN)/snakemake --cores $(CORES) --configfile demo.yaml
	@echo
	@echo "Report: results/demo/cohort/report.html"
	@echo "Table:  results/demo/cohort/calcium.csv"

test: .venv/tests  ## all tests and style checks; builds Horovod where g++ and cmake are
	@if command -v g++ >/dev/null && command -v cmake >/dev/null; then $(MAKE) horovod; \
	    else echo "No g++ or cmake: Horovod is not built, its tests are skipped."; fi
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/python -m pytest -n 2 --dist loadfile

evaluate: .venv/runtime  ## 20 unseen phantoms through the chain; writes docs/evaluation.md
	$(BIN)/python workflow_scripts/make_phantoms.py results/evaluation/phantoms \
	    --measurable 20 --first-seed 3001
	$(BIN)/snakemake --cores $(CORES) --configfile evaluation.yaml
	$(BIN)/python workflow_scripts/evaluate_phantoms.py results/evaluation docs/evaluation.md

held-out: .venv/runtime  ## 40 unseen phantoms of two other families; writes docs/held_out.md
	$(BIN)/python workflow_scripts/make_phantoms.py results/held_out/phantoms \
	    --measurable 20 --families wide second --first-seed 4001
	$(BIN)/snakemake --cores $(CORES) --configfile held_out.yaml
	$(BIN)/python workflow_scripts/evaluate_phantoms.py results/held_out docs/held_out.md

install: .venv/runtime  ## only install into .venv

docs: .venv/runtime  ## write the data dictionary and the list of outcomes from the schemas
	$(BIN)/python workflow_scripts/write_dictionary.py

horovod: .venv/horovod  ## build Horovod (needs g++ and cmake) into .venv, from the cache where it is

lock:  ## pin envs/requirements*.in with hashes (needs uv)
	uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
	    envs/requirements.in -o envs/requirements.lock
	uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
	    -c envs/requirements.lock envs/requirements-dev.in -o envs/requirements-dev.lock

clean:  ## remove the demo's results
	rm -rf results/demo

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	    { echo "Calcohort needs Python 3.11 to 3.13: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	$(PYTHON) -m venv .venv || { $(PYTHON) -m venv --without-pip .venv && \
	    $(PYTHON) -m pip --python .venv/bin/python install pip; } || \
	    { rm -rf .venv; echo "Python has neither venv nor pip: ask for Debian's python3-venv."; exit 1; }

.venv/runtime: envs/requirements.lock | .venv/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --progress-bar on --require-hashes -r $<
	@touch $@

.venv/tests: envs/requirements-dev.lock .venv/runtime
	$(BIN)/pip install --quiet --disable-pip-version-check --progress-bar on --require-hashes -r $<
	@touch $@

.venv/horovod: envs/build_horovod.sh envs/horovod.txt envs/horovod.patch .venv/runtime
	envs/build_horovod.sh $(BIN)/python
	@touch $@

.PHONY: help horovod demo test evaluate held-out install docs lock clean
