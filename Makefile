# Sluice's front door. Needs a Python >= 3.11 and make; every target builds the environment that it runs in.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

UV_VERSION := 0.13.9
TOOLS := .tools/uv-$(UV_VERSION)
UV := $(TOOLS)/bin/uv
BIN := .venv/bin
SAM := .venv-sam/bin/sam
WITH_UV := PATH="$(CURDIR)/$(TOOLS)/bin:$$PATH"
DEV := .venv/.synced
SAM_ENV := .venv-sam/.synced
BENCH_ENV := .venv-bench/.synced
BROWSER_ENV := .venv-browser/.synced
S3_ENV := .venv-s3/.synced
CLIENTS_ENV := .venv-clients/.synced
PEERS_ENV := .venv-peers/.synced
FUZZ_ENV := .venv-fuzz/.synced
EXAMPLES_ENV := .venv-examples/.synced
SCAN_ENV := .venv-scan/.synced
DOCS_ENV := .venv-docs/.synced

# What the streaming runtime is measured against; `bench/carriers.py` looks for it there.
LWA_VERSION := 1.0.0-rc1
LWA := .tools/lwa-$(LWA_VERSION)/bin/lambda-adapter

# The strictest of the servers of `make test-s3`; `tests/s3/servers.py` looks for it there.
VERSITYGW_VERSION := 1.8.0
VERSITYGW := .tools/versitygw-$(VERSITYGW_VERSION)/bin/versitygw

# The page as the API function serves it, and what it is made of. Where there is no npm, all else works without it.
PAGE := functions/api/dist/index.html
WEB_ENV := web/node_modules/.installed
WEB := $(shell find web -name node_modules -prune -o -type f -print)
PAGE_IF_NPM := $(if $(shell command -v npm),$(PAGE))

# The instruction set that `make build` builds for: x86_64 or arm64.
ARCH ?= x86_64
ARCH_GIVEN := $(filter-out file,$(origin ARCH))
# The web origins that `make deploy` lets in, comma-separated.
ORIGINS ?=
# Any parameters of the template for `make deploy`: NAME=VALUE, with quotes as in a shell. What make makes of a $ is undone.
PARAMS ?=
override ORIGINS := $(value ORIGINS)
override PARAMS := $(value PARAMS)
# Where `make deploy` writes them for the SAM CLI.
PARAMETERS := .aws-sam/parameters.yaml
# A line that says $(MAKE) runs under `make -n` too, and the one that deploys must not.
SELF := $(MAKE)
# Whose access token `make token` makes.
OWNER ?=
# The file that `make demo` sends; empty for 64 MiB of random bytes.
FILE ?=
# The folder in which `make up` keeps its data over a restart; empty for none.
DATA ?=
# A module's tests in one process: its stack starts once. Each waits often, so that three keep two cores busy; more need much memory.
PARALLEL := --numprocesses 3 --dist loadfile --no-loadscope-reorder
# What keeps the processor busy by itself: browsers, and tests that kill and count.
PAIR := --numprocesses 2 --dist loadfile
# Tests one by one, wherever a process is idle: a module of 2,000 would be the last for minutes.
SHARED := --numprocesses 3 --dist worksteal
# The ports of `make up`; 0 is any that is free.
API_PORT ?= 8080
STREAM_PORT ?= 8081
AWS_PORT ?= 5000
# The address of the AWS services; empty for 127.0.0.1.
AWS_HOST ?=
# Not empty: `make test-places` runs `make test` as well.
WHOLE ?=
# How much `make test-endurance` tries: `more` than `make test`, or `most`.
ENDURANCE ?= most
# Which places `make test-places` goes to, as pytest's -k says it; empty for all.
PLACES ?=
# Arguments for pytest, for instance `make test ARGS="-k reader -x"`.
ARGS ?=

# An interpreter to try before python3, python3.13, python3.12 and python3.11.
PYTHON ?=

# The interpreter that made the tools makes the environments: no other is looked for, and none is downloaded.
export UV_PYTHON := $(CURDIR)/$(TOOLS)/bin/python
export UV_PYTHON_DOWNLOADS := never
export SAM_CLI_TELEMETRY := 0
# What a shell says to Python, pip and `cd` is meant for other programs. With LC_ALL=C in a path with umlauts Python 3.11
# does not start; without it Python takes a UTF-8 locale where LANG says C (PEP 538).
unexport $(filter PYTHON%,$(.VARIABLES)) PIP_TARGET PIP_USER UV_PROJECT VIRTUAL_ENV CDPATH LC_ALL
export FILE DATA ARCH WHOLE ORIGINS PARAMS

