# make demo   sets everything up, trains a short run, classifies a folder of 10,000 scans with the
#             shipped bundle, and measures both
# make check  sets everything up, runs the linters and the unit tests: a minute and a half, offline
# make test   sets everything up and runs the linters and the whole suite
# make check-lowest  runs the unit tests on the oldest versions that pyproject.toml allows
# make docs   builds the pages of docs/ as a site in site/
# make lock   pins what an image installs, in cluster/requirements.txt

PYTHON ?= python3
VENV ?= .venv
EPOCHS ?= 3
# Unit tests: of a few seconds at most, on no data but the repository's own, without a Ray session.
UNIT = not slow and not mnist and not ray
BIN = $(VENV)/bin

.PHONY: demo check test lint check-lowest docs lock clean

demo: $(VENV)/.installed-train
	rm -rf demo
	@echo "--- training: $(EPOCHS) epochs (the report's run is EPOCHS=30)"
	$(BIN)/digitrec train --epochs $(EPOCHS) --out demo/run
	@echo "--- MNIST's 10,000 test images as a folder of PNGs"
	$(BIN)/digitrec data export --out demo/scans
	@echo "--- digits as other people write them, and scans that show none (the shipped bundle knows seed 0)"
	$(BIN)/digitrec data draw --seed 1 --count 1000 --junk 200 --out demo/drawn
	@echo "--- classifying both folders, with the bundle that digitrec ships"
	$(BIN)/digitrec classify demo/scans demo/drawn --out demo/result
	@echo "--- how much of it is right: by the run of $(EPOCHS) epochs, and by the shipped bundle"
	$(BIN)/digitrec evaluate demo/run cascade demo/scans demo/drawn --out demo/evaluation
	@echo
	@echo "result       demo/result (Parquet)"
	@echo "pictures     demo/run/plots, demo/drawn, demo/evaluation"
	@echo "TensorBoard  $(BIN)/tensorboard --logdir demo/run/tensorboard"

LINT = $(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/mypy && $(BIN)/lint-imports
# The linters run beside the tests, and speak when those have: with nothing cached, the types alone
# keep a CPU busy for half a minute. Either's failure is the recipe's.
BESIDE_LINT = log=$$(mktemp); (set -x; $(LINT)) > "$$log" 2>&1 & lint=$$!; \
	$(1); tests=$$?; wait $$lint; lint=$$?; cat "$$log"; rm "$$log"; exit $$((tests | lint))

check: $(VENV)/.installed-dev
	@$(call BESIDE_LINT,$(BIN)/pytest -n auto -m "$(UNIT)")

# What is slow mostly waits, for Ray or for a process: three files at a time, on any number of CPUs.
test: $(VENV)/.installed-dev
	@$(call BESIDE_LINT,$(BIN)/pytest -n auto -m "not slow and not ray")
	$(BIN)/pytest -n 3 --dist loadfile -m "slow or ray"

lint: $(VENV)/.installed-dev
	$(LINT)

docs: $(VENV)/.installed-docs
	$(BIN)/mkdocs build

# For every platform and Python that digitrec runs on, so that nobody's machine decides.
lock: $(VENV)/.installed-dev
	echo '# What the image installs, every package pinned with its hashes: `make lock` makes this file anew.' > cluster/requirements.txt
	$(BIN)/uv pip compile --quiet --extra s3 --universal --python-version 3.11 --generate-hashes \
		--no-header --no-emit-index-url pyproject.toml >> cluster/requirements.txt

# An environment with the extra $*: `make demo` needs training, `make test` the tools too.
$(VENV)/.installed-%: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[$*]'
	$(BIN)/python -m digitrec.normalize.scan  # compiled now, nobody waits for it later
	@touch $@

# Without training: torch alone is as large as the rest. What is older than its own dependencies may
# be told by them that it is, which is nobody's mistake here.
check-lowest: lowest/.installed
	lowest/bin/pytest -n auto -m "$(UNIT)" -W ignore::DeprecationWarning

lowest/.installed: pyproject.toml
	rm -rf lowest
	$(PYTHON) -m venv lowest
	lowest/bin/python -m pip install --quiet uv
	lowest/bin/uv pip install --quiet --python lowest/bin/python --resolution lowest-direct \
		--editable '.[test]'
	@touch $@

clean:
	rm -rf $(VENV) demo lowest site
