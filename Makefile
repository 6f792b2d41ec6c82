# make setup   a virtual environment in .venv with the vis-assets command, and the libraries that pages embed
# make demo    a real job becomes a real map; POINTS=2000 makes a smaller one
# make test    all checks and tests
# make chaos   jobs through the whole system while it is attacked; JOBS, KILLS, SEED
# make chaos-stub   the same with 2000 jobs and 200 kills, but runs that compute nothing; JOBS, KILLS, SEED
# make lint    the static checks alone

PYTHON ?= python3.11
POINTS ?= 10000
JOBS ?= 300
KILLS ?= 100
SEED ?= 1
BIN := .venv/bin
PYTEST_ARGS ?= -n 2

.PHONY: setup demo dev test chaos chaos-stub lint docs clean

setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt vis_assets/page/package-lock.json vis_assets/page/fonts.py
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/python -m vis_assets.page.fonts
	$(BIN)/vis-assets warmup
	@touch $@

demo: setup
	@$(BIN)/vis-assets demo --points $(POINTS)

dev: setup
	@$(BIN)/vis-assets dev --points $(POINTS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: setup lint
	$(BIN)/python -m vis_assets_tests.install_browser
	$(BIN)/python -m pytest $(PYTEST_ARGS)

chaos: setup
	$(BIN)/python -m vis_assets_tests.chaos --jobs $(JOBS) --kills $(KILLS) --seed $(SEED) $(if $(CHAOS_HOME),--home $(CHAOS_HOME))

chaos-stub: JOBS = 2000
chaos-stub: KILLS = 200
chaos-stub: setup
	$(BIN)/python -m vis_assets_tests.chaos.stub --jobs $(JOBS) --kills $(KILLS) --seed $(SEED) $(if $(CHAOS_HOME),--home $(CHAOS_HOME))

docs: setup
	$(BIN)/python -m vis_assets_tests.docs.reference

clean:
	rm -rf .venv .vis_assets
