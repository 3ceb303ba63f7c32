PYTHON ?= python3

.DEFAULT_GOAL := help

.PHONY: help build test durability lint format types clean

help:    ## this list
	@sed -n 's/^\([a-z]*\):.*## */\1 /p' $(MAKEFILE_LIST) | awk '{ name = $$1; $$1 = ""; printf "  make %-8s%s\n", name, $$0 }'

build:   ## build the extension inside backprop/
	$(PYTHON) setup.py build_ext --inplace

test: build  ## build, then run the tests
	$(PYTHON) -m pytest

durability: build  ## 600 damaged files, 25 kills while saving
	BACKPROP_DAMAGED_FILES=600 BACKPROP_KILLS=25 $(PYTHON) -m pytest tests/test_durability.py

lint:    ## ruff
	ruff check .

format:  ## clang-format on C, ruff on Python
	clang-format -i $$(find csrc -name '*.[ch]' -o -name '*.inc')
	ruff check --fix .

types:   ## mypy --strict
	mypy

clean:   ## remove what a build leaves behind
	rm -rf build dist *.egg-info backprop/*.so
