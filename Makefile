# make demo   sets everything up, trains a short run, classifies a folder of 10,000 scans with the
#             shipped bundle, and measures both
# make test   sets everything up and runs the whole suite
# make docs   builds the pages of docs/ as a site in site/
# make lock   pins what an image installs, in cluster/requirements.txt

PYTHON ?= python3
VENV ?= .venv
EPOCHS ?= 3
BIN = $(VENV)/bin

.PHONY: demo test lint docs lock clean

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

test: lint
	$(BIN)/pytest

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

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

clean:
	rm -rf $(VENV) demo site
