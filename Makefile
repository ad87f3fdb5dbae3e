# Every target works from a clean clone with Go alone; buf and golangci-lint come from tools/go.mod.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help generate generated breaking lint fmt test race bench-peers validation-table coverage ci clean

tool := go tool -modfile=tools/go.mod
BASE ?= main# the branch that the wire contract is compared with

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

generate: ## Write gen/ anew from proto/
	$(tool) buf generate

generated: ## Fail if gen/ is not what proto/ generates
	@fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; \
	$(tool) buf generate --output "$$fresh"; \
	diff -r --brief gen "$$fresh/gen" || { echo 'gen/ is stale: run make generate, and commit it' >&2; exit 1; }; \
	echo 'gen/ is what proto/ generates'

breaking: ## Fail if proto/ breaks the contract of BASE (main)
	@if [[ -z $$(git ls-tree -r --name-only $(BASE) -- proto 2>/dev/null) ]]; then \
	  echo 'breaking: skipped: there is no branch $(BASE) with a proto/ here, so no contract to break'; \
	else \
	  $(tool) buf breaking --against '.git#branch=$(BASE)' --against-config buf.yaml; \
	  echo 'breaking: no change breaks the contract of $(BASE)'; \
	fi

lint: ## Check proto/, Go sources, their format, go.mod
	$(tool) buf lint
	$(tool) buf format --diff --exit-code
	@unformatted=$$(gofmt -s -l .); if [[ -n $$unformatted ]]; then \
	  printf 'not formatted, run make fmt:\n%s\n' "$$unformatted" >&2; exit 1; fi
	go mod tidy -diff
	$(tool) golangci-lint run

fmt: ## Format Go and proto files
	gofmt -s -w .
	$(tool) buf format --write

test: ## Run all tests
	go test ./...

race: ## Run all tests under the race detector
	go test -race ./...

bench-peers: ## Measure the service beside others, into docs/benchmarks.md (GHOSTUNNEL=PATH, QUICK=1)
	go build -ldflags "-X main.version=$$(git describe --always --dirty 2>/dev/null || echo dev)" -o bin/securesocket ./cmd/securesocket
	bin/securesocket bench --peers --docs docs $(if $(QUICK),--quick) $(if $(GHOSTUNNEL),--ghostunnel '$(GHOSTUNNEL)')

validation-table: ## Write the table of docs/validation.md anew (needs SECURESOCKET_VECTORS and SECURESOCKET_PKITS_CRLS)
	go test ./tlsengine -run '^TestValidationTable$$' -count=1 -args -update-docs

coverage: ## Run the tests that docs/coverage.md names, and write it anew (needs SECURESOCKET_VECTORS; CHECK=1: fail if it is stale)
	go run ./cmd/internal/coverage $(if $(CHECK),-check)

ci: ## Run everything a change must pass (installs packages when run as root)
	.ci/run

clean: ## Remove built programs
	rm -rf bin securesocket securesocketd