.PHONY: help
help: ## List the targets (this)
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# ---------------------------------------------------------------- run it

.PHONY: demo
demo: $(DEV) ## Send a file through the whole of it, on this machine, and verify it (FILE=path)
	@exec $(BIN)/python -m local.demo --parent $$PPID $${FILE:+--file "$$FILE"}

.PHONY: up
up: $(DEV) $(PAGE_IF_NPM) ## Run the stack on this machine until Ctrl-C (DATA=dir keeps its data; API_PORT=, STREAM_PORT=, AWS_PORT=; ARGS="--help" says more)
	@exec $(BIN)/python -m local.up --parent $$PPID --api-port $(API_PORT) --stream-port $(STREAM_PORT) --aws-port $(AWS_PORT) \
	  $(if $(AWS_HOST),--aws-host "$(AWS_HOST)") $${DATA:+--data "$$DATA"} $(ARGS)

.PHONY: web
web: $(PAGE) ## Check and build the page, which the API function serves (needs npm)

# ---------------------------------------------------------------- check it

.PHONY: test
test: $(DEV) ## Run the tests that need nothing but Python (ARGS for pytest; -n0 for one process)
	$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

.PHONY: test-web
test-web: $(WEB_ENV) ## Run the page's unit tests, and see that its contract is that of docs/openapi.json (needs npm)
	cd web && npm test && npm run contract -- --check

.PHONY: lint
lint: $(DEV) ## Style, types, and that lock and layer requirements are fresh
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(UV) lock --check
	$(UV) lock --check --project scan
	$(EXPORT) layer | diff layers/core/requirements.txt -
	$(EXPORT) hasher | diff layers/hasher/requirements.txt -
	$(EXPORT) sign-in | diff layers/sign_in/requirements.txt -

