# seqcli: `make run` shows what it does, `make test` checks it. Both set up .venv first.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
RUN := runs/dates
TORCH := 2.13.0
TEXT := samstag, 5. märz 2011
PYTHONS := python3
SCORES := dot scaled_dot multiplicative additive content
STACK := hidden_size: 128, heads: 4, feedforward_size: 256
# one thread a test worker: more would fight for the cores
TESTS := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

help:  ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/ready  ## Make .venv and install seqcli with the locked versions

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable '.[dev]'
	@# pip would compile one file after the other; a few of them are templates that do not compile
	@$(BIN)/python -m compileall -qq -j 0 .venv/lib seqcli tests || true
	@touch $@

run: setup  ## Train on dates, evaluate, translate a line, draw its attention
	$(BIN)/seqcli train recipes/dates.yaml
	$(BIN)/seqcli eval $(RUN)
	echo "$(TEXT)" | $(BIN)/seqcli translate $(RUN)
	$(BIN)/seqcli visualize attention $(RUN) --text "$(TEXT)" -o map.png

test: setup  ## Run the quick tests; those of the docs' commands are test-docs
	$(TESTS) -m "not real" --ignore tests/test_docs.py

test-real: setup  ## Run the slow tests too, on the real data sets
	SEQCLI_TEST_EXAMPLES=2000 $(TESTS)

test-docs: setup  ## Run every command of README and docs
	$(TESTS) tests/test_docs.py

bench-train: setup  ## Time training beside plain PyTorch, on Multi30k in the folder that SEQCLI_TEST_DATA names
	$(BIN)/python benchmarks/train.py

bench-translate: setup  ## Time translating beside CTranslate2, on the same data
	$(BIN)/python benchmarks/translate.py

bench-positions: setup  ## Draw what a symbol costs by its place in the translation, on the same data
	$(BIN)/python benchmarks/positions.py

alignment: setup  ## Train each attention on dates, and print how right it is as an alignment
	for order in luong bahdanau; do for kind in $(SCORES); do \
	  $(BIN)/seqcli train recipes/dates.yaml training.steps=300 model.decoder.order=$$order \
	    model.decoder.attention.kind=$$kind run=runs/alignment/$$order-$$kind || exit; done; done
	$(BIN)/seqcli train recipes/dates.yaml training.steps=600 training.optimizer.learning_rate=1e-3 \
	  'model={encoder: {kind: transformer, layers: 2, $(STACK)}, decoder: {kind: transformer, layers: 3, $(STACK)}, dropout: 0.1}' \
	  run=runs/alignment/transformer
	$(BIN)/python scripts/alignment_errors.py runs/alignment/*

lint: setup  ## Check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup  ## Check types
	$(BIN)/mypy

try-wheel: setup  ## Build the wheel and try it in an empty environment for each Python named (PYTHONS="…")
	PATH=$(CURDIR)/$(BIN):$$PATH scripts/try_wheel.sh $(PYTHONS)

dates: setup  ## Make the shipped dates anew from CLDR
	$(BIN)/python scripts/make_dates.py

frames: setup  ## Record anew the pictures of the live view that the tests compare with
	SEQCLI_RECORD_FRAMES=1 $(BIN)/python -m pytest tests/cli/test_training_view.py -k recorded
	git diff --stat tests/cli/frames

docs: references lecture  ## Make all in docs/ that is made: the references, and the pictures of the lecture

references: setup  ## Make the references in docs/ from the schema and the commands
	$(BIN)/python scripts/make_docs.py

lecture: setup  ## Run the chapters of the lecture (LESSONS="3 gates"; all: 20 minutes) and keep their pictures
	$(BIN)/python scripts/make_lecture.py $(LESSONS)

results: setup  ## Train and score what RESULTS names ("g2p scan-rnn"; all: many hours), and write docs/results.md
	$(BIN)/python scripts/make_results.py $(RESULTS)

lock: setup  ## Resolve the newest versions that go together into constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	(echo '# The versions that make uses, for every Python and system that seqcli runs on; made by `make lock`.'; \
	  echo 'torch==$(TORCH)' | $(BIN)/python -m uv pip compile pyproject.toml --extra dev --constraint - \
	    --universal --python-version 3.10 --no-header --no-annotate --quiet) > constraints.new
	mv constraints.new constraints.txt

clean:  ## Remove .venv and everything made from the code (runs stay)
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist *.egg-info

.PHONY: help setup run test test-real test-docs bench-train bench-translate bench-positions alignment lint types try-wheel dates frames docs references lecture results lock clean
