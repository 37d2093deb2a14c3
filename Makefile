# mailblast: `make help` lists what there is.

GO      ?= go
PREFIX  ?= /usr/local
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
BIN     := build/mailblast
FUZZTIME ?= 30s
KILLS   ?= 3000
BENCHFLAGS ?=

# The amalgamation is compiled once, into Go's build cache.
export CGO_ENABLED = 1

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build build/mailblast
	$(GO) build -trimpath -ldflags '-X mailblast/cmd.Version=$(VERSION)' -o $(BIN) .

.PHONY: install
install: build ## install to $(PREFIX)/bin
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 0755 $(BIN) $(DESTDIR)$(PREFIX)/bin/mailblast

.PHONY: demo
demo: build ## a thousand real SMTP deliveries to a test server, and a report
	@BIN=$(BIN) sh testdata/demo.sh

# Go passes testdata by; the packages in it are named.
TESTED := ./... ./testdata/crash ./testdata/e2e ./testdata/matrix ./testdata/script
ALL := $(TESTED) ./testdata/bench ./testdata/harness

# No package takes longer than 120 s on two processors that have nothing else to do. The limit is three times that.
TIMEOUT := 360s

.PHONY: test
test: ## all tests, with the race detector
	$(GO) vet $(ALL)
	$(GO) test -race -timeout $(TIMEOUT) $(TESTED)

.PHONY: lint
lint: ## formatting, vet, staticcheck
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'run gofmt -w on these'; exit 1; }
	$(GO) vet $(ALL)
	$(GO) vet -tags crash ./cmd/...
	$(GO) tool staticcheck $(ALL)

# Without cgo the SQLite driver is a stub, so that no C compiler of another system is needed.
PORTS := darwin freebsd windows

.PHONY: vet-portable
vet-portable: ## vet for the systems other than Linux
	@for os in $(PORTS); do echo "GOOS=$$os go vet"; CGO_ENABLED=0 GOOS=$$os $(GO) vet ./... ./testdata/e2e ./testdata/matrix ./testdata/script || exit 1; done

.PHONY: crash
crash: ## kill -9 KILLS (3000) times, power cuts, two controls: prints the table
	$(GO) run ./testdata/crash -kills $(KILLS)

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (30s)
	@$(GO) list ./... | while read -r pkg; do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
	    echo "$$pkg $$f"; \
	    $(GO) test $$pkg -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 5x || exit 1; \
	  done; \
	done

.PHONY: bench
bench: build ## speed and memory beside other senders (needs smtp-sink and smtp-source of Postfix)
	$(GO) run ./testdata/bench -mailblast $(BIN) $(BENCHFLAGS)

.PHONY: clean
clean: ## remove build/
	rm -rf build
