# make demo: the whole road on phantom data. make reproduce: the paper's comparison on phantoms, every
# protocol on every fold. make test: lint and tests. make fuzz, make kill-test: the long campaigns of
# which the tests hold a short form. make parity: augmentation against tensorflow-addons, in an
# environment of its own. make pacs-test: a series and its DICOM SEG to a real archive and back; needs
# Debian's orthanc. All install what they need of Python.
PYTHON ?= python3
PYTHON311 ?= python3.11
VENV := .venv
PARITY := .venv-parity
RUN := $(VENV)/bin/python

.PHONY: demo reproduce bench test lint fuzz kill-test pacs-test parity clean

demo: $(VENV)/installed
	$(RUN) -m trainers.demo

reproduce: $(VENV)/installed
	$(RUN) -m trainers.phantom_study

test: $(VENV)/installed-test lint
	$(RUN) -m pytest

lint: $(VENV)/installed-test
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

fuzz: $(VENV)/installed-test
	$(RUN) -m tests.campaigns.fuzz

kill-test: $(VENV)/installed-test
	$(RUN) -m tests.campaigns.kill

pacs-test: $(VENV)/installed-pacs
	$(RUN) -m pytest -rs tests/pacs

bench: $(VENV)/installed-bench
	$(RUN) -m benchmarks.everything

parity: $(PARITY)/installed
	$(PARITY)/bin/python -m pytest tests/parity

$(VENV)/installed: setup.py constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

# Everything that a test can try, Apache Beam among it.
$(VENV)/installed-test: $(VENV)/installed
	$(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		-e '.[test,codecs,beam,dicom-seg,serving,openvino,ray]'
	touch $@

$(VENV)/installed-bench: $(VENV)/installed
	$(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		-e '.[bench,openvino]'
	touch $@

$(VENV)/installed-pacs: $(VENV)/installed
	$(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		-e '.[test,dicom-seg,pacs]'
	touch $@

# The last TensorFlow that tensorflow-addons runs with has no wheels for a younger Python.
$(PARITY)/installed: tests/parity/requirements.txt
	@$(PYTHON311) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo \
		'make parity needs Python 3.11 (TensorFlow 2.15 has no wheels for a younger one): install' \
		'it, or name it by PYTHON311=path/to/python3.11'; exit 1; }
	rm -rf $(PARITY)
	$(PYTHON311) -m venv $(PARITY)
	$(PARITY)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

clean:
	rm -rf $(VENV) $(PARITY) demo
