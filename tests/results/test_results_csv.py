"""The table of results has one row per slice."""

import csv
import io

from liver_tf.labels import LESION_TYPES
from liver_tf.results.results_csv import results_csv


def test_the_table_has_one_row_per_slice(stored):
    run = stored()
    text = results_csv([run, stored("yours", seed=1)])
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 2 * len(run.results)
    assert {row["protocol"] for row in rows} == {"mine", "yours"}
    assert None not in {key for row in rows for key in row}
    for row, result in zip(rows, run.results, strict=False):
        assert row["patient"] == result.patient
        assert row["dice"] == ("" if result.dice is None else f"{result.dice:.6g}")
        expected = (
            "healthy" if not result.has_lesion else LESION_TYPES.classes[result.true_diagnosis]
        )
        assert row["true_type"] == expected
        assert (row["score_cyst"] == "") == (result.type_scores is None)
        assert (row["hd95_lesion_mm"] == "") == (result.lesion_surface is None)
        assert (row["size"] == "") == (not result.has_lesion)
    assert results_csv([]).startswith("protocol,")
