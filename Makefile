PYTHON ?= python3
ENCODER ?= embedded
BIN := .venv/bin

.PHONY: demo test check test-slow clean

demo: .venv/installed
	rm -rf demo
	$(BIN)/python examples/make_parts.py demo/parts
	@echo "Words alone:"
	$(BIN)/blemish inspect demo/parts/new --product "brushed metal plate" --encoder $(ENCODER) --out demo/words
	@echo "Words and sixteen good parts:"
	$(BIN)/blemish inspect demo/parts/new --product "brushed metal plate" --normal demo/parts/good \
		--encoder $(ENCODER) --out demo/report
	@echo "The report lies in demo/report (from words alone: demo/words): results.jsonl, and heat maps in overlays/"

test: check
	$(BIN)/python -m pytest -q -m "not slow" -n 2

check: .venv/developed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test-slow: .venv/developed
	$(BIN)/python -m pytest -q -m slow

.venv/bin/python:
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "blemish needs Python 3.11 or later: make PYTHON=python3.12 ..."'
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

.venv/developed: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@ .venv/installed

clean:
	rm -rf .venv demo build dist
