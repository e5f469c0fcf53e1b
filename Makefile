# `make demo` and `make test` are all that is needed: each target sets up what it needs in .venv, from the lock files
# in requirements/, the first time and whenever a lock file changes.

VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
LOCKED := --require-hashes --only-binary :all: --requirement
# Where to look for a Python, the first that will do; `make PYTHON=/path/to/python3.12 demo` names one.
PYTHON := python3.11 python3 python3.12 python3.13 python3.14
# Further arguments for pytest: `make test ARGS="-k plan"`.
ARGS :=

help:  ## what there is
	@sed -n 's/^\([a-z-]*\):.*## /  make \1  \t/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(VENV)/.demo  ## the whole of syncd against an embedded AWS, in half a minute
	@$(BIN)/syncd demo

test: check  ## everything that is checked, and all tests
	$(BIN)/pytest -n 5 --dist worksteal $(ARGS)

check: $(VENV)/.test  ## style, types, architecture, and whether the generated reference is up to date
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python tools/reference.py --check

docs: $(VENV)/.test  ## writes docs/reference.md from the code
	$(BIN)/python tools/reference.py

pictures: $(VENV)/.test  ## the pictures of README and docs, from real runs and `make simulate`; needs chromium: five minutes
	@$(BIN)/python tools/pictures/record.py
	@$(BIN)/python tools/pictures/draw.py
	@$(BIN)/python tools/performance.py

docs-site: $(VENV)/.docs  ## builds the documentation site, build/site, and checks its links
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "To read it: $(BIN)/python -m http.server --directory build/site"

format: $(VENV)/.test  ## lets ruff mend what it can
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: $(VENV)/.bench  ## syncd beside its peers and its proof beside the AWS CLI's, each on the same server in the same run
	@$(BIN)/python benchmarks/bench.py $(ARGS)
	@$(BIN)/python benchmarks/verify.py $(ARGS)

memory: $(VENV)/.bench  ## what a million copies hold in memory, beside twenty thousand: five minutes
	@$(BIN)/python benchmarks/memory.py $(ARGS)

vendor: $(VENV)/.test  ## a thousand jobs in one daemon, nothing new at any of them: ten minutes
	@$(BIN)/python benchmarks/thousand_jobs.py $(ARGS)

spread: $(VENV)/.bench  ## a spread catch-up whose workers and owner are killed at random, and what spreading costs: five minutes
	@$(BIN)/python benchmarks/spread.py $(ARGS)
	@$(BIN)/python benchmarks/spread_overhead.py

slots: $(VENV)/.bench  ## two daemons and a slot, killed and frozen; hints under a flood; ten thousand job files: a quarter of an hour
	@$(BIN)/python benchmarks/slots.py
	@$(BIN)/python benchmarks/hints.py
	@$(BIN)/python benchmarks/job_files.py

simulate: $(VENV)/.test  ## what cursors of other kinds lose in sixty days, and sixty times sixty bad days: three minutes
	@cd tests && ../$(BIN)/python -m simulation
	@echo
	@cd tests && ../$(BIN)/python -m simulation --attack $(ARGS)

mutants: $(VENV)/.test  ## wrong lines in the core, one at a time: some test has to notice each
	@$(BIN)/python tests/mutants $(ARGS)

hostile: $(VENV)/.test  ## servers that attack one job of a run, and what becomes of it, of the memory and of the job beside it
	@cd tests && ../$(BIN)/python -m hostile

faults: $(VENV)/.test  ## every fault with every verb and way of copying, then 500 kills; ends with a table: half an hour
	@cd tests && ../$(BIN)/python -m injection $(ARGS)

scale: $(VENV)/.test  ## state files of a million and ten million objects, and a day of ticks over a million
	@$(BIN)/python benchmarks/scale.py $(ARGS)
	@$(BIN)/python benchmarks/idle_day.py $(ARGS)

