# make lab opens the series in JupyterLab, make test tests it; both set everything up first.
PYTHON ?= python3
BIN := .venv/bin
# in a container one is root; the server still listens on this machine only
AS_ROOT := $(shell [ "$$(id -u)" = 0 ] && echo --allow-root)

.PHONY: lab page site test notebooks pictures gallery model autoencoders sweep bench clean

lab: .venv/ready
	$(BIN)/jupyter lab --ServerApp.ip=127.0.0.1 $(AS_ROOT) --ServerApp.root_dir=. \
		--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb

page: .venv/ready-to-show                ## the explorers as a page without code, on this machine only
	$(BIN)/python -m voila notebooks/playground.ipynb --Voila.ip=127.0.0.1

site: .venv/ready                       ## the page that needs no install, as a folder and as one file, in site/build
	$(BIN)/python site/build.py

# its own list of fonts: one that another installation left behind may lack those that formulas are set in
test: .venv/ready-to-test
	MPLCONFIGDIR=$(CURDIR)/.venv/matplotlib $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

notebooks: .venv/ready-to-test          ## execute all notebooks in place
	$(BIN)/python tests/run_notebooks.py notebooks/*.ipynb

pictures: .venv/ready-to-test           ## photograph the explorers, for where no kernel runs
	$(BIN)/python -m tests.pictures

gallery: .venv/ready                    ## make the film of the README and the pictures in docs/gallery again
	$(BIN)/python docs/film.py
	$(BIN)/python docs/gallery.py

model: .venv/ready                      ## train the shipped weights again
	$(BIN)/python -m helpers.training

autoencoders: .venv/ready               ## train the shipped autoencoders again
	$(BIN)/python -m helpers.latent.autoencoders

sweep: .venv/ready-to-sweep              ## train and measure the networks of notebook 11; SCHEDULER=tcp://... on a cluster
	$(BIN)/python -m experiments.sweeps --scheduler '$(SCHEDULER)'

bench: .venv/ready-to-bench             ## speed and quality, as ratios
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf .venv

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "Python 3.11, 3.12 or 3.13 is needed; found $$($(PYTHON) --version). Try: make PYTHON=python3.12 lab"; exit 1; }
	$(PYTHON) -m venv .venv || { rm -rf .venv; echo "If venv is missing: apt install python3-venv (Debian, Ubuntu)"; exit 1; }

.venv/ready: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

.venv/ready-to-test: .venv/ready
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	@touch $@

.venv/ready-to-bench: .venv/ready
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	@touch $@

.venv/ready-to-sweep: .venv/ready
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[cluster]'
	@touch $@

.venv/ready-to-show: .venv/ready
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[page]'
	@touch $@
