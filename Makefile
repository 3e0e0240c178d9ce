# A thin face on the CMake presets: each target sets up whatever it needs first, then runs.
#
#   make train            train the ConvNet on MNIST; ARGS="--epochs 1 --overwrite" passes flags on
#   make test             build and run all tests, as many at a time as there are processors
#   make fuzz             throw hostile files at every parser, FUZZ_SECONDS (60) at each; needs clang
#   make coverage         which lines of the CUDA engine the tests here run
#   make build            configure and build
#   make clean            remove build folders (not data, not runs)
PRESET ?= release
CONFIGURE ?=
ARGS ?=
JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 60
export FUZZ_SECONDS

.PHONY: train test fuzz coverage build setup setup-test clean

train: build
	build/$(PRESET)/convoy train $(ARGS)

test: setup-test
	cmake --preset $(PRESET) $(CONFIGURE)
	cmake --build --preset $(PRESET)
	ctest --preset $(PRESET) -j $(JOBS)

fuzz:
	@cmake/setup.sh fuzz
	tests/fuzz/run.sh

coverage:
	@cmake/setup.sh coverage
	tests/coverage.sh

build: setup
	cmake --preset $(PRESET) -DCONVOY_TESTS=OFF $(CONFIGURE)
	cmake --build --preset $(PRESET) --target convoy_program examples

setup:
	@cmake/setup.sh

setup-test:
	@cmake/setup.sh test

clean:
	rm -rf build
