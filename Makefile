# make demo        the whole workflow on phantom data
# make reproduce   the paper's comparison on phantoms: every protocol on every fold
# make order-study  whether the order of freezing matters: replicates on phantoms
# make anatomical-study   anatomical data augmentation and the paper's Table II, on phantoms
# make weights     the networks in the package, from phantoms
# make test        lint, types and the short tests (7 to 14 minutes on 2 cores)
# make test-all    all tests, the long ones included (15 to 23 minutes on 2 cores); pages are tested only
#                  where chromium is installed: REQUIRE_CHROMIUM=1 make test-all fails without it
# make docs        build the documentation site into site/; fails on a broken link
# make bench       everything that other libraries can do too, beside them
# make real-check  the liver network on real CT: volumes and Dice; LIVER_RUN=RUN checks a run
# make fuzz, make kill-test   the long robustness campaigns; the tests include a short form of each
# make hostile     two writers on one folder, flipped bits, bombs, a hostile server
# make differential  random valid files read by this program, SimpleITK and nibabel, voxel by voxel
# make parity      augmentation compared with tensorflow-addons, in a separate environment
# make pacs-test   the DICOM node beside a real archive, killed and flooded; needs Debian's orthanc
#
# Each target creates the virtual environment that it needs and installs pinned versions.
PYTHON ?= python3
PYTHON311 ?= python3.11
VENV := .venv
PARITY := .venv-parity
RUN := $(VENV)/bin/python
PIP_INSTALL := $(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt
# Test processes, one more than cores: many tests wait. Each runs TensorFlow with a single thread
# (tests/conftest.py).
WORKERS ?= 3
PYTEST := $(RUN) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: demo reproduce order-study anatomical-study weights bench test test-all lint types docs real-check fuzz kill-test hostile differential pacs-test parity clean

demo: $(VENV)/installed
	$(RUN) -m trainers.demo

reproduce: $(VENV)/installed
	$(RUN) -m trainers.phantom_study

order-study: $(VENV)/installed
	OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 $(RUN) -m trainers.order_study --workers=2

anatomical-study: $(VENV)/installed
	$(RUN) -m trainers.phantom_study --folder=anatomical_study --neighbours=2 --seeds=0,1,2 \
		--protocols=baseline,hier_unfreeze,flags/anatomical,flags/hier_unfreeze_anatomical

weights: $(VENV)/installed
	$(RUN) -m trainers.train_weights

test: lint types
	$(PYTEST) -m "not long"

test-all: lint types
	$(PYTEST)

lint: $(VENV)/installed-test
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

types: $(VENV)/installed-test
	$(RUN) -m mypy

docs: $(VENV)/installed-docs
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict --quiet

real-check: $(VENV)/installed
	$(RUN) -m benchmarks.real_check $(if $(LIVER_RUN),--liver_run=$(LIVER_RUN))

fuzz: $(VENV)/installed-test
	$(RUN) -m tests.campaigns.fuzz

kill-test: $(VENV)/installed-test
	$(RUN) -m tests.campaigns.kill

hostile: $(VENV)/installed-test
	$(RUN) -m tests.campaigns.hostile

differential: $(VENV)/installed-test
	$(RUN) -m tests.campaigns.differential

pacs-test: $(VENV)/installed-pacs
	$(RUN) -m pytest -rs tests/pacs tests/node

bench: $(VENV)/installed-bench
	$(RUN) -m benchmarks.everything

parity: $(PARITY)/installed
	$(PARITY)/bin/python -m pytest tests/parity

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo \
		'The Python modules venv and ensurepip are missing. On Debian and Ubuntu: sudo apt-get install python3-venv'; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) -e .
	touch $@

# Everything that a test can use, Apache Beam included. Programs of dcmqi check DICOM SR and SEG.
$(VENV)/installed-test: $(VENV)/installed
	$(PIP_INSTALL) -e '.[test,codecs,beam,dicom-seg,pacs,itk,serving,openvino,ray]' dcmqi
	touch $@

$(VENV)/installed-docs: $(VENV)/installed
	$(PIP_INSTALL) -e '.[docs]'
	touch $@

$(VENV)/installed-bench: $(VENV)/installed
	$(PIP_INSTALL) -e '.[bench,openvino]'
	touch $@

$(VENV)/installed-pacs: $(VENV)/installed
	$(PIP_INSTALL) -e '.[test,dicom-seg,pacs]' dcmqi
	touch $@

# The last TensorFlow that tensorflow-addons runs with has no wheels for a newer Python.
$(PARITY)/installed: tests/parity/requirements.txt
	@$(PYTHON311) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo \
		'make parity needs Python 3.11 (TensorFlow 2.15 has no wheels for a newer one): install it,' \
		'or give its path: make parity PYTHON311=path/to/python3.11'; exit 1; }
	rm -rf $(PARITY)
	$(PYTHON311) -m venv $(PARITY)
	$(PARITY)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

clean:
	rm -rf $(VENV) $(PARITY) demo site
