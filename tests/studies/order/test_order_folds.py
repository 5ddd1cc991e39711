"""Cohorts of the order study: disjoint, nested by size, with equal shares of the diagnoses."""

from collections import Counter
from types import SimpleNamespace

import pytest

from liver_tf.refusals import Refusal
from liver_tf.studies.order.order_folders import replicate_splits
from liver_tf.studies.order.order_settings import OrderStudySettings

KINDS = {"cyst": 0.23, "hemangioma": 0.21, "metastasis": 0.28, "healthy": 0.28}


@pytest.fixture
def manifest():
    cases, number = [], 0
    for kind, share in KINDS.items():
        for _ in range(round(400 * share)):
            cases.append(SimpleNamespace(case=f"c{number * 7919 % 1000:03}", diagnosis=kind))
            number += 1
    return SimpleNamespace(cases=cases)


def test_cohorts(manifest):
    diagnosis_of = {entry.case: entry.diagnosis for entry in manifest.cases}
    every = [entry.case for entry in manifest.cases]
    assert len(diagnosis_of) == 400
    study = OrderStudySettings(cohorts=8, replicates=8, patients=48, other_patients=(12, 24))
    splits = replicate_splits(manifest, every, ("t",), study.cohorts, list(study.sizes))
    assert len(splits) == 3 * 8
    main = [splits[study.fold(48, replicate)] for replicate in range(8)]
    assert all(split.test == ("t",) for split in splits)
    parts = [set(split.training) | set(split.validation) for split in main]
    assert sum(map(len, parts)) == len(set().union(*parts)) == 400
    for replicate, split in enumerate(main):
        smaller = [splits[study.fold(size, replicate)] for size in (12, 24)]
        assert [len(each.training) for each in smaller] == [12, 24]
        assert set(smaller[0].training) < set(smaller[1].training) < set(split.training)
        for each, size in ((smaller[0], 12), (smaller[1], 24), (split, 48)):
            counts = Counter(diagnosis_of[case] for case in each.training)
            for kind, share in KINDS.items():
                assert abs(counts[kind] - share * size) <= 2
        assert not set(split.training) & set(split.validation)


def test_too_few_patients(manifest):
    cases = [entry.case for entry in manifest.cases]
    with pytest.raises(Refusal, match="too-few-patients"):
        replicate_splits(manifest, cases, (), 9, [48])
