# Everything needs .venv and makes it when it is missing; the second time nothing is fetched.
.DEFAULT_GOAL := help
.PHONY: help venv demo test lint bench bench-sim bench-gossip wounds sim-gossip tools clean exhaustive crashes evidence

# An interpreter that every user of the machine may run, so that the venv serves an unprivileged user as well.
PYTHON ?= $(shell for p in /usr/bin/python3 /usr/local/bin/python3 python3 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
BIN := .venv/bin
LEAN = PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX="$(CURDIR)/.venv/shoald-cache" $(BIN)/python -OO
STAMP := .venv/.installed
JOBS ?= 2
# In a checkout that its user may only read, test runners keep no caches.
UNWRITABLE := $(shell test -w . || echo "-p no:cacheprovider -W ignore::hypothesis.errors.HypothesisWarning")

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

venv: $(STAMP)  ## .venv with everything that the others need

$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: Python 3.11 or newer with venv and ensurepip is needed; name one with PYTHON=…"; exit 1; }
	"$(PYTHON)" -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	$(BIN)/python -m compileall -q daemon gossip overlay scenarios
	@# Daemons run without docstrings, which saves 2 MB each: all that they import, compiled so (see launcher._lean).
	$(LEAN) -m compileall -q daemon gossip overlay
	@$(LEAN) -m daemon --help >/dev/null
	@touch $@

demo: $(STAMP)  ## the main job on three daemons, each step checked (ARGS="--step --keep")
	@$(BIN)/shoal demo $(ARGS)

test: $(STAMP) tools  ## all tests (ARGS="tests/overlay -k arp")
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup $(UNWRITABLE) $(ARGS)

lint: $(STAMP)  ## ruff, mypy --strict, import contracts
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)  ## figures from outside beside their goals; fails when one is missed
	@$(BIN)/shoal bench $(ARGS)

bench-sim: $(STAMP)  ## simulated time against real time beside its goals (ARGS="--seeds 100 --only light")
	@$(BIN)/python -m scenarios.bench.simulated $(ARGS)

bench-gossip: $(STAMP) tools  ## serf and gossip/ in turn, both figures and their ratio (ARGS="--sizes 3 --runs 1")
	@$(BIN)/python -m scenarios.bench.gossip $(ARGS)

wounds: $(STAMP)  ## Docker's wounds on a model of Docker and on shoal, in a few seeds each (ARGS="--seeds 1000 --jobs 2")
	@$(BIN)/shoal wounds $(ARGS)

sim-gossip: $(STAMP)  ## gossip in simulated time: SWIM, Lifeguard, tables, gray failures (ARGS="--full --seeds 1 2")
	@$(BIN)/python -m scenarios.study $(ARGS)

exhaustive: $(STAMP)  ## three hosts' protocol objects in every order of events (ARGS=--nightly)
	@$(BIN)/python -m scenarios.exhaustive $(ARGS)

crashes: $(STAMP)  ## a host dies between two persisted steps of a story (ARGS="--nightly" or "--every 10 --seed 2")
	@$(BIN)/python -m scenarios.crashes $(ARGS)

evidence: $(STAMP)  ## docs/evidence.md: what is known of the rules of docs/state.md, and how (ARGS=--nightly)
	@$(BIN)/python -m scenarios.evidence $(ARGS)

# Peers that some tests talk to: the docker command, docker-compose, tshark and serf. Only root can install them;
# without them those tests are skipped and say so.
tools:
	@sh tests/tools.sh

clean:  ## remove .venv and caches
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
