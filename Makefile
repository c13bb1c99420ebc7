# Everything starts here; each target sets up what it needs. On a fresh machine: `make demo`, `make test`.

UV_VERSION := 0.13.8
PYTHON ?= python3
BIN := .venv/bin
ONLY ?=

.PHONY: setup demo test check format bench dev train lock clean

setup: .venv/.ready

# One environment from one lock file, with hashes; the editable install builds the web app (web_build.py).
.venv/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11)' \
		|| { echo "Penstock needs Python 3.11 or later; set PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || .ci/install python3-venv
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

web: setup
	$(BIN)/python web_build.py

demo: setup
	$(BIN)/python web_build.py
	$(BIN)/penstock serve examples/rekindle.toml --demo

test: setup
	$(BIN)/python web_build.py
	$(BIN)/python web_build.py run test
	$(BIN)/python -m pytest --cov --cov-report=term $(TESTS)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python web_build.py run check

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup
	$(BIN)/python -m benchmarks.run $(ONLY)

# The server restarts on a change in src/; the web app reloads by itself on the address that Vite prints.
dev: setup
	$(BIN)/python web_build.py run dev & \
	trap "kill $$!" EXIT; \
	$(BIN)/watchfiles --filter python "$(BIN)/penstock serve examples/rekindle.toml --demo" src examples

train: setup
	$(BIN)/python -m training.scratches

lock:
	$(BIN)/uv pip compile --quiet --all-extras --group dev --generate-hashes --no-header \
		--no-emit-index-url --no-emit-find-links pyproject.toml -o requirements.lock

clean:
	rm -rf .venv node_modules web/node_modules src/penstock/web/static/app out
