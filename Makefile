# Everything a newcomer needs; `make help` lists it. All targets install what they need into .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORPUS ?= ../shared/corpus/sisimai
INSTALLED := $(VENV)/.installed

# Without byte code kept, every process of every test would compile the program again. What is installed is compiled when
# it is first used (--no-compile): much of it never is.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test check fix bench corpus golden rule docs fuzz real-bounces browser install clean

help: ## Print this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

install: $(INSTALLED) ## Make .venv and install the project with its tools

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed, $(PYTHON) is older."; echo "Say which to use: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable '.[dev]'
	@touch $(INSTALLED)

demo: $(INSTALLED) ## Run the main job end to end on loopback doubles and show the result
	@$(BIN)/python -m examples.demo

test: $(INSTALLED) ## Run all tests that need nothing installed outside .venv
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not real_mta and not browser' tests
	@echo "*** NOT RUN here: real mail servers (make real-bounces), a real browser (make browser)"

check: $(INSTALLED) ## Lint, format check, types: complains, never writes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fix: $(INSTALLED) ## Let the linter and formatter write
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(INSTALLED) ## Measure the budgets as ratios in one run
	$(BIN)/python -m benchmarks

corpus: $(INSTALLED) ## Score public bounces with labels (CORPUS=folder with labels.jsonl)
	$(BIN)/python -m benchmarks.corpus $(CORPUS)

golden: $(INSTALLED) ## Accept what the tests wrote as *.got.json (read the diff first)
	$(BIN)/python -m tests.golden

rule: $(INSTALLED) ## Show what one rule decides in the mails at hand (ID=google-dmarc)
	@$(BIN)/python -m tests.rule "$(ID)" $(CORPUS)

docs: $(INSTALLED) ## Write the generated parts of README.md and docs/
	$(BIN)/python -m docs.generate

fuzz: $(INSTALLED) ## Look longer for inputs that break a promise
	FUZZ_EXAMPLES=2000 $(BIN)/python -m pytest tests/parsers/test_fuzz.py

real-bounces: $(INSTALLED) ## Run real Postfix and Exim on loopback, judge what they send (root on Debian)
	@$(BIN)/python -m tests.real_mta.install
	$(BIN)/python -m pytest -m real_mta -rs tests/whole/test_real_mta.py

browser: $(INSTALLED) ## Look at the HTML report in headless Chromium (installs Debian's where it can)
	@$(BIN)/python -m tests.browser
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[browse]' || echo "*** SKIPPED: Datasette could not be installed"
	$(BIN)/python -m pytest -m browser -rs tests/report/test_browser.py tests/owner/test_browse.py
	@echo "Screenshots, if there is a browser: .browser/"

clean: ## Remove what the other targets made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info .demo .accuracy .real-mta .browser
