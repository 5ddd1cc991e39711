"""Results of a run are read back as they were saved."""

import json
from dataclasses import replace

import pytest

from liver_tf.refusals import Refusal
from liver_tf.results.stored_results import has_results, load_results, save_results


def test_round_trip(stored, tmp_path):
    run = stored(fold="2", seed=5)
    assert not has_results(tmp_path, "test")
    save_results(run, tmp_path)
    assert has_results(tmp_path, "test")
    assert load_results(tmp_path) == run
    assert sorted(p.name for p in (tmp_path / "measures").iterdir()) == ["test.csv", "test.json"]
    bare = replace(run, part="validation", temperature=None)
    save_results(bare, tmp_path)
    assert load_results(tmp_path, "validation") == bare
    assert run.name == "fold2/seed5/mine"
    assert stored(fold="hold_out").name == "hold_out/seed0/mine"


def test_missing_and_damaged_results_are_refused(stored, tmp_path):
    with pytest.raises(Refusal, match=r"\[no-results\].*on its test part") as no:
        load_results(tmp_path)
    assert no.value.path == tmp_path
    save_results(stored(), tmp_path)
    path = tmp_path / "measures" / "test.json"
    value = json.loads(path.read_text())
    path.write_text(json.dumps(value | {"schema": 99}))
    with pytest.raises(Refusal, match=r"\[results-schema\].*schema 1; found schema 99"):
        load_results(tmp_path)
    broken = [
        "no json",
        json.dumps([1]),
        json.dumps({k: v for k, v in value.items() if k != "images"}),
        json.dumps(value | {"images": [{"patient": "p"}]}),
        json.dumps(value | {"temperature": {"value": 1}}),
    ]
    for text in broken:
        path.write_text(text)
        with pytest.raises(Refusal, match=r"\[results-damaged\]"):
            load_results(tmp_path)
