# Everything starts here; each target sets up what it needs. On a fresh machine: `make demo`, `make test`.

UV_VERSION := 0.13.8
PYTHON ?= python3
BIN := .venv/bin
ONLY ?=
RUNPOD ?= yes
RUNPOD_TESTS := .venv-runpod/bin/python -m pytest -c workers/runpod/pytest.ini workers/runpod/tests

.PHONY: setup demo test test-runpod check format bench dev train lock lock-runpod clean

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

# RUNPOD=no leaves the container for RunPod out, which needs torch: 1.4 GB, or 5 GB where pip's build is the one with CUDA.
test: setup $(if $(filter no,$(RUNPOD)),,.venv-runpod/.ready)
	$(BIN)/python web_build.py
	$(BIN)/python web_build.py run test
	$(BIN)/python -m pytest --cov --cov-report=term $(TESTS)
	$(if $(filter no,$(RUNPOD)),,$(RUNPOD_TESTS))

# The container for RunPod with torch, diffusers and RunPod's own loop, on the CPU (docs/runpod.md).
test-runpod: setup .venv-runpod/.ready
	$(RUNPOD_TESTS)
	$(BIN)/python -m pytest tests/workers

# torch comes by version and not by hash: with pip's settings as they are, this is a build for the CPU on one machine and
# one with CUDA (5 GB) on another. The image takes it by hash (torch.lock).
.venv-runpod/.ready: workers/runpod/requirements.lock workers/runpod/torch.in requirements.lock | setup
	@test -x .venv-runpod/bin/python || $(PYTHON) -m venv .venv-runpod
	.venv-runpod/bin/python -m pip install --quiet --disable-pip-version-check -r workers/runpod/torch.in
	$(BIN)/uv pip install --quiet --python .venv-runpod --no-deps --require-hashes -r workers/runpod/requirements.lock
	$(BIN)/uv pip install --quiet --python .venv-runpod --require-hashes -c requirements.lock \
		$$(grep -o '^pytest==[^ ]*' requirements.lock)
	@touch $@

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

# Two locks: torch and its CUDA for the image alone, everything else for the image and the tests.
lock-runpod:
	cd workers/runpod && ../../$(BIN)/uv pip compile --quiet --generate-hashes --no-header --python-version 3.11 \
		--no-emit-index-url --no-emit-find-links --excludes torch.in requirements.in -o requirements.lock
	cd workers/runpod && ../../$(BIN)/uv pip compile --quiet --generate-hashes --no-header --python-version 3.11 \
		--no-emit-index-url --no-emit-find-links torch.in -o torch.lock

clean:
	rm -rf .venv .venv-runpod node_modules web/node_modules src/penstock/web/static/app src/penstock/diagrams/built out
