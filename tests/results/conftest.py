"""Results of a run, shared by the tests of the room."""

from dataclasses import replace

import pytest

from liver_tf.labels import LESION_TYPES
from liver_tf.measures.calibration import Temperature
from liver_tf.results.run_results import RunResults
from liver_tf.run_files import INNER


@pytest.fixture(scope="module")
def stored(cohort):
    def make(protocol="mine", fold="0", seed=0, quality=0.7, **changes):
        results = [
            replace(r, patient=f"fold{fold}-{r.patient}", fold=fold, seed=seed)
            for r in cohort(quality, patients=6)
        ]
        run = RunResults(
            protocol=protocol,
            fold=fold,
            seed=seed,
            part="test",
            validation=INNER,
            label_set=LESION_TYPES,
            made_of={"records": "a", "weights": "b"},
            results=tuple(results),
            temperature=Temperature(1.4, "validation", 9, ("c1", "c2"), 0.9, 0.8),
        )
        return replace(run, **changes)

    return make
