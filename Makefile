PYTHON ?= python3

.PHONY: help demo test escape fuzz bench sanitize check docs manifests lock

help:       ## show this
	@$(PYTHON) dev.py help
demo:       ## run the example circuits
	@$(PYTHON) dev.py demo
test:       ## run the tests; make test ARGS="-k bell"
	@$(PYTHON) dev.py test -- $(ARGS)
escape:     ## try every known way out of the sandbox
	@$(PYTHON) dev.py escape -- $(ARGS)
fuzz:       ## a million hostile inputs
	@$(PYTHON) dev.py fuzz -- $(ARGS)
bench:      ## run the benchmarks
	@$(PYTHON) dev.py bench -- $(ARGS)
sanitize:   ## run the native tests with sanitizers
	@$(PYTHON) dev.py sanitize -- $(ARGS)
check:      ## lint, types, layering, manifests
	@$(PYTHON) dev.py check
docs:       ## build the documentation
	@$(PYTHON) dev.py docs
manifests:  ## compile every plugin.yaml
	@$(PYTHON) dev.py manifests
lock:       ## resolve requirements.lock anew
	@$(PYTHON) dev.py lock -- $(ARGS)
