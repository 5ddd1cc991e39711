"""A study refuses runs with other settings and shows the difference."""

import pytest

from liver_tf.refusals import Refusal
from liver_tf.studies.settings_guard import refuse_mixed_settings
from tests.builders.study_jobs import MADE_OF, job_of, mark_done


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"settings": ["--epochs=3"]}, "settings: --epochs=2 before, --epochs=3 now"),
        ({"settings": ["--epochs=2", "--zoom=0"]}, "settings: nothing before, --zoom=0 now"),
        ({"records": "b" * 64}, f"records: {'a' * 16} before, {'b' * 16} now"),
        ({"protocol": ["--cycle=none"]}, "mine: --protocol=mine before, --cycle=none now"),
    ],
)
def test_other_settings_are_refused_with_the_difference(tmp_path, changes, difference):
    mark_done(job_of(tmp_path))
    with pytest.raises(Refusal) as refused:
        refuse_mixed_settings(tmp_path, {"mine": {**MADE_OF, **changes}})
    assert refused.value.code == "study-differs"
    assert refused.value.found == difference


def test_the_same_settings_and_further_protocols_are_accepted(tmp_path):
    mark_done(job_of(tmp_path))
    refuse_mixed_settings(tmp_path, {})
    refuse_mixed_settings(tmp_path, {"mine": MADE_OF})
    refuse_mixed_settings(tmp_path, {"other": {**MADE_OF, "protocol": ["--protocol=other"]}})


def test_existing_runs_are_compared_with_each_other(tmp_path):
    mark_done(job_of(tmp_path))
    mark_done(job_of(tmp_path, seed=1, made_of={**MADE_OF, "records": "c" * 64}))
    with pytest.raises(Refusal, match="records: cccccccccccccccc before, aaaaaaaaaaaaaaaa now"):
        refuse_mixed_settings(tmp_path, {})
    # A run that failed before training started does not count.
    (job_of(tmp_path, seed=1).run / "run.json").unlink()
    refuse_mixed_settings(tmp_path, {})
