# make setup   a virtual environment in .venv with the vis-assets command, and the libraries that pages embed
# make demo    a real job becomes a real map; POINTS=2000 makes a smaller one
# make test    all checks and tests
# make lint    the static checks alone

PYTHON ?= python3.11
POINTS ?= 10000
BIN := .venv/bin
PYTEST_ARGS ?= -n 2

.PHONY: setup demo dev test lint docs clean

setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt vis_assets/page/package-lock.json vis_assets/page/vendor.py
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/python -m vis_assets.page.vendor
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

docs: setup
	$(BIN)/python -m vis_assets_tests.docs.reference

clean:
	rm -rf .venv .vis_assets
