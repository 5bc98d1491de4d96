# An existing .venv keeps its interpreter.
PYTHON ?= $(or $(wildcard .venv/bin/python),python3)

# The demo and the tests talk to nobody outside this machine, and not to a robot's nodes on it.
export ROS_AUTOMATIC_DISCOVERY_RANGE = LOCALHOST
export ROS_DOMAIN_ID = 87

# Where the messages' libraries are; PyPI's ROS 2 finds them by itself.
export LD_LIBRARY_PATH := $(CURDIR)/.venv/lib$(addprefix :,$(LD_LIBRARY_PATH))

# Processes that tests run in: one a core where they compute, more where they mostly wait.
COMPUTING = -n auto --maxprocesses 8 --dist
WAITING = -n 4 --dist loadfile

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 24

setup:  ## make .venv (PYTHON=interpreter, TORCH_INDEX=index that has the torch you want)
	@$(PYTHON) tools/setup_venv.py

demo: setup  ## simulate, reconstruct live over ROS 2, write demo/
	.venv/bin/rehdr demo -o demo

test: quick test-live  ## run the tests

quick: setup  ## run the tests of everything but the running node: ten minutes on two cores
	.venv/bin/python -m pytest $(COMPUTING) loadfile test --ignore=test/integration

test-live: setup  ## run the tests of the running node
	.venv/bin/python -m pytest $(WAITING) test/integration

test-long: setup  ## run the tests that take minutes, overload alone: it compares times
	.venv/bin/python -m pytest $(COMPUTING) worksteal -m long test --ignore=test/integration
	.venv/bin/python -m pytest -m long test/integration

test-jazzy:  ## run the node's tests on ROS 2 Jazzy from PyPI and Ubuntu 24.04's libraries, in .venv-jazzy
	@$(PYTHON) tools/setup_venv.py jazzy -m pytest $(WAITING) test/node test/integration

test-humble-libraries:  ## run offline tests on Ubuntu 22.04's Python and libraries, in .venv-humble-libraries
	@$(PYTHON) tools/setup_venv.py humble-libraries -m pytest $(COMPUTING) loadfile \
		test/events test/wire test/recordings test/network test/reconstruction test/cli \
		$(addprefix --ignore=test/cli/test_,evaluate_command.py consumers_command.py benchmark_command.py)

test-docs: setup  ## run the commands of README.md and docs/, in small
	.venv/bin/python -m pytest $(COMPUTING) worksteal -m docs test/docs

soak: setup  ## run the node for 50,000 frames (REHDR_SOAK_FRAMES): its memory stays, no frame is lost
	.venv/bin/python -m pytest -m soak -s test/integration/test_soak.py

lint: setup  ## check style
	.venv/bin/ruff check
	.venv/bin/ruff format --check

parameters: setup  ## write config/rehdr.yaml and docs/parameters.md from the code
	.venv/bin/python tools/generate_parameters.py

bench: setup  ## measure decoding, voxel grids, network and pipeline on this machine
	.venv/bin/rehdr benchmark events
	.venv/bin/rehdr benchmark voxels
	.venv/bin/rehdr benchmark network
	.venv/bin/rehdr benchmark node

bench-gpu:  ## measure on a GPU, without ROS: PYTHON=one with a CUDA build of torch and the rest of setup.cfg
	$(PYTHON) -m rehdr_ros.cli benchmark network --device cuda --repeat 200 \
		--networks rehdr_t rehdr_s rehdr_b --sizes 346x260 640x480 800x600 1280x720
	$(PYTHON) -m rehdr_ros.cli benchmark node --device cuda --weights rehdr_b \
		--size 640x480 --rate 10 --fps 100 --seconds 5

clean:  ## remove the environments and everything built
	rm -rf .venv .venv-* build install log demo *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help setup demo test quick test-live test-long test-jazzy test-humble-libraries test-docs soak \
	lint parameters bench bench-gpu clean
