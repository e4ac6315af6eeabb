# Everything a newcomer needs; `make help` lists it. All targets install what they need into .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORPUS ?= ../shared/corpus/sisimai
MUTANTS ?= 10
INSTALLED := $(VENV)/.installed
TOOLS := $(VENV)/.tools

# Without byte code kept, every process of every test would compile the program again. What is installed is compiled when
# it is first used (--no-compile): much of it never is.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test check fix bench corpus unseen golden rule docs fuzz soak disk-faults mutants real-bounces browser package cluster vulnerabilities install tools clean

help: ## Print this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

install: $(INSTALLED) ## Make .venv and install the command, with what it needs and nothing else

# PIP_CONSTRAINT holds for what builds the package too.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed, $(PYTHON) is older."; echo "Say which to use: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --editable .
	@touch $(INSTALLED)

$(TOOLS): $(INSTALLED)
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --editable '.[dev]'
	@touch $(TOOLS)

tools: $(TOOLS) ## Install what tests, checks and the demo's doubles need as well

demo: $(TOOLS) ## Run the main job end to end on loopback doubles and show the result
	@$(BIN)/python -m examples.demo

test: $(TOOLS) ## Run all tests that need nothing installed outside .venv
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not real_mta and not browser and not cluster' tests
	@command -v cc >/dev/null || echo "*** NOT RUN here: a disk that fails (needs a C compiler, cc)"
	@echo "*** NOT RUN here: real mail servers (make real-bounces), a real browser (make browser), a Dask cluster (make cluster)"

check: $(TOOLS) ## Lint, format check, types: complains, never writes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@echo "*** NOT RUN here: known vulnerabilities of what we depend on (make vulnerabilities, needs the network)"

fix: $(TOOLS) ## Let the linter and formatter write
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(TOOLS) ## Measure the budgets as ratios in one run
	$(BIN)/python -m benchmarks

corpus: $(TOOLS) ## Score public bounces with labels (CORPUS=folder with labels.jsonl)
	$(BIN)/python -m benchmarks.corpus $(CORPUS)

unseen: $(TOOLS) ## Score mails written by someone who had not read the rules
	$(BIN)/python -m benchmarks.unseen

golden: $(TOOLS) ## Accept what the tests wrote as *.got.json (read the diff first)
	$(BIN)/python -m tests.golden

rule: $(TOOLS) ## Show what one rule decides in the mails at hand (ID=google-dmarc)
	@$(BIN)/python -m tests.rule "$(ID)" $(CORPUS)

docs: $(TOOLS) ## Write the generated parts of README.md and docs/
	$(BIN)/python -m docs.generate
	@$(BIN)/python -m tests.run.fault_table

fuzz: $(TOOLS) ## Look longer for inputs that break a promise
	FUZZ_EXAMPLES=2000 $(BIN)/python -m pytest tests/parsers/test_fuzz.py tests/hostile/test_no_action_without_proof.py

mutants: $(TOOLS) ## Break the program on purpose, see whether its tests notice (MUTANTS=10 of each room)
	MUTANTS=$(MUTANTS) nice -n 10 $(BIN)/python -m tests.mutants

soak: $(TOOLS) ## Live weeks of faults, kills and an owner at work, seed by seed (SEEDS=20 RUNS=100)
	$(BIN)/python -m tests.soak $(or $(SEEDS),20) $(or $(RUNS),100)

disk-faults: $(TOOLS) ## Let the disk fail at every write of a run, and compare the end (EVERY=10: each tenth write)
	$(BIN)/python -m tests.disk.sweep $(or $(EVERY),1)

real-bounces: $(TOOLS) ## Run real mail servers on loopback, judge what they send (root on Debian)
	@$(BIN)/python -m tests.real_mta.install
	$(BIN)/python -m pytest -m real_mta -rs tests/whole/test_real_mta.py tests/whole/test_real_relays.py tests/outbox/test_real_outbox.py

browser: $(TOOLS) ## Look at the HTML report in headless Chromium (installs Debian's where it can)
	@$(BIN)/python -m tests.browser
	@PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[browse]' || echo "*** SKIPPED: Datasette could not be installed"
	$(BIN)/python -m pytest -m browser -rs tests/report/test_browser.py tests/owner/test_browse.py tests/audit/test_audit_browser.py
	@echo "Screenshots, if there is a browser: .browser/"

package: $(TOOLS) ## Build the wheel, install it with pip, pipx and uv in empty folders, build the image where possible
	@$(BIN)/python -m tests.package

cluster: $(TOOLS) ## Judge archives on real Dask workers, write and ask Parquet (installs 200 MB more)
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --editable '.[cluster]' duckdb
	$(BIN)/python -m pytest -m cluster -rs tests/archive

vulnerabilities: ## Ask the public lists about each pinned package (pip-audit; needs the network)
	$(PYTHON) -m venv .audit
	.audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	.audit/bin/pip-audit --strict --no-deps --disable-pip --requirement constraints.txt

clean: ## Remove what the other targets made
	rm -rf $(VENV) .audit dist .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info .demo .accuracy .real-mta .browser
