NODE := bin/node
JEST := $(NODE) --experimental-vm-modules --no-warnings --max-old-space-size=4096 node_modules/jest/bin/jest.js
# --selectProjects takes all words up to the next option, so that ARGS must not follow it.
UNIT := $(JEST) --selectProjects unit --maxWorkers=100% --passWithNoTests --testTimeout=30000
# Suites that `make test` repeats on a real API server; `make real` runs all of them.
REAL_SUITES := kubectl-journey bad-manifests published-manifests
STAMP := node_modules/.package-lock.json

.PHONY: $(shell grep -oE '^[a-z]+:' $(firstword $(MAKEFILE_LIST)) | tr -d :)
help: ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(STAMP): package.json package-lock.json
	npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $(STAMP)

playground: $(STAMP) ## Start everything on this machine and send a completion (ARGS=--once ends after it)
	@bin/llmisvc playground $(ARGS)

test: $(STAMP) ## Run all tests: unit, then end to end with real processes
	$(UNIT) $(ARGS)
	$(JEST) $(ARGS) --runInBand --testTimeout=120000 --passWithNoTests --selectProjects e2e
	$(NODE) test/cluster/suites.ts $(REAL_SUITES)

unit: $(STAMP) ## Run the unit tests
	$(UNIT) $(ARGS)

real: $(STAMP) ## Run the end-to-end tests on a real API server (RELEASE=older: three minors older)
	$(NODE) test/cluster/suites.ts --release $(or $(RELEASE),newest) $(ARGS)

e2e: $(STAMP) ## Run the end-to-end tests
	$(JEST) $(ARGS) --runInBand --testTimeout=120000 --passWithNoTests --selectProjects e2e

lives: $(STAMP) ## Run sequences of a thousand random operations on services (SEEDS=1,2,3)
	LIVES_OPERATIONS=1000 LIVES_SEEDS=$(or $(SEEDS),1) $(JEST) test/random-lives --selectProjects unit

images: $(STAMP) ## Bundle the programs and assemble the images' root filesystem in dist/ (root, Debian)
	$(NODE) images/bundle.ts dist/image
	images/rootfs.sh dist/image dist/rootfs

bench: $(STAMP) ## Run the benches, or those named in ARGS (ARGS=--help lists them)
	@$(NODE) --no-warnings bench/run.ts $(ARGS)

quickstart: $(STAMP) ## Install the chart on a real Kubernetes, send a completion through Envoy, write docs/quickstart.md
	test/cluster/in-network.sh $(NODE) test/cluster/quickstart.ts --output docs/quickstart.md -v

migration: $(STAMP) ## Move a real Kubernetes from KServe's charts to ours by the commands of docs/migrate.md
	test/cluster/in-network.sh $(NODE) test/cluster/migration.ts $(ARGS) -v

chart: $(STAMP) ## Write the complete Helm chart to dist/chart, and as an archive
	$(NODE) charts/package.ts dist/chart
	tar -czf dist/llmisvc-$$($(NODE) -p 'require("./package.json").version').tgz -C dist/chart llmisvc

manifests: $(STAMP) ## Write dist/install.yaml: what the chart installs by default, for kubectl apply (needs helm)
	$(NODE) charts/manifests.ts dist/install.yaml

fuzz: $(STAMP) ## Try damaged inputs for minutes (ARGS=--help lists what can be set)
	@$(NODE) --no-warnings test/fuzz/run.ts $(ARGS)

chaos: $(STAMP) ## Do harm to everything under load on a real API server and Envoy (ARGS=--help lists what can be set)
	@$(NODE) --no-warnings test/chaos/run.ts $(ARGS)

soak: $(STAMP) ## Ten minutes of load on a fleet that comes and goes
	@$(NODE) --no-warnings bench/run.ts churn --seconds=600 $(ARGS)

lint: $(STAMP) ## Check format and lint rules
	$(NODE) node_modules/@biomejs/biome/bin/biome format .
	$(NODE) node_modules/oxlint/bin/oxlint --type-aware --deny-warnings .

format: $(STAMP) ## Rewrite the sources in the project's format
	$(NODE) node_modules/@biomejs/biome/bin/biome format --write .

types: $(STAMP) ## Type-check everything
	$(NODE) node_modules/typescript/bin/tsc --noEmit

docs: $(STAMP) ## Write the pages that come from declarations
	UPDATE_DOCS=1 $(JEST) --selectProjects unit --testPathPatterns '(reference|docs|observability)\.test'