ceph: $(VENV)/.test  ## server-side copies between two owners, on Ceph's gateway, which has to be installed
	$(BIN)/pytest tests/ceph $(ARGS)

queues: $(VENV)/.test  ## hints and spread catch-ups on fauxqs, SQS by another author; needs npm and Node 20: two minutes
	@command -v npm >/dev/null && node -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' 2>/dev/null || { \
		echo "make queues needs npm and Node 20 or later; on Debian 13: apt-get install npm" >&2; exit 1; }
	@mkdir -p build/fauxqs && cp tests/fauxqs/* build/fauxqs
	@cd build/fauxqs && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	$(BIN)/pytest --queues fauxqs tests/contract/test_queue_servers.py tests/daemon/test_hints.py tests/e2e/test_spread.py $(ARGS)

release: $(VENV)/.demo $(VENV)/.release  ## everything of a release, dist/, the same bytes each time: make release URL=https://HOST/OWNER/syncd
	@test -n "$(URL)" || { echo "name the place of the project: make release URL=https://HOST/OWNER/syncd" >&2; exit 1; }
	@rm -rf dist
	@$(BIN)/python supply/release.py --url $(URL)
	@$(BIN)/python supply/check_release.py

sbom: | $(BIN)/python  ## the bill of materials of what runs, dist/syncd.cdx.json (CycloneDX), from the lock file
	@$(BIN)/python supply/sbom.py --output dist/syncd.cdx.json

deb: $(VENV)/.demo  ## the Debian package, dist/syncd_VERSION_ARCHITECTURE.deb, for the Python of this system
	@$(BIN)/python supply/deb.py

packages: $(VENV)/.test  ## builds that package, and installs, runs, upgrades and purges it on a copy of this machine
	$(BIN)/pytest tests/packages $(ARGS)

hashes: | $(BIN)/python  ## whether the hashes of the lock files are those of the package index at this moment
	@$(BIN)/python supply/check_locks.py --tries 6 $(ARGS)

lock:  ## resolves the lock files anew; needs uv
	@command -v uv >/dev/null || { echo "make lock needs uv" >&2; exit 1; }
	$(LOCK) --extra test --extra bench pyproject.toml --output-file requirements/bench.txt
	$(LOCK) --constraint requirements/bench.txt --extra test pyproject.toml --output-file requirements/test.txt
	$(LOCK) --constraint requirements/bench.txt --extra demo pyproject.toml --output-file requirements/demo.txt
	$(LOCK) --constraint requirements/bench.txt pyproject.toml --output-file requirements/runtime.txt
	$(LOCK) --constraint requirements/bench.txt --group build --output-file requirements/build.txt
	$(LOCK) --constraint requirements/bench.txt --group docs --output-file requirements/docs.txt
	$(LOCK) --constraint requirements/bench.txt --group release --output-file requirements/release.txt

# No index addresses: where packages come from is the business of the machine that installs them.
LOCK = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock"

# What is installed for one target serves the targets that need less.
$(VENV)/.demo $(VENV)/.test $(VENV)/.bench $(VENV)/.docs $(VENV)/.release: $(VENV)/.%: requirements/%.txt requirements/build.txt pyproject.toml | $(BIN)/python
	@echo "Installing what is in $< into $(VENV): about a minute the first time ..."
	@$(PIP_INSTALL) $(LOCKED) $< $(LOCKED) requirements/build.txt
	@$(PIP_INSTALL) --no-deps --no-index --no-build-isolation --editable .
	@touch $@

$(BIN)/python:
	@for python in $(PYTHON); do \
		if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "Making $(VENV) with $$($$python --version) ..."; \
			exec $$python -m venv $(VENV); \
		fi; \
	done; \
	echo "syncd needs Python 3.11 or later, with venv. On Debian 12: apt-get install python3-venv" >&2; exit 1

.PHONY: help demo test check docs pictures docs-site format bench memory vendor spread slots simulate mutants hostile faults scale ceph queues lock release sbom deb packages hashes