.PHONY: validate
validate: $(DEV) $(SAM_ENV) ## Lint template.yaml, and what the SAM transform makes of it
	$(SAM) validate --lint --region eu-west-1
	@mkdir -p .aws-sam
	$(BIN)/python -m tests.infra.transformed > .aws-sam/transformed.json
	$(BIN)/cfn-lint --regions eu-west-1 -- .aws-sam/transformed.json
	@rm -rf .aws-sam/combinations
	$(BIN)/python -m tests.infra.transformed .aws-sam/combinations
	$(BIN)/cfn-lint --regions eu-west-1 --ignore-checks W2001 -- .aws-sam/combinations/*.json
	$(BIN)/cfn-lint --regions eu-west-1 -- $(RUNTIME)/examples/*/template.yaml
	$(BIN)/cfn-lint --regions eu-west-1 -- events/rules/*.yaml
	$(BIN)/cfn-lint --regions us-east-1 -- edge/firewall.yaml

# Offline, so that it says the same everywhere. An exception and its reason is in scan/, or in the Metadata of its resource.
.PHONY: scan
scan: $(DEV) $(SCAN_ENV) ## Look for insecure settings in workflows, Python and templates
	.venv-scan/bin/zizmor --offline --no-progress .github
	.venv-scan/bin/bandit --quiet --configfile scan/bandit.yaml --recursive functions layers local client bench
	@mkdir -p .aws-sam
	$(BIN)/python -m tests.infra.transformed > .aws-sam/transformed.json
	.venv-scan/bin/cfn-lint --config-file scan/cfn-lint.yaml -- .aws-sam/transformed.json
	.venv-scan/bin/cfn-lint --config-file scan/cfn-lint-examples.yaml -- $(RUNTIME)/examples/*/template.yaml
	.venv-scan/bin/cfn-lint --config-file scan/cfn-lint.yaml --regions us-east-1 -- edge/firewall.yaml
	.venv-scan/bin/checkov --config-file scan/checkov.yaml --file .aws-sam/transformed.json edge/firewall.yaml
	.venv-scan/bin/checkov --config-file scan/checkov-examples.yaml --file $(RUNTIME)/examples/*/template.yaml

.PHONY: build
build: $(DEV) $(SAM_ENV) $(PAGE_IF_NPM) ## Build what `sam deploy` uploads (ARCH=x86_64 or arm64)
	$(WITH_UV) $(SAM) build --parameter-overrides "Architecture=$(ARCH)"
	@find .aws-sam/build -name __pycache__ -prune -exec rm -r {} +
	@$(BIN)/python -m tests.sam.artifacts

RUNTIME := layers/streaming_runtime
.PHONY: dist
dist: $(DEV) ## Make the streaming runtime's wheel, sdist and layer for other projects, in dist/
	rm -rf dist
	$(UV) build --quiet --out-dir dist $(RUNTIME)
	$(BIN)/python $(RUNTIME)/pack_layer.py dist
	@ls -l dist

RELEASE := .aws-sam/release
BUILD_TOOLS := --build-constraints client/build-requirements.txt --require-hashes
SBOM := $(UV) export --quiet --frozen --format cyclonedx1.5
# Where `make release` puts what it makes.
DIST ?= dist
.PHONY: release
release: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct)
release: $(DEV) $(SAM_ENV) $(PAGE) ## Make all files of a release in dist/, the same bytes each time (needs npm and a package index)
	rm -rf "$(DIST)" $(RELEASE)
	@mkdir -p "$(DIST)" $(RELEASE)
	$(UV) build --quiet $(BUILD_TOOLS) --out-dir "$(DIST)" .
	$(UV) build --quiet $(BUILD_TOOLS) --out-dir "$(DIST)" $(RUNTIME)
	@rm -f "$(DIST)/.gitignore"
	$(BIN)/python $(RUNTIME)/pack_layer.py "$(DIST)"
	for arch in x86_64 arm64; do \
	  ARCH=$$arch $(WITH_UV) $(SAM) build --build-dir $(RELEASE)/$$arch --parameter-overrides "Architecture=$$arch" || exit 1; \
	done
	@find $(RELEASE) -name __pycache__ -prune -exec rm -r {} +
	$(SBOM) --no-default-groups > $(RELEASE)/sluice-intake.cdx.json
	$(SBOM) --only-group layer --only-group hasher --only-group sign-in > $(RELEASE)/sluice-layers.cdx.json
	cd web && npm sbom --sbom-format cyclonedx --omit dev > ../$(RELEASE)/sluice-page.cdx.json
	$(BIN)/python -m local.release $(RELEASE) "$(DIST)"
	@ls -l "$(DIST)"

.PHONY: test-release
test-release: release ## Make the release again and compare, install the command, and package the template
	$(BIN)/python -m pytest tests/release -v -o faulthandler_timeout=900 $(ARGS)

.PHONY: deploy
deploy: $(DEV) $(SAM_ENV) ## Build, and deploy to your AWS account (ORIGINS=https://your.page,... PARAMS="OwnerBytes=1000000 ...")
	@architecture=$$($(BIN)/python -m local.deploy --write $(PARAMETERS) $(if $(ARCH_GIVEN),--arch "$(ARCH)") $(ARGS)) && \
	  $(SELF) build ARCH="$$architecture" && \
	  $(SAM) deploy --parameter-overrides "file://$(CURDIR)/$(PARAMETERS)" $(ARGS)

.PHONY: token
token: $(DEV) ## Make an access token for an owner of the deployed stack, and show it once (OWNER=name, ARGS="--stack name")
	@test -n "$(OWNER)" || { echo "whose token? make token OWNER=name" >&2; exit 1; }
	@$(BIN)/python -m local.tokens $(ARGS) "$(OWNER)"

.PHONY: test-sam
test-sam: build dist ## Run the README's lines of `sam local`, every event, and the runtime's container image, in Docker
	$(WITH_UV) $(BIN)/python -m tests.sam.engine $(BIN)/python -m pytest tests/sam -v -rs -o faulthandler_timeout=900 $(ARGS)

.PHONY: test-rie
test-rie: $(DEV) $(SAM_ENV) ## Run the streaming runtime under AWS's Runtime Interface Emulator (Linux)
	$(BIN)/python -m pytest tests/rie -v -rs $(ARGS)

.PHONY: test-peers
test-peers: $(PEERS_ENV) ## Run Starlette's and FastAPI's own tests over the streaming runtime (ARGS="--suite fastapi --payload 1.0 -k sse")
	.venv-peers/bin/python -m tests.peers $(ARGS)

.PHONY: test-s3
test-s3: $(DEV) $(S3_ENV) $(if $(shell command -v go),$(VERSITYGW)) ## Read and upload by signed URLs, against S3 servers that check signatures
	$(BIN)/python -m pytest tests/s3 $(ARGS)

.PHONY: test-contract
test-contract: $(BROWSER_ENV) ## Ask the stack what docs/openapi.json allows and what not, by generated clients as well; run the curl lines of docs/api.md
	.venv-browser/bin/python -m pytest tests/contract -v -rs $(ARGS)

.PHONY: test-browser
test-browser: $(BROWSER_ENV) $(PAGE_IF_NPM) ## Use the page, and real Uppy, in Chromium, Firefox and WebKit (SIGN_IN=account: in Chromium, signed in at an issuer)
	.venv-browser/bin/python -m pytest $(PAIR) tests/browser -rs -o faulthandler_timeout=600 $(ARGS)

.PHONY: test-clients
test-clients: $(CLIENTS_ENV) ## Take files out with aria2c, wget, curl, rclone, ffprobe and pandas (says what is missing)
	.venv-clients/bin/python -m pytest tests/clients -v -rs $(ARGS)

# Each example installs its own requirements, in the versions of the lock.
.PHONY: test-examples
test-examples: $(EXAMPLES_ENV) ## Check the streaming runtime's examples, and start and ask each (needs a package index)
	.venv-examples/bin/mypy $(RUNTIME)/examples tests/examples
	@mkdir -p .aws-sam
	$(EXPORT) examples --no-hashes > .aws-sam/examples.txt
	UV_CONSTRAINT="$(CURDIR)/.aws-sam/examples.txt" .venv-examples/bin/python -m pytest $(PAIR) tests/examples -rs $(ARGS)

.PHONY: fuzz
fuzz: $(FUZZ_ENV) ## Fuzz what the streaming runtime reads, guided by coverage (ARGS="events --seconds 3600", or "answers")
	PYTHONPATH=.:layers/streaming_runtime .venv-fuzz/bin/python -m tests.fuzz $(if $(ARGS),$(ARGS),events)

.PHONY: test-endurance
test-endurance: $(DEV) ## Run what takes longer: kills, chaos, 48.8 TiB, cuts at every byte, more seeds
	ENDURANCE=$(ENDURANCE) $(BIN)/python -m pytest -o faulthandler_timeout=600 $(PAIR) \
	  tests/endurance $(ARGS) || test $$? = 5 # pytest's word for none, by ARGS
	ENDURANCE=$(ENDURANCE) $(BIN)/python -m pytest -o faulthandler_timeout=600 $(SHARED) -m "thorough or more" \
	  tests/integration tests/unit $(ARGS) || test $$? = 5

.PHONY: test-places
test-places: $(DEV) ## Run the demo where it is hard: other users, odd paths and shells, no network, little memory (WHOLE=1: the tests as well)
	$(BIN)/python -m pytest tests/places -v -rs -o faulthandler_timeout=4000 $(if $(PLACES),-k "$(PLACES)") $(ARGS)

.PHONY: bench
bench: $(BENCH_ENV) $(if $(shell command -v cargo),$(LWA)) ## Measure, side by side with what else there is (ARGS="--help" says how)
	@.venv-bench/bin/python -m bench $(ARGS)

# The theme's notice of its successor would be the first lines of every build. Whatever a page's markup loads has to be its own.
MKDOCS := NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs
.PHONY: docs
docs: $(DOCS_ENV) ## Build the site of docs/ in site/; a link or an anchor that is broken fails it
	$(MKDOCS) build --strict
	@! grep -rnoE --include='*.html' '<(script|link|img|iframe|source)[^>]* (src|href)="?(https?:)?//[^">]*' site

.PHONY: docs-serve
docs-serve: $(DOCS_ENV) ## Show the site at http://127.0.0.1:8000, and build it anew when a page changes
	$(MKDOCS) serve --dev-addr 127.0.0.1:8000 $(ARGS)

.PHONY: doctor
doctor: $(DEV) $(SAM_ENV) ## Say what this machine has of what Sluice can use
	@$(BIN)/python --version
	@$(UV) --version
	@$(SAM) --version
	@docker version --format 'Docker engine {{.Server.Version}}' 2>/dev/null || \
	  echo "no Docker engine answers; only \`sam local\` wants one, and \`make test-sam\` starts its own as root"

# ---------------------------------------------------------------- keep it

EXPORT := $(UV) export --quiet --frozen --no-emit-project --only-group

.PHONY: lock
lock: $(UV) ## Lock again after a change of dependencies (ARGS="--upgrade" for newer versions)
	$(UV) lock $(ARGS)
	$(UV) lock --project scan $(ARGS)
	$(EXPORT) layer > layers/core/requirements.txt
	$(EXPORT) hasher > layers/hasher/requirements.txt
	$(EXPORT) sign-in > layers/sign_in/requirements.txt
	echo "hatchling==1.27.0" | $(UV) pip compile --quiet --generate-hashes --no-annotate --no-header --universal - \
	  --output-file client/build-requirements.txt $(ARGS)

.PHONY: openapi
openapi: $(DEV) ## Write docs/openapi.json and events/schemas anew, after a change of the API or of events
	PYTHONPATH=layers/core $(BIN)/python -m tests.unit.functions.api.document > docs/openapi.json
	PYTHONPATH=layers/core $(BIN)/python -m tests.unit.functions.publisher.schemas

.PHONY: clean
clean: ## Remove everything that make made
	rm -rf .venv .venv-sam .venv-bench .venv-browser .venv-s3 .venv-clients .venv-peers .venv-examples .venv-fuzz .venv-scan .venv-docs .fuzz .tools .uv_cache .aws-sam .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -rf dist site .local tests/integration/templates/*/.local
	rm -rf functions/api/dist web/node_modules $(addprefix tests/contract/clients/,node_modules generated dist)
	find . -name __pycache__ -type d -prune -exec rm -r {} +

