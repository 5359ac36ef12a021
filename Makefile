# Two commands for newcomers: `make demo` and `make test`. Each sets up what it needs; what cannot be set up fails loudly.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
HOOKS := edgeweir-hook-jwt-auth edgeweir-hook-header-rewrite edgeweir-hook-geo-route edgeweir-hook-basic-auth \
  edgeweir-hook-redirects edgeweir-hook-ab-test
# What is compiled for the machine that this runs on.
WORKSPACE := --workspace --exclude edgeweir-test-guests
WASM := wasm32-unknown-unknown
WASI := wasm32-wasip2
# As root, or through sudo.
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: help setup setup-wasi redis pebble chromium browser compat-table language engine hooks guests build demo test loom soak lint docs bench release clean

help:
	@echo "make demo     edge, demo origin, hooks, cache, keys, geo: on loopback, with curl lines to try"
	@echo "make test     all tests"
	@echo "make lint     format, clippy and documentation checks, as CI runs them"
	@echo "make loom     the limits under a model checker: all ways in which threads can meet"
	@echo "make soak     the tests that take minutes: hostile hooks, a thousand reloads, fuzzing; prints numbers"
	@echo "make browser  installs headless Chromium and has it load a page through the edge"
	@echo "make language how much of JavaScript is there: a public suite, from npm"
	@echo "make bench    criterion benches"
	@echo "make hooks    build the shipped hooks"
	@echo "make engine   build the JavaScript engine, which the binary takes in"
	@echo "make release  the binary that ships, in $(TARGET)/shipping/edgeweir"

# cmake builds zlib-ng, which pingora's compression needs.
setup:
	@if ! command -v cmake >/dev/null || ! command -v cc >/dev/null; then \
	  command -v apt-get >/dev/null || { echo "error: cmake and a C compiler are needed; install them, there is no apt-get here" >&2; exit 1; }; \
	  echo "installing cmake and a C compiler"; \
	  $(SUDO) apt-get update -qq && DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends cmake gcc libc6-dev make >/dev/null; \
	fi
	@rustup target list --installed | grep -qx $(WASM) || rustup target add $(WASM)

# Only tests need this one: what std of hooks does.
setup-wasi:
	@rustup target list --installed | grep -qx $(WASI) || rustup target add $(WASI)

# $(call need,COMMAND,PACKAGE): installs the package if the command is missing.
define need
	@if ! command -v $(1) >/dev/null; then \
	  command -v apt-get >/dev/null || { echo "error: $(1) is needed; install it, there is no apt-get here" >&2; exit 1; }; \
	  echo "installing $(2)"; \
	  $(SUDO) apt-get update -qq && DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends $(2) >/dev/null; \
	fi
endef

# The tests of shared quotas run a real server, never a stand-in.
redis:
	$(call need,redis-server,redis-server)

# The tests of ACME run Let's Encrypt's own test server.
pebble:
	$(call need,pebble,pebble)

chromium:
	$(call need,chromium,chromium)

# A real browser before the edge.
browser: setup chromium
	$(CARGO) test --locked $(WORKSPACE) --test http -- --ignored --nocapture browser

# Each feature of the language has a test there.
COMPAT_TABLE := compat-table@0.0.20190509084935
compat-table:
	$(call need,node,nodejs)
	$(call need,npm,npm)
	@mkdir -p $(TARGET)/compat-table
	@cd $(TARGET)/compat-table && npm pack --silent $(COMPAT_TABLE) >/dev/null && tar xzf compat-table-*.tgz
	@node tests/functions/compat.mjs $(TARGET)/compat-table/package > $(TARGET)/compat-table/cases.json

language: engine compat-table
	$(CARGO) test --locked -p edgeweir-hookhost --test hooks -- --include-ignored --nocapture language::

# QuickJS is C: clang compiles it to WASM, llvm-ar packs it. The copy changes only with the engine, so that what takes it
# in is built again only then.
engine: setup
	$(call need,clang,clang)
	$(call need,llvm-ar,llvm)
	$(CARGO) build --locked --profile hook --target $(WASM) -p edgeweir-js-engine
	@mkdir -p $(TARGET)/js
	@cmp -s $(TARGET)/$(WASM)/hook/edgeweir_js_engine.wasm $(TARGET)/js/engine.wasm || \
	  cp $(TARGET)/$(WASM)/hook/edgeweir_js_engine.wasm $(TARGET)/js/engine.wasm

hooks: setup
	$(CARGO) build --locked --profile hook --target $(WASM) $(addprefix -p ,$(HOOKS))

guests: setup setup-wasi
	$(CARGO) build --locked --profile hook --target $(WASM) -p edgeweir-test-guests -p edgeweir-bench-hook --lib --examples
	$(CARGO) build --locked --profile hook --target $(WASM) -p edgeweir-test-guests --features big --example big-data \
	  --config 'target.$(WASM).rustflags = ["-C", "link-arg=--initial-memory=9437184", "-C", "link-arg=--global-base=131072"]'
	$(CARGO) build --locked --profile hook --target $(WASI) -p edgeweir-test-guests --example wasip2

# With the features that the tests' dependencies add, so that wasmtime and pingora are compiled once for demo and tests: cargo
# counts those only where a test is built too, so one small test is.
build: setup engine
	$(CARGO) build --locked $(WORKSPACE) --bin edgeweir --test schema

demo: hooks build
	$(TARGET)/debug/edgeweir demo

test: engine hooks guests build loom redis pebble
	$(CARGO) test --locked $(WORKSPACE)

# In a folder of its own: with this flag all that is under it is built anew.
loom:
	RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=$(TARGET)/loom $(CARGO) test --locked --release -p edgeweir-limits --test loom

# Each alone, because times are measured. `make soak SOAK=storm` runs those whose name has that word; `SOAK_FLAGS=--release`
# measures the optimised build.
SOAK ?=
SOAK_FLAGS ?=
soak: engine hooks guests redis compat-table
	$(CARGO) build --locked $(SOAK_FLAGS) $(WORKSPACE) --bin edgeweir --test schema
	$(CARGO) test --locked $(SOAK_FLAGS) $(WORKSPACE) --lib --test soak --test cache --test hooks --test threads --test limits -- \
	  --ignored --nocapture --test-threads 1 $(SOAK)

lint: setup engine
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked --target $(WASM) -p edgeweir-sdk $(addprefix -p ,$(HOOKS)) -- -D warnings
	$(CARGO) clippy --locked --target $(WASM) -p edgeweir-js-engine -- -D warnings
	$(MAKE) docs

docs: setup engine
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --workspace

bench: engine hooks guests
	$(CARGO) bench --locked -p edgeweir-benches

release: setup engine hooks
	$(CARGO) build --locked --profile shipping -p edgeweir-proxy --bin edgeweir

clean:
	$(CARGO) clean
