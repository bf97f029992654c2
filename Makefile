# Two commands set everything up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint unit format schemas clean

demo: $(VENV)/.installed  ## compare real models, gate a change and watch a stream, without a network
	$(BIN)/benchkit compare minilm minilm-static tfidf --offline
	@$(MAKE) --no-print-directory mlruns/.demo
	@echo "See all of it:  $(BIN)/benchkit dashboard"

# In the last week of the bundled stream customers write Chinese too: the watch finds that and ends with 1.
mlruns/.demo: $(wildcard suites/data/production/*.jsonl)
	$(BIN)/benchkit baseline promote minilm --offline --quiet --force --reason "the demo's choice"
	$(BIN)/benchkit gate minilm-static --baseline champion --offline --no-cost --quiet --report-only > mlruns/demo-gate.txt
	@head -3 mlruns/demo-gate.txt; echo "The whole report: mlruns/demo-gate.txt"
	$(BIN)/benchkit drift baseline $$(test -e mlruns/drift/baselines/demo.safetensors && echo renew || echo create) demo \
	  --from suites/data/production/september.jsonl --model minilm --canary quickstart --keep-texts --offline --quiet
	$(BIN)/benchkit drift watch suites/data/production/october.jsonl --baseline demo --window-size 60 \
	  --keep-texts --once --offline --quiet || test $$? -eq 1
	@touch $@

test: $(VENV)/.installed-test lint unit  ## every check that a reviewer would make

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(VENV)/.installed-test
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The stamps are newer than the files that decide what is installed; a change of either installs again.
$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable ".[offline]"
	touch $@

$(VENV)/.installed-test: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable ".[test]"
	touch $@ $(VENV)/.installed

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache dist build
