# The front door. Every target sets up what it needs in .venv and touches nothing else,
# except that `make test` installs Debian packages when it runs as root and they are missing.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/ready

.PHONY: demo test check golden corpora docs console pictures bench fuzz clean

demo: $(READY)
	$(BIN)/clew demo

test: $(READY)
	./tests/setup-host
	$(BIN)/pytest -n 2 --dist worksteal

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

golden: $(READY)
	$(BIN)/pytest tests/golden --refresh-golden

corpora: $(READY)
	$(BIN)/pytest tests/corpora -q -n 2 --dist worksteal

docs: $(READY)
	$(BIN)/python -m docs.generate

# Needs node; the result is committed, so that nothing else does.
console:
	cd console && npm ci --ignore-scripts --no-audit --no-fund && npm test && npm run build

# The pictures in docs/images: as root, with chromium; five minutes.
pictures: $(READY)
	$(BIN)/python -m tests.console.pictures

bench: $(READY)
	$(BIN)/python -m benchmarks

# For an hour, or for so many SECONDS; what breaks a parser is left in .fuzz.
SECONDS ?= 3600
fuzz: $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group fuzz
	$(BIN)/pytest tests/fuzz -q
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS)

clean:
	rm -rf $(VENV) src/clew/_pb dist

$(READY): pyproject.toml constraints.txt hatch_build.py $(wildcard proto/*/*/*.proto proto/*/*/*/*.proto)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "clew needs Python 3.11 or newer, and this is " + sys.version.split()[0] + ". Choose another with: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable . --group dev
	touch $(READY)
