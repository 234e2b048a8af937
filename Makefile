# Everything happens in .venv; nothing outside of this folder is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

FIGURES := rd-rgb-mean rd-4-2-0-bigbuckbunny-32-frames rd-4-2-0-bikes-64-frames rd-4-2-0-carphone-pristine-96-frames time-rgb time-4-2-0

.PHONY: demo test test-compressai lint vectors report clean

demo: $(VENV)/.demo
	$(BIN)/python scripts/demo.py

test: $(VENV)/.test
	$(BIN)/python -m pytest -n auto --maxprocesses 4

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

vectors: $(VENV)/.test
	$(BIN)/python scripts/check_vectors.py bitstreams

# From the committed lines. Pictures side by side: make report CROPS='--crops kodim23.png --decoded FOLDER', the folder by rd.py --decoded.
report: $(VENV)/.test
	$(BIN)/python scripts/report.py results/kodak-inrcodec.jsonl results/kodak-peers.jsonl $(wildcard results/videos-*.jsonl) \
		--published $(wildcard results/published/*) --reference webp 'x264 medium' $(CROPS) --figures build/figures -o results/report.html
	mkdir -p docs/figures
	cp $(foreach name,$(FIGURES),build/figures/$(name).svg build/figures/$(name).png) docs/figures/

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# torch is asked for by its exact version first, so that pip takes a CPU build where one is at hand.
$(VENV)/.demo: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) torch==$$(sed -n 's/^torch==//p' constraints.txt)
	$(INSTALL) -e '.[demo]'
	touch $@

$(VENV)/.test: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) torch==$$(sed -n 's/^torch==//p' constraints.txt)
	$(INSTALL) -e '.[test]'
	touch $@

# CompressAI wants numpy 1, so it gets an environment of its own.
test-compressai: $(VENV)-compressai/.test
	$(VENV)-compressai/bin/python -m pytest -rA tests/test_evaluation_compressai.py

$(VENV)-compressai/.test: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)-compressai
	sed '/^numpy==/d' constraints.txt > $(VENV)-compressai/constraints.txt
	$(VENV)-compressai/bin/python -m pip install --quiet --disable-pip-version-check \
		-c $(VENV)-compressai/constraints.txt -e '.[test,compressai]'
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-compressai demo .pytest_cache .ruff_cache build dist