# ---------------------------------------------------------------- the environments

$(UV):
	@python=$$(for name in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	    "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && command -v "$$name" && break; \
	  done); \
	  test -n "$$python" || { echo "Sluice needs Python 3.11 or newer, and python3 here is: $$(python3 --version 2>&1)" >&2; exit 1; }; \
	  "$$python" -m venv $(TOOLS) 2>/dev/null || "$$python" -m venv $(TOOLS) # another make may be at it
	@$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"

$(DEV): uv.lock pyproject.toml | $(UV)
	@UV_PROJECT_ENVIRONMENT=.venv $(UV) sync --quiet --frozen --group dev
	@touch $@

# The project and one group more, each in an environment of its own: uvicorn, for one, takes uvloop and httptools when it
# finds them, and only the measurements are to find them.
$(BENCH_ENV) $(BROWSER_ENV) $(CLIENTS_ENV) $(PEERS_ENV) $(EXAMPLES_ENV): .venv-%/.synced: uv.lock | $(UV)
	@UV_PROJECT_ENVIRONMENT=.venv-$* $(UV) sync --quiet --frozen --group $*
	@touch $@

# One group alone: the SAM CLI and ministack pin libraries that the project must be free to move, and the fuzzer and the site need no others.
$(SAM_ENV) $(S3_ENV) $(FUZZ_ENV) $(DOCS_ENV): .venv-%/.synced: uv.lock | $(UV)
	@UV_PROJECT_ENVIRONMENT=.venv-$* $(UV) sync --quiet --frozen --only-group $*
	@touch $@

$(SCAN_ENV): scan/uv.lock | $(UV)
	@UV_PROJECT_ENVIRONMENT="$(CURDIR)/.venv-scan" $(UV) sync --quiet --frozen --project scan
	@touch $@

$(WEB_ENV): web/package-lock.json
	@command -v npm >/dev/null || { echo "the page needs npm, which comes with Node 20.19 or newer" >&2; exit 1; }
	cd web && npm ci --no-audit --no-fund
	@touch $@

$(PAGE): $(WEB) $(WEB_ENV)
	cd web && npm run check && npm run build

# Where it cannot be built, the tests say that they leave it out.
$(VERSITYGW):
	GOBIN="$(CURDIR)/$(@D)" go install github.com/versity/versitygw/cmd/versitygw@v$(VERSITYGW_VERSION) || true

# Where it cannot be built, the tables say that it is missing.
$(LWA):
	cargo install lambda_web_adapter --version $(LWA_VERSION) --locked --quiet --root .tools/lwa-$(LWA_VERSION) || true
