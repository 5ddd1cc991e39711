"""Ranges of the training scans: taken from record sets, stored with models, compared with scans."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from liver_tf.bundled_networks import NETWORKS, bundled
from liver_tf.inference.liver_plausibility import outside_training, scan_values
from liver_tf.model.description import load_description
from liver_tf.refusals import Refusal
from liver_tf.scan_ranges import ScanRanges, outside_text
from liver_tf.trained_on import CascadeTrainedOn, TrainedOn

RANGES = ScanRanges((0.6, 0.9), (1.0, 5.0), (40.0, 140.0), (900.0, 2500.0))
INSIDE = {"pixel_mm": 0.8, "slice_mm": 2.0, "liver_hu": 100.0, "liver_ml": 1500.0}


def test_ranges_of_scans_ignore_what_a_scan_does_not_state():
    scans = [
        {"pixel_mm": 0.9, "slice_mm": None, "liver_hu": 40.0, "liver_ml": None},
        {"pixel_mm": 0.6, "slice_mm": 5.0, "liver_hu": 140.0, "liver_ml": None},
        {"pixel_mm": 0.7, "slice_mm": 1.0, "liver_hu": 90.0, "liver_ml": None},
    ]
    assert ScanRanges.of_scans(scans) == replace(RANGES, liver_ml=None)
    assert ScanRanges.of_scans([]) == ScanRanges()


@pytest.mark.parametrize(
    ("value", "outside"),
    [
        ({"pixel_mm": 0.3}, None),  # finer: reduced to the network's grid
        ({"pixel_mm": 0.905}, None),  # rounding: within 1 % of the larger end
        ({"pixel_mm": 1.4}, "pixel_mm"),
        ({"slice_mm": 0.5}, None),
        ({"slice_mm": 5.1}, "slice_mm"),
        ({"liver_hu": 30.0}, "liver_hu"),
        ({"liver_hu": 142.0}, "liver_hu"),
        ({"liver_ml": 700.0}, "liver_ml"),
        ({"liver_ml": 3000.0}, "liver_ml"),
        ({"liver_ml": None}, None),
    ],
)
def test_a_scan_outside_a_range_is_found(value, outside):
    assert list(RANGES.outside({**INSIDE, **value})) == [outside] * (outside is not None)
    assert ScanRanges().outside({**INSIDE, **value}) == {}


def test_the_caution_names_value_range_and_network():
    lesion = replace(RANGES, slice_mm=(1.0, 8.0))
    networks = {"liver network": RANGES, "lesion network": lesion}
    scan = {**INSIDE, "slice_mm": 7.5, "liver_ml": 3210.4}
    expected = (
        "distance of slices 7.5 mm (liver network: 1 to 5 mm); liver volume 3,210 ml "
        "(900 to 2,500 ml)"
    )
    assert outside_text(networks, scan) == expected
    (caution,) = outside_training(networks, scan)
    assert caution.code == "training-range"
    assert expected in caution.text
    assert outside_training(networks, INSIDE) == ()
    assert outside_training({"liver network": None}, scan) == ()
    known = {"liver network": RANGES, "lesion network": None}
    text = "distance of slices 7.5 mm (liver network: 1 to 5 mm, lesion network: range unknown)"
    assert outside_text(known, {**INSIDE, "slice_mm": 7.5}) == text
    assert outside_training(known, INSIDE) == ()


def test_values_of_a_scan_by_hand():
    hu = np.full((4, 6, 5), 500, np.int16)
    liver, lesion = np.zeros((2, *hu.shape), bool)
    liver[1:3, 2:4, 1:4] = True  # 12 voxels of 2 x 3 x 1.5 mm
    hu[liver] = 90
    hu[1, 2, 1], hu[2, 2, 1] = -400, 20
    lesion[2, 2, 1] = True
    values = scan_values(hu, liver, lesion, (2.0, 3.0, 1.5), whole=True)
    # One voxel at the lower end of the window, -160; ten of 90 HU; the lesion's is left out.
    assert values["liver_hu"] == pytest.approx((10 * 90 - 160) / 11)
    assert values["liver_ml"] == pytest.approx(12 * 9 / 1000)
    assert (values["pixel_mm"], values["slice_mm"]) == (3.0, 2.0)
    cut = scan_values(hu, liver, lesion, (np.nan, 3.0, 1.5), whole=False)
    assert (cut["pixel_mm"], cut["slice_mm"], cut["liver_ml"]) == (3.0, None, None)
    unknown = scan_values(hu, liver & False, lesion, None, whole=True)
    assert set(unknown.values()) == {None}


def test_pre_training_widens_the_ranges_and_unknown_ones_stay_unknown():
    later = ScanRanges((0.5, 0.7), None, (60.0, 150.0), None)
    joined = RANGES.joined(later)
    # Thickness is unknown for some scans; slices, which have no volume, do not hide that of others.
    assert joined == ScanRanges((0.5, 0.9), None, (40.0, 150.0), (900.0, 2500.0))
    old, new = TrainedOn("real", 3, 0), TrainedOn("real", 4, 0, ranges=RANGES)
    assert new.after(replace(old, ranges=later)).ranges == joined
    assert new.after(old).ranges is None
    cascade = CascadeTrainedOn(new, (new, replace(old, ranges=later)))
    assert cascade.ranges == {"liver network": RANGES, "lesion network": joined}
    assert CascadeTrainedOn(None, (new, old)).ranges == dict.fromkeys(cascade.ranges)
    assert CascadeTrainedOn.from_json(json.loads(json.dumps(cascade.to_json()))) == cascade


def test_a_record_set_states_them(record_set):
    _, manifest = record_set
    entries = []
    for number, entry in enumerate(manifest.cases):
        statistics = replace(
            entry.statistics, class_pixels=(90, 10, 5), liver_sum=10.0 * (50 + number)
        )
        details = {"spacing_mm": f"{2 + number}.000x0.500x{0.5 + number / 10:.3f}"}
        entries.append(replace(entry, statistics=statistics, details=details))
    slices = {"pixel_mm": "0.400x0.300", "slice_thickness_mm": "1.5"}
    entries[7] = replace(entries[7], details=slices)
    real = replace(manifest, cases=tuple(entries), made_by={"data": "real"})
    names = [entry.case for entry in real.cases]
    # Of 15 pixels of liver and lesion: 15 x 2 x 0.5 x 0.5 mm3 to 15 x 4 x 0.5 x 0.7 mm3.
    assert real.trained_on(names[:3], typed=False).ranges == ScanRanges(
        (0.5, 0.7), (2.0, 4.0), (50.0, 52.0), (0.007, 0.021)
    )
    assert real.trained_on(names[7:], typed=False).ranges == ScanRanges(
        (0.4, 0.4), (1.5, 1.5), (57.0, 57.0), None
    )


def test_a_model_keeps_them_and_may_lack_them(make_network, tmp_path):
    description = make_network("lesion").description
    (tmp_path / "weights.npz").touch()
    stored = TrainedOn("real", 4, 0, ranges=RANGES)
    replace(description, trained_on=stored).save(tmp_path)
    assert load_description(tmp_path).trained_on == stored
    value = json.loads((tmp_path / "model.json").read_text())
    value["trained_on"]["ranges"]["slice_mm"] = [5, 1]
    (tmp_path / "model.json").write_text(json.dumps(value))
    with pytest.raises(Refusal, match="model-damaged"):
        load_description(tmp_path)
    del value["trained_on"]["ranges"]  # an earlier version
    (tmp_path / "model.json").write_text(json.dumps(value))
    assert load_description(tmp_path).trained_on == replace(stored, ranges=None)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_networks_in_the_package_state_them(name):
    ranges = load_description(bundled(name)).trained_on.ranges
    assert all(asdict(ranges).values())
    card = (bundled(name) / "model_card.md").read_text(encoding="utf-8")
    assert f"- Range of the training scans: {ranges.text()}." in card
