# make demo   a real etcd that holds, a planted bug that is caught        make test   our own tests
# make lint   style and types      make bench   the numbers of README     make check  everything that CI does
# make certify   every checker against a slow judge on 100,000 histories
# make test-docker   the tests that need a Docker engine; the first time images are built (minutes); test-docker-slow: the patient ones
# Needs Python 3.11 or newer and a package index; everything else goes into $(VENV).

VENV ?= .venv
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
PIP = $(VENV)/bin/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
FILES = pyproject.toml constraints.txt
# Modules of tests share this many processes.
WORKERS ?= 2
PYTEST = $(VENV)/bin/python -m pytest --numprocesses $(WORKERS) --dist loadfile
# What the quick tests need; others are for the slow ones.
IMAGES = etcd links refregion refrollout refstore tools toxiproxy

.PHONY: demo test test-docker test-docker-slow test-slow lint bench detect certify check clean

demo: $(VENV)/installed-demo
	$(VENV)/bin/rift demo

test: $(VENV)/installed-dev
	$(PYTEST) -m "not slow and not docker"

test-docker: $(VENV)/installed-dev
	$(VENV)/bin/rift images $(IMAGES)
	$(VENV)/bin/python -m pytest -m "docker and not slow"

test-docker-slow: $(VENV)/installed-dev
	$(VENV)/bin/rift images
	$(VENV)/bin/python -m pytest -m "docker and slow"

test-slow: $(VENV)/installed-dev
	$(VENV)/bin/python -m pytest -m "slow and not docker"

lint: $(VENV)/installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

bench: $(VENV)/installed-dev
	@for each in generators runner journal links latency startup formats checkers transactions drills; do \
		echo "== $$each"; $(VENV)/bin/python bench/$$each.py || exit 1; echo; done

detect: $(VENV)/installed-dev
	$(VENV)/bin/python bench/detect.py

certify: $(VENV)/installed-dev
	$(VENV)/bin/rift certify

check:
	.ci/run

clean:
	rm -rf $(VENV) build dist store .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "make: Python 3.11 or newer is needed; give it as PYTHON=/path/to/python3"; exit 3; }
	@$(PYTHON) -m venv $(VENV) || { echo "make: $(PYTHON) cannot make a virtual environment; on Debian: apt-get install python3-venv"; \
		rm -rf $(VENV); exit 3; }

$(VENV)/installed-demo: $(VENV)/bin/python $(FILES)
	$(PIP) --editable '.[etcd]'
	@touch $@

$(VENV)/installed-dev: $(VENV)/bin/python $(FILES)
	$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/installed-demo
