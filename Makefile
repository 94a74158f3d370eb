# Tools run by pinned version, outside go.mod. Nothing is written but bin/, data/ and the caches.
BUF_VERSION         := 1.75.0
GOLANGCI_VERSION    := v2.15.0
GOVULNCHECK_VERSION := v1.9.0

FUZZTIME    ?= 30s
FLEET_FLAGS ?=
BENCH_FLAGS ?=

# The race detector needs a C compiler; CGO_ENABLED is Go's own answer whether one is found.
RACE ?= $(if $(filter 1,$(shell go env CGO_ENABLED)),-race)
# Binaries carry their version from git; a folder that is no repository of ours builds without.
BUILDVCS := $(if $(shell git rev-parse --is-inside-work-tree 2>/dev/null),true,false)

GOLANGCI    := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
GOVULNCHECK := go run golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION)

# buf: prebuilt from npm where npm is found, else built by Go (several minutes, once).
BUF_HOME := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/apigateway/buf-$(BUF_VERSION)
ifneq ($(shell command -v npm),)
BUF      := $(BUF_HOME)/node_modules/.bin/buf
BUF_FILE := $(BUF)
else
BUF      := go run github.com/bufbuild/buf/cmd/buf@v$(BUF_VERSION)
BUF_FILE :=
endif

.DEFAULT_GOAL := help
.PHONY: help run build generate test lint vuln fuzz bench bench-once bench-proxies golden system check

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## the whole local fleet until Ctrl-C; FLEET_FLAGS=--help shows its flags
	@go build -o bin/demo/ ./configs/demo/...
	@exec bin/demo/fleet $(FLEET_FLAGS)

build: ## controlplane, dataplane and gatewayctl into bin/
	go build -buildvcs=$(BUILDVCS) -o bin/ ./controlplane ./dataplane ./gatewayctl

generate: $(BUF_FILE) ## Go code from proto/ (committed)
	$(BUF) generate

test: ## every test, with the race detector where a C compiler is found
	go test $(RACE) -shuffle=on ./...

lint: $(BUF_FILE) ## Go and protobuf linters, formatting, compatibility of the wire contract
	$(GOLANGCI) run
	$(BUF) lint
	$(BUF) format -d --exit-code
	@base=$$(git describe --tags --abbrev=0 2>/dev/null || git rev-parse --verify --quiet HEAD~1); \
	if [ -z "$$(git ls-tree "$$base" proto/gateway 2>/dev/null)" ]; then \
		echo "buf breaking: no earlier proto/gateway to compare with"; exit 0; fi; \
	old=$$(mktemp -d) && trap 'rm -rf "$$old"' EXIT && \
	git archive "$$base" buf.yaml proto | tar -x -C "$$old" && \
	echo "buf breaking --against $$base" && $(BUF) breaking --against "$$old"

vuln: ## known vulnerabilities in what we link
	$(GOVULNCHECK) ./...

fuzz: ## each fuzz target for FUZZTIME (30s)
	@listed=$$(go test -list '^Fuzz' ./...) || { echo "$$listed"; exit 1; }; \
	echo "$$listed" | awk '/^Fuzz/ {f[n++] = $$1} /^ok/ {for (i = 0; i < n; i++) print $$2, f[i]; n = 0}' | \
	while read -r pkg target; do \
		echo "go test -fuzz=$$target -fuzztime=$(FUZZTIME) $$pkg"; \
		go test -run='^$$' -fuzz="^$$target\$$" -fuzztime=$(FUZZTIME) "$$pkg" </dev/null || exit 1; \
	done

bench: ## every benchmark ten times, for benchstat
	go test -run='^$$' -bench=. -benchmem -count=10 ./...

bench-once: ## every benchmark once, so that none rots
	go test -run='^$$' -bench=. -benchtime=1x ./...

bench-proxies: build ## CPU, rate, p99 beside HAProxy and nginx; how fast a change is served; BENCH_FLAGS=--help shows its flags
	@go build -buildvcs=$(BUILDVCS) -o bin/ ./configs/bench
	@exec bin/bench $(BENCH_FLAGS)

golden: ## rewrite golden files
	go test $$(git grep -l 'flag.Bool("update"' -- '*_test.go' | xargs -n1 dirname | sort -u | sed 's|^|./|') -update

system: ## system tests, the long ones (build tag system) included
	go test -count=1 -timeout=20m -tags=system ./configs/...

check: ## all that CI runs; commit first, it ends with a clean git status
	bash .ci/run

$(BUF_HOME)/node_modules/.bin/buf:
	npm install --prefix $(BUF_HOME) --no-save --no-audit --no-fund --loglevel=error @bufbuild/buf@$(BUF_VERSION)
