# Everything from a fresh machine with rustup: each target installs what is missing, builds, and leaves the five
# binaries in ./target/release/.
#
# One profile and one set of flags only. RocksDB takes 10 minutes and more to compile, and anything that changes its
# fingerprint (RUSTFLAGS, another profile) compiles it again. The build cache therefore outlives the clone.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build

ifeq ($(strip $(CARGO_TARGET_DIR)),)
override CARGO_TARGET_DIR := $(HOME)/.cache/pact/target
else
override CARGO_TARGET_DIR := $(abspath $(CARGO_TARGET_DIR))
endif
export CARGO_TARGET_DIR
export PATH := $(HOME)/.cargo/bin:$(PATH)
unexport RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_RUSTFLAGS CARGO_BUILD_TARGET RUSTDOCFLAGS

TOOLS := $(HOME)/.cache/pact/tools
JUDGES := $(HOME)/.cache/pact/venv
BINARIES := $(CURDIR)/target/release
# For this machine's own architecture, by its name: procedural macros are then compiled without the flags.
STATIC = CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)/static RUSTFLAGS="-C target-feature=+crt-static -C strip=symbols" \
	cargo build --release --locked -p agent --target $$(rustc -vV | sed -n 's/^host: //p')
NODES ?= 10000
FUZZ_SECONDS ?= 5
FUZZ_RUNS ?= 10000000

.PHONY: build agent-static previous planted chaos chaos-planted power-cut demo test bench lint fuzz man prerequisites

## The five binaries.
build: prerequisites
	cargo build --release --locked --workspace --bins
	@scripts/place-binaries.sh

## The same journal, pretending to be the release before: tests run it beside the real one. Nothing but one crate is compiled.
previous: build
	cargo build --release --locked --workspace --features journal/previous-level --bin pact-journal-previous
	@scripts/place-binaries.sh

## The agent for images that hold nothing else: no library, no resolver of the system. And the same with panics on purpose, for
## tests. In a target folder of its own: other flags would compile RocksDB again, which the agent does not need.
agent-static: prerequisites
	$(STATIC) --bin pact-agent
	$(STATIC) --features planted-panics --bin pact-agent-planted
	@scripts/place-binaries.sh

## The same journal with bugs on purpose, for tests of the tests. Nothing but one crate is compiled.
planted: build
	cargo build --release --locked --workspace --features journal/planted-bugs --bin pact-journal-planted
	@scripts/place-binaries.sh

## One seed of everything: two minutes of every kind of fault on a quorum under load (SEED=N repeats one), a million simulated
## steps, and a power cut of each kind (CUTS=N of the honest disk). Needs root.
chaos: build
	$(BINARIES)/pact-loadtest chaos --seconds 120 $(if $(SEED),--seed $(SEED))
	$(BINARIES)/pact-loadtest simulate $(if $(SEED),--seeds $(SEED)..$$(($(SEED) + 100)),--seeds 1..101)
	$(MAKE) power-cut CUTS=$(or $(CUTS),1)

## Each planted bug must be found within ten seeds. A quarter of an hour. Needs root.
chaos-planted: planted
	scripts/chaos-planted.sh $(BINARIES)

## Power cuts, and disks that lie: journals in machines of their own (QEMU), which are switched off in the middle of a storm.
## Minutes; `make test` names it as ignored. CUTS=N for more than three. Needs root.
power-cut: build
	PACT_BIN_DIR=$(BINARIES) $(if $(CUTS),PACT_FAULT_CUTS=$(CUTS)) cargo test --release --locked -p loadtest --test faults power_cut -- --nocapture --include-ignored --test-threads 1

## A storm on a quorum of three journals over real TLS: registers the nodes, boots them all at once, compares and verifies their logs.
demo: build
	$(BINARIES)/pact-loadtest storm --journals 3 --nodes $(NODES)

## All tests, with the binaries above, then the commands of the README, then a short run of each fuzz target.
test: build agent-static previous planted
	@scripts/install-judges.sh $(JUDGES)
	PACT_BIN_DIR=$(BINARIES) PACT_JUDGES_DIR=$(JUDGES)/bin cargo test --release --locked --workspace --no-fail-fast
	@scripts/place-binaries.sh
	scripts/run-readme.sh $(JUDGES)/bin
	PACT_TOOLS_DIR=$(TOOLS) scripts/fuzz.sh seconds $(FUZZ_SECONDS)

## The price of each step, then of whole storms and of revocations, on one journal and on three, beside what is asked for. About 8 minutes. The bench profile would compile RocksDB again.
bench: build
	cargo bench --profile release --locked -p benches --bench steps --bench log
	@scripts/place-binaries.sh
	PACT_BIN_DIR=$(BINARIES) cargo bench --quiet --profile release --locked -p benches --bench catch_up
	PACT_BIN_DIR=$(BINARIES) NODES=$(NODES) cargo bench --quiet --profile release --locked -p benches --bench table

## Form, clippy, documentation, licences and banned crates. The advisory database is not asked: it needs the network.
lint: build
	cargo fmt --all --check
	cargo clippy --release --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --release --locked --workspace --no-deps --document-private-items
	@scripts/install-cargo-deny.sh $(TOOLS)
	$(TOOLS)/bin/cargo-deny --locked check --hide-inclusion-graph licenses bans sources

## Every parser of foreign bytes, ten million inputs each: some hours. `make fuzz FUZZ_TARGETS=csr` for one.
fuzz: prerequisites
	PACT_TOOLS_DIR=$(TOOLS) scripts/fuzz.sh runs $(FUZZ_RUNS) $(FUZZ_TARGETS)

## The manual pages, for packages, in ./target/man.
man: build
	@mkdir -p target/man
	for binary in pact-journal pact-agent pact pact-replay pact-loadtest; do $(BINARIES)/$$binary man > target/man/$$binary.1; done

prerequisites:
	@scripts/install-prerequisites.sh
