PYTHON ?= python3
BIN := .venv/bin
MODEL ?= mini
PART ?= coarse

.DEFAULT_GOAL := all
.PHONY: all demo test fuzz torture lint format docs man screenshots picture examples free-music evaluate learn learn-stop promote-mini bench help

all: lint test

.venv/run.stamp: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -e .
	@touch $@

.venv/dev.stamp: .venv/run.stamp
	$(BIN)/pip install --quiet -e ".[dev]"
	@touch $@

demo: .venv/run.stamp  ## set up and re-make two seconds of the example
	$(BIN)/vamp inpaint examples/island-dreams.wav --start 4 --end 6 --seed 7 --overwrite

test: .venv/dev.stamp  ## set up and run the tests
	$(BIN)/pytest -n auto --dist worksteal

torture: .venv/dev.stamp  ## ten thousand takes, killed processes, processes side by side, full disks; ARGS="--takes 100"
	$(BIN)/python tests/torture.py $(ARGS)

fuzz: .venv/dev.stamp  ## read 10,000 damaged files of each kind; ARGS="--cases 1000 recipe mask" reads fewer
	$(BIN)/python tests/fuzz/run.py $(ARGS)

lint: .venv/dev.stamp  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/dev.stamp  ## bring the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.venv/docs.stamp: .venv/run.stamp
	$(BIN)/pip install --quiet -e ".[docs]"
	@touch $@

docs: .venv/docs.stamp  ## build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

man: .venv/run.stamp  ## make the manual page man/vamp.1; `man -l man/vamp.1` shows it
	mkdir -p man
	$(BIN)/python scripts/man_page.py > man/vamp.1

screenshots: .venv/dev.stamp  ## record the pictures of terminal and page of the documentation again; needs Chromium
	$(BIN)/python scripts/screenshots.py

picture: .venv/dev.stamp  ## make the pictures and the sounds of the README again
	$(BIN)/vamp inpaint examples/island-dreams.wav --start 4 --end 6 --seed 7 --overwrite \
	  -o examples/island-dreams.made.flac --plot docs/images/inpaint.png
	$(BIN)/vamp inpaint examples/island-dreams.wav --start 4 --end 6 --seed 7 --memory off --overwrite \
	  -o examples/island-dreams.alone.flac --plot docs/images/inpaint-alone.png

examples: .venv/run.stamp  ## make the sounds before and after each command in examples/pairs again
	$(BIN)/python scripts/examples.py

free-music: .venv/run.stamp  ## fetch free music (Debian packages, gigabytes) and prepare it in data/; ARGS=--dry-run
	$(BIN)/python scripts/free_music.py $(ARGS)

evaluate: .venv/run.stamp  ## measure a model on the held-out pieces (after free-music); MODEL=mini, a name or folder
	for what in codec tokens; do \
	  $(BIN)/vamp eval $$what -m $(MODEL) --table configs/free-music.tsv --root data/root || exit; done
	$(BIN)/vamp eval run configs/eval/card.toml -m $(MODEL) --table configs/free-music.tsv --root data/root \
	  --reference-split ood -o runs/card/$(notdir $(MODEL))

learn: .venv/run.stamp  ## train the coarse model on one core until learn-stop; PART=fine, ARGS="--data folder"
	$(BIN)/python scripts/learn.py start $(PART) $(ARGS)

learn-stop: .venv/run.stamp  ## end that, export the model and compare it with the promoted one
	$(BIN)/python scripts/learn.py stop $(PART)

promote-mini: .venv/run.stamp  ## make NEW=folder the embedded model, if every changed part is better on validation
	$(BIN)/python scripts/promote.py $(NEW) --into checkpoints/mini --codec configs/mini-codec.toml \
	  --coarse configs/mini-coarse.toml --fine configs/mini-fine.toml $(ARGS)
	$(BIN)/vamp eval self-check -m checkpoints/mini --table configs/free-music.tsv --root data/root \
	  || { git checkout -- 'checkpoints/mini/*.safetensors' checkpoints/mini/config.json; exit 1; }
	git commit --message "Promote mini" -- checkpoints/mini

bench: .venv/run.stamp  ## measure speed against a plain version and write docs/explanation/performance.md; ARGS=--quick for a try
	$(BIN)/python -m benchmarks $(ARGS)

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*##/\1:/p' $(MAKEFILE_LIST)
