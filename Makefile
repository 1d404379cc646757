# Two commands do everything: `make demo` and `make test`. Set-up is tools/setup.py, which does nothing the second time.
# No recipe relies on a path without spaces.

PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$name" && break; done)
SETUP = $(if $(PYTHON),"$(PYTHON)",$(error Python 3.11 or later is needed: install it or set PYTHON=/path/to/python3)) tools/setup.py
RUN = .venv/bin/python
# -P: the checkout is not on sys.path, where codegen.protogen would import as a second copy of every class.
PYTEST = $(RUN) -P -m pytest
ARGS ?=

export PATH := $(CURDIR)/.venv/toolchain/bin:$(PATH)
# The toolchains come from the machine or from the lock; none fetches another one by itself.
export GOTOOLCHAIN = local

.DEFAULT_GOAL := help
.PHONY: help demo test soak bench build check lint format lock clean

help: ## Show the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1	\2/p' Makefile | expand -t 12

demo: ## Install, build the SDKs, and show a client calling a server in each language
	@$(SETUP) demo
	@$(RUN) tools/demo.py

test: ## Run every test, other languages included (ARGS="-k name" chooses)
	@$(SETUP) test
	@$(PYTEST) -n 3 --dist loadfile $(ARGS)

soak: ## Run the tests that take minutes
	@$(SETUP) test
	@$(PYTEST) -m soak $(ARGS)

bench: ## Run the benchmarks beside their peers; prints ratios
	@$(SETUP) bench
	@$(RUN) bench $(ARGS)

build: ## Write generated/ from schemas/
	@$(SETUP) build
	@.venv/bin/protogen build $(ARGS)

check: ## Say whether generated/ is what the schemas give
	@$(SETUP) build
	@.venv/bin/protogen build --check

lint: ## Run the linters and type checkers alone
	@$(SETUP) test
	@$(PYTEST) tests/quality tests/architecture $(ARGS)

format: ## Rewrite our own Python in the project's layout
	@$(SETUP) build
	@$(RUN) -m ruff check --fix --quiet . ; $(RUN) -m ruff format .

lock: ## Resolve the dependencies anew and write the lock files
	@$(SETUP) demo
	@$(RUN) tools/lock.py

clean: ## Remove everything that make made, except generated/
	rm -rf .venv node_modules bench/node_modules dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .interop_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
