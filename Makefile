PYTHON ?= python3
ENCODER ?= embedded
PIP_INSTALL ?= pip install
BIN := .venv/bin
# Pages are tested in a real browser. In CI its tests always run, and fail if it is missing.
BROWSER := $(CI)$(shell command -v chromium >/dev/null && command -v chromedriver >/dev/null && echo found)
SUITE := not slow$(if $(BROWSER),, and not browser)

.PHONY: demo picture docs test check test-slow tables clean

demo: .venv/installed
	rm -rf demo
	$(BIN)/python examples/make_parts.py demo/parts
	@echo "1. Ten drawn gears, from words alone:"
	$(BIN)/blemish inspect demo/parts/new --product "steel gear" --encoder $(ENCODER) --out demo/words
	@echo "2. The same ten, after sixteen good gears:"
	$(BIN)/blemish inspect demo/parts/new --product "steel gear" --normal demo/parts/good \
		--encoder $(ENCODER) --out demo/report --report demo/report.html
	@echo "Open demo/report.html in a browser: every picture under its heat map, and a threshold to drag,"
	@echo "which starts where the good gears suggest. That is no calibration: see docs/recipes.md."
	@echo "The heat maps alone: demo/report/overlays, and from words alone demo/words/overlays."

picture: demo
	$(BIN)/python scripts/picture.py demo docs/assets/gears.jpg

test: check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m "$(SUITE)" -n 2 --dist loadgroup
	$(if $(BROWSER),,@echo "NOT TESTED: pages in a browser. For it: apt-get install chromium chromium-driver")

check: .venv/developed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test-slow: .venv/developed
	$(BIN)/python -m pytest -q -m slow

docs: .venv/developed
	$(BIN)/python -m mkdocs build --quiet --strict
	@echo "Open build/docs/index.html"

tables: .venv/developed
	$(BIN)/python scripts/tables.py

.venv/bin/python:
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "blemish needs Python 3.11 or later: make PYTHON=python3.12 ..."'
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m $(PIP_INSTALL) --quiet --constraint constraints.txt --editable '.[torch]'
	@touch $@

.venv/developed: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m $(PIP_INSTALL) --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@ .venv/installed

clean:
	rm -rf .venv demo build dist
