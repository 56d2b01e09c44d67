# Set-up, runs, tests. `make` alone lists the targets.
#
# Everything lives in this folder: the environment in .venv, all else that is made in results/.
#   CORES=4         processor cores to use (all)
#   PYTHON=...      the Python of the environment (the first that works of python3, python3.13,
#                   python3.12 and python3.11)
#   CXX=...         the C++ compiler (c++, g++ or clang++)
#   CHROMIUM=...    the browser of test-browser (chromium, google-chrome, ...)
#   ARGS=...        more arguments for snakemake, pytest or charlens bench: make demo ARGS=-n

SHELL = /bin/sh
CORES ?= all

# The user's own Python packages and pip settings stay out of the environment. Python may cache
# bytecode: without it, each of many jobs takes twice as long to import torch.
export PYTHONNOUSERSITE = 1
export PIP_USER = 0
export PIP_DISABLE_PIP_VERSION_CHECK = 1
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE PIP_TARGET PIP_PREFIX

BIN = .venv/bin
SNAKEMAKE = $(BIN)/snakemake --cores $(CORES)
READY = .venv/.ready
TOOLS = .venv/.tools
SLURM = .venv/slurm
CELLS = .venv/cells
# The only advice that `snakemake --lint` may give: our rules share one environment, see envs/. No
# advice at all means that it could not load them.
ADVICE = Specify a conda environment or container for each rule.:
CPP = src/charlens/backends/cpu/*.cpp src/charlens/backends/cpu/*.h tests/backends/*.cpp tests/backends/*.h

.PHONY: help
help:
	@echo 'usage: make TARGET'
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1  \2/p' Makefile | awk -F '  ' '{ printf "  %-13s %s\n", $$1, $$2 }'

.PHONY: demo
demo: $(TOOLS) ## the paper in miniature, in minutes: results/demo
	$(SNAKEMAKE) --configfile demo.yaml $(ARGS)

.PHONY: paper
paper: $(TOOLS) ## the full reproduction: results/paper (about a day on two fast cores)
	$(SNAKEMAKE) $(ARGS)

.PHONY: estimate
estimate: $(TOOLS) ## measure this machine and say how long the reproduction takes on it
	$(SNAKEMAKE) calibrate --forcerun calibrate --quiet rules host progress $(ARGS)
	@$(SNAKEMAKE) --summary $(ARGS) | $(BIN)/charlens estimate results/calibration.json --cores $(CORES)

.PHONY: bench
bench: $(TOOLS) ## training speed beside stock torch and of every cell type, 20 minutes: results/bench
	$(BIN)/charlens bench $(ARGS)
	$(BIN)/charlens bench-types
	test ! -d results/paper/benchmarks || $(BIN)/charlens bench-rules results/paper

.PHONY: equal
equal: $(TOOLS) ## test losses of the fast and the reference backend, hours: results/bench
	$(SNAKEMAKE) results/paper/corpora/wp.npz
	$(BIN)/charlens equal results/paper/corpora/wp.npz $(ARGS)

.PHONY: publish
publish: $(TOOLS) ## tables and figures of what is trained so far: results/reference
	$(BIN)/charlens publish results/paper results/reference $(ARGS)

.PHONY: test
test: $(TOOLS) $(SLURM) $(CELLS) ## the tests (those in a browser if there is one), side by side on CORES
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(CORES:all=logical) --dist loadfile \
	    --no-loadscope-reorder -m 'not full and not faults' $(ARGS)

.PHONY: test-full
test-full: $(TOOLS) ## the tests at full scale, minutes to hours
	$(BIN)/python -m pytest -m full $(ARGS)

.PHONY: test-faults
test-faults: $(TOOLS) ## kills, full disks, damage and fuzzing, counted: a quarter of an hour
	$(BIN)/python -m pytest -m faults --faults-csv results/reference/bench/faults.csv tests/faults $(ARGS)

.PHONY: test-browser
test-browser: $(TOOLS) ## the explorer in a real browser
	@for name in "$$CHROMIUM" chromium chromium-browser google-chrome google-chrome-stable chrome; do \
	    command -v "$$name" >/dev/null && exit; \
	done; echo 'make: the explorer is tested in Chromium, which is missing: install it (on Debian' \
	    'apt-get install chromium), or name a browser: make test-browser CHROMIUM=/opt/chrome' >&2; \
	exit 1
	$(BIN)/python -m pytest -m browser $(ARGS)

.PHONY: test-slurm
test-slurm: $(TOOLS) $(SLURM) ## the profile for Slurm, on a Slurm of one node set up for it (root)
	PYTHONPATH=$(CURDIR)/$(SLURM) tests/slurm/node.sh $(BIN)/python -m pytest tests/slurm $(ARGS)

.PHONY: lint
lint: $(READY) ## check the formatting and style of all code
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/clang-format --dry-run --Werror $(CPP)
	$(BIN)/snakefmt --check Snakefile workflow
	@advice=$$($(BIN)/snakemake --lint 2>&1 | grep '^    \* ' | sort -u); \
	test "$$advice" = '    * $(ADVICE)' || { $(BIN)/snakemake --lint; exit 1; }
	$(BIN)/lint-imports
	@if command -v npm >/dev/null; then \
	    $(MAKE) --silent node_modules/.package-lock.json && npm run --silent lint; \
	else echo 'make: npm is not installed: the JavaScript of the explorer is not linted'; fi

# The linter of the JavaScript.
node_modules/.package-lock.json: package.json package-lock.json
	npm ci --silent
	touch $@

.PHONY: format
format: $(READY) ## format all code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/clang-format -i $(CPP)
	$(BIN)/snakefmt Snakefile workflow
	$(BIN)/python -m charlens.runs.settings > workflow/schemas/config.schema.json

.PHONY: docs
docs: $(READY) ## build the documentation and check its numbers and links: docs/_build
	$(BIN)/python docs/generate.py
	$(BIN)/sphinx-build -q -W --keep-going -n -b html docs docs/_build

.PHONY: setup
setup: $(TOOLS) ## the environment, KenLM and the CPU backend; other targets run it if needed

.PHONY: slurm
slurm: $(READY) ## what a cluster with Slurm needs besides: Snakemake's plugin
	@command -v sacct >/dev/null || command -v squeue >/dev/null || { echo 'make: neither sacct nor' \
	    "squeue is here, and without them Snakemake's plugin for Slurm lets no snakemake command" \
	    'start: run make slurm on a node of the cluster' >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements-slurm.lock

.PHONY: clean
clean: ## remove the demo's results and all caches
	rm -rf results/demo .pytest_cache .hypothesis .ruff_cache
	find src tests -name __pycache__ -prune -exec rm -rf {} +

.PHONY: clean-all
clean-all: clean ## remove all results, also those that took days, and the environment
	test ! -d results || find results -mindepth 1 -maxdepth 1 ! -name README.md ! -name reference -exec rm -rf {} +
	rm -rf .venv .snakemake node_modules src/charlens/backends/cpu/build src/charlens.egg-info

# The environment. Its stamp is written last and holds this folder's name. Set-up starts afresh if the
# stamp is missing (set-up was interrupted), if it names another folder (.venv was copied or moved) or
# if the Python of .venv no longer runs. If only a lock changed, what differs is installed.
# (--no-compile: compiling all of torch ahead takes a minute; Python compiles what it imports.)
$(READY): requirements.lock requirements-torch.lock pyproject.toml
	@for cxx in $(if $(filter default undefined,$(origin CXX)),c++ g++ clang++,"$(CXX)"); do \
	    echo '#include <string>' | $$cxx -x c++ -fsyntax-only - 2>/dev/null && break; \
	done || { echo 'make: KenLM needs a C++ compiler, found none: install g++ or clang++,' \
	    'or name one: make CXX=/opt/bin/g++' >&2; exit 1; }
	@echo 'Setting up .venv: a few minutes the first time, mostly downloads.'
	@if [ "`cat $@ 2>/dev/null`" != '$(CURDIR)' ] || ! $(BIN)/python -c '' 2>/dev/null; then \
	    for python in $(if $(PYTHON),"$(PYTHON)",python3 python3.13 python3.12 python3.11); do \
	        "$$python" -c 'import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	            2>/dev/null && break; \
	    done || { echo 'make: Python 3.11, 3.12 or 3.13 is needed, with its venv module: install it' \
	        '(on Debian also python3-venv), or name one: make PYTHON=/opt/bin/python3.12' >&2; \
	        exit 1; }; \
	    test -f "$$("$$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" \
	    || { echo "make: KenLM needs the C headers of $$python: install them (on Debian python3-dev)" >&2; \
	        exit 1; }; \
	    "$$python" -m venv --clear .venv && rm -rf results/kenlm; \
	fi
	@rm -f $@
	@$(BIN)/python -m pip install --quiet --no-compile --require-hashes --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --no-compile --requirement requirements-torch.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@echo '$(CURDIR)' > $@

# KenLM, by the workflow's own rule, and the compiled CPU backend, which is optional.
$(TOOLS): $(READY) src/charlens/ngrams/build.py src/charlens/ngrams/boost.lock
	@$(SNAKEMAKE) kenlm --quiet host progress rules
	@$(BIN)/python -m charlens.backends.cpu || true
	@touch $@

# For tests alone: the plugin, and packages of newer cell types; beside the environment, see their locks.
$(SLURM) $(CELLS): .venv/%: $(READY) requirements-%.lock
	@rm -rf $@
	@$(BIN)/python -m pip install --quiet --no-compile --no-deps --require-hashes \
	    --requirement requirements-$*.lock --target $@
	@touch $@

# Their stamps exist, but they do not.
ifneq ($(wildcard $(BIN)/python) $(shell cat $(READY) 2>/dev/null),$(BIN)/python $(CURDIR))
.PHONY: $(READY)
endif
ifeq ($(wildcard results/kenlm),)
.PHONY: $(TOOLS)
endif
