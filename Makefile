# `make` alone explains itself. Everything happens in .venv, build and dist; nothing outside is touched,
# except for system packages that are missing and that you have the rights to install.

PYTHON ?=
HOST ?= 127.0.0.1
PORT ?= 8000
ARGS ?=
FUZZ_SECONDS ?= 600
FUZZ_TARGET ?=
FUZZ_JOBS ?= 1
SANITIZE ?= 0

PY := .venv/bin/python
LINTED := src tests examples benchmarks conformance fuzz setup.py

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup serve test interop conformance autobahn check format wheel bench fuzz lock clean

help: ## This text
	@echo "polywire: one typed Python service, every protocol, one port."
	@echo
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile
	@echo
	@echo "New here? \`make serve\` does all the set-up and prints a line to copy for each protocol."

setup: ## Check the machine, make .venv, build, install (fast when nothing changed)
	@PYTHON="$(PYTHON)" scripts/setup.sh

serve: setup ## Serve the demo on 127.0.0.1:8000 (PORT=9000 for another port, ARGS="file.py:app" for your own)
	@exec .venv/bin/polywire serve --host "$(HOST)" --port "$(PORT)" $(ARGS)

test: setup ## Run the tests (ARGS="-k grpc" for some, ARGS="-m 'not slow'" for the quick ones)
	@$(PY) -m pytest $(ARGS)

interop: setup ## Foreign clients against the demo: Connect, gRPC, gRPC-Web, tRPC, GraphQL, Chromium (needs Node.js)
	@scripts/interop.sh $(ARGS)

conformance: setup ## The Connect conformance suite: Connect, gRPC and gRPC-Web (needs Go; ARGS="-v --run 'Basic/**'")
	@scripts/conformance.sh $(ARGS)

autobahn: setup ## The Autobahn suite against WebSockets with compression (needs Python 2.7; ARGS="'1.*' '7.*'" for some)
	@scripts/autobahn.sh $(ARGS)

check: setup ## Format, lint, strict types, import directions: everything but the tests
	@scripts/check.sh $(LINTED)

format: setup ## Rewrite the code as `make check` wants it
	@$(PY) -m ruff check --fix --quiet --exit-zero $(LINTED)
	@$(PY) -m ruff format $(LINTED)

wheel: setup ## A wheel with libnghttp2 inside, in dist/
	@scripts/wheel.sh

bench: setup ## Measure polywire beside its peers (ARGS="--quick --only rest"; ARGS=--help explains)
	@scripts/bench.sh $(ARGS)

fuzz: setup ## Fuzz the parsers, ten minutes each (FUZZ_SECONDS=60, FUZZ_TARGET=http1, FUZZ_JOBS=2, SANITIZE=1)
	@FUZZ_SECONDS="$(FUZZ_SECONDS)" FUZZ_TARGET="$(FUZZ_TARGET)" FUZZ_JOBS="$(FUZZ_JOBS)" SANITIZE="$(SANITIZE)" scripts/fuzz.sh $(ARGS)

lock: setup ## Raise the locked versions in requirements/
	@scripts/lock.sh

clean: ## Remove all that was built: .venv, .venv-bench, .venv-fuzz, build, dist, caches
	@rm -rf .venv .venv-bench .venv-fuzz build dist wheelhouse .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@rm -rf src/*.egg-info
	@find src -name '*.so' -delete -o -name '*.c' -delete
	@find src tests examples benchmarks fuzz -name __pycache__ -type d -prune -exec rm -rf {} +
