# make demo: the whole road on phantom data. make test: lint and tests. make fuzz, make kill-test: the
# long campaigns of which the tests hold a short form. make pacs-test: a series and its DICOM SEG to a
# real archive and back; needs Debian's orthanc. All install what they need of Python.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: demo test lint fuzz kill-test pacs-test clean

demo: $(VENV)/installed
	$(RUN) -m trainers.demo

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

$(VENV)/installed: setup.py constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

# Everything that a test can try, Apache Beam among it.
$(VENV)/installed-test: $(VENV)/installed
	$(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		-e '.[test,codecs,beam,dicom-seg,serving,openvino]'
	touch $@

$(VENV)/installed-pacs: $(VENV)/installed
	$(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		-e '.[test,dicom-seg,pacs]'
	touch $@

clean:
	rm -rf $(VENV) demo
