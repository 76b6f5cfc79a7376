# `make` lists the targets. Go is all that is needed to build and run: a Postgres
# is found on the machine or fetched. The tests need redis-server or valkey-server.

SHELL := /bin/bash
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.1.0-dev)
LDFLAGS := -X tenantry/services/tenantry/program.Version=$(VERSION)

# The race detector needs a C compiler.
RACE ?= $(shell command -v $${CC:-cc} >/dev/null 2>&1 && echo -race)
TEST ?= ./...
FUZZTIME ?= 10s

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/tenantry
	go build -trimpath $(PGO) -ldflags "$(LDFLAGS)" -o bin/tenantry ./services/tenantry

.PHONY: run
run: build ## run for development, with a Postgres and a demo tenant of its own
	@exec bin/tenantry dev

.PHONY: test
test: ## vet, and test everything against a real Postgres; TEST=./policy/... for a part
	@[ -n "$(RACE)" ] || echo "no C compiler: the tests run without the race detector" >&2
	go vet -trimpath $(RACE) $(TEST)
	go run ./ops/gotest -trimpath $(RACE) -vet=off -parallel $(PARALLEL) -timeout 15m $(TEST)

# Tests of a package at a time: most of them wait for Postgres or for programs they started.
PARALLEL ?= 4

.PHONY: verify
verify: export TENANTRY_TEST_CASES ?= 10000
verify: test lint prometheus-check compose-check $(if $(shell command -v npm),graphql-audit examples) ## everything that can be checked on one machine

.PHONY: lint
lint: ## golangci-lint and the formatting
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "make fmt formats these"; exit 1; }
	@command -v golangci-lint >/dev/null || { echo "golangci-lint v2 is missing: https://golangci-lint.run"; exit 1; }
	golangci-lint run

.PHONY: fmt
fmt: ## format the code
	gofmt -w $$(git ls-files '*.go')

.PHONY: fuzz
fuzz: ## run every fuzz test for FUZZTIME (10s)
	@set -e; for file in $$(git grep -l '^func Fuzz' -- '*_test.go'); do \
	  for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' $$file); do \
	    echo "$$(dirname $$file) $$name"; go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) ./$$(dirname $$file); \
	  done; \
	done

.PHONY: prometheus-check
prometheus-check: build ## let Prometheus check its files and scrape a running server
	ops/checks/prometheus

.PHONY: compose-check
compose-check: ## let docker-compose read docker-compose.yml
	ops/checks/compose

.PHONY: graphql-audit
graphql-audit: build ## let GraphQL's own tools look at a running server; needs Node and npm's registry
	ops/checks/graphql-audit

.PHONY: examples
examples: ## run the example handlers with their frameworks; needs Node, npm's registry, Flask and FastAPI, and Spring where there is a JDK
	@command -v javac >/dev/null || echo "java-spring is not tried: there is no JDK here" >&2
	go test -tags examples -count=1 -timeout 15m -run '^TestExamples' ./services/e2e

.PHONY: conformance
conformance: build ## run a conformance kit against a fresh project: KIT=folder [ARGS=…]
	@[ -n "$(KIT)" ] || { echo "make conformance KIT=<folder with run.py>"; exit 2; }
	ops/checks/conformance "$(KIT)" $(ARGS)

# Q=Q1,Q3 names queries, ARGS are flags of ops/bench.
BENCH = bin/bench $(1) $(if $(Q),-q $(Q)) $(ARGS)

.PHONY: bench-build
bench-build: build
	go build -trimpath -o bin/floor ./ops/bench/floor
	go build -trimpath -o bin/bench ./ops/bench

# What is measured is built as the container image is: by a profile of the set.
PROFILE = ops/bench/tenantry.pgo
bench bench-peers profile: PGO = -pgo=$(PROFILE)

.PHONY: bench-profile
bench-profile: bench-build ## write the profile that the container image and what is measured are built by
	rm -rf $(PROFILES) && mkdir -p $(PROFILES) && cp bin/tenantry $(PROFILES)/tenantry
	bin/bench profile -tenantry $(PROFILES)/tenantry -profiles $(PROFILES) -pairs 4
	go tool pprof -proto $(PROFILES)/*.cpu.pprof >$(PROFILE)
	rm -rf $(PROFILES)

# A place that says nothing of the machine: the profile names the program that it is of.
PROFILES = /tmp/tenantry-pgo

.PHONY: bench
bench: bench-build ## measure beside a hand-written floor; Q=Q1,Q3 for a part, ARGS=-check to fail below the targets
	$(call BENCH,run -document ops/docs/performance.md)

.PHONY: bench-smoke
bench-smoke: bench-build ## a small form of bench that proves that it works
	$(call BENCH,smoke)

.PHONY: bench-peers
bench-peers: bench-build ## measure beside PostGraphile; needs npm
	$(call BENCH,peers)

.PHONY: profile
profile: bench-build ## CPU and allocation profiles of a query under load: make profile Q=Q1
	@[ -n "$(Q)" ] || { echo "make profile Q=Q1"; exit 2; }
	$(call BENCH,profile)

# Packages whose benchmarks have a budget of allocations.
BUDGETED = ./services/engine/instance

.PHONY: bench-check
bench-check: ## compare what the stages of a request allocate with the committed baseline
	go run ./ops/bench/budget $(BUDGETED)

.PHONY: bench-baseline
bench-baseline: ## write the baseline of bench-check
	go run ./ops/bench/budget -update $(BUDGETED)
