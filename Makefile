# Everything that a contributor runs. On a fresh machine with python3, venv and make each target
# sets up what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.set-up

.PHONY: help demo test lint prove container-test mutants bench bench-backlog bench-neighbours soak pictures audit copies lock clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

$(SETUP): pyproject.toml tests/requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r tests/requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

demo: $(SETUP) ## See messages go from a Blaze server through the relay to a webhook, and come back READ
	$(BIN)/relay demo

test: $(SETUP) lint ## Lint, type-check and test
	$(BIN)/python -m pytest -n 2 -m "not prove and not container"

lint: $(SETUP) ## Check style, types and the walls between the floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

prove: $(SETUP) ## Prove that nothing is lost: kills and faults by the thousand; QUICK=1 for a taste
ifndef QUICK
	$(BIN)/python -m pytest -n 2 -m "prove and not container"
endif
	$(BIN)/python -m tests.prove $(if $(QUICK),--quick) $(if $(SEED),--seed $(SEED))

container-test: $(SETUP) ## Build the image, bring the compose file up, and try it on a container engine
	$(BIN)/python -m pip install --quiet --require-hashes -r tests/deploy/container.lock
	$(BIN)/python -m pytest -m container tests/deploy

mutants: $(SETUP) ## Break the core on purpose, and see that the tests notice
	$(BIN)/python -m tests.mutants

bench: $(SETUP) ## Measure what a message costs beside a bare loop, and how many go through; QUICK=1 for a taste
	$(BIN)/python -m tests.bench $(if $(QUICK),--quick)

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate

AUDIT := $(BIN)/uv run --quiet --no-project --isolated --with-requirements tests/audit.lock \
	pip-audit --strict --disable-pip --require-hashes --progress-spinner off $(AUDIT_FLAGS)

audit: $(SETUP) ## Look every locked dependency up in a database of known vulnerabilities
	@$(AUDIT) -r requirements.lock || { echo "audit: not passed. Where a dependency 'could not be\
 audited', the index here has no such database: run it where one answers, or with AUDIT_FLAGS='-s osv'" >&2; exit 1; }

bench-backlog: $(SETUP) ## Let a million messages wait for a receiver that is away, and print the curve
	$(BIN)/python -m tests.bench.bench_backlog

soak: $(SETUP) ## Offer 500 messages/s for HOURS=1 under faults, and judge; SEED=n, PICTURE=1 for docs/
	$(BIN)/python -m pip install --quiet --require-hashes -r tests/deploy/pictures.lock
	$(BIN)/python -m tests.soak $(if $(HOURS),--hours $(HOURS)) $(if $(SEED),--seed $(SEED)) $(if $(PICTURE),--picture)

bench-neighbours: $(SETUP) ## Measure a good endpoint beside four bad ones, and alone
	$(BIN)/python -m tests.bench.bench_neighbours

pictures: $(SETUP) ## Draw the dashboard for docs/pictures from a story of 40 minutes
	$(BIN)/python -m pip install --quiet --require-hashes -r tests/deploy/pictures.lock
	$(BIN)/python -m tests.deploy.draw_dashboard

copies: $(SETUP) ## Copy rules and dashboard to where Helm and kustomize can read them
	$(BIN)/python -m tests.deploy.kubernetes_copies

lock: $(SETUP) ## Renew the lock files
	$(LOCK) --upgrade pyproject.toml -o requirements.lock
	$(LOCK) --upgrade pyproject.toml --extra dev -o tests/requirements.lock
	$(LOCK) --upgrade --group build -o deploy/container/build.lock
	$(LOCK) --upgrade --group container -o tests/deploy/container.lock
	$(LOCK) --upgrade --group pictures -o tests/deploy/pictures.lock

clean: ## Remove what the other targets made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
