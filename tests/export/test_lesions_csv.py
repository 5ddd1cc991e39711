"""Every field of a lesion becomes a column."""

import csv
from dataclasses import dataclass, field, fields

import numpy as np

from liver_tf.export.lesions_csv import (
    Centroid,
    columns_of,
    lesion_rows,
    plain,
    row_of,
    write_lesions_csv,
)
from liver_tf.inference.lesion_properties import DetectedLesion
from liver_tf.labels import LESION_TYPES
from tests.builders.lesions import lesions_of


@dataclass(frozen=True)
class Richer:
    """A lesion with fields of every kind that one may get."""

    number: int = 1
    slices: tuple[int, int] = (2, 5)
    type_probabilities: dict = field(default_factory=lambda: {"cyst": 0.25, "FNH, large": 0.75})
    indeterminate: bool = True
    longest_diameter_mm: np.float32 = field(default_factory=lambda: np.float32(1.5))
    centre: tuple = (1, 2, 3)
    volume_ml: float | None = None


PLACE = Centroid({"i": 1.0, "j": 2.5, "k": 3.0}, dict.fromkeys("xyz"), "LPS+")


def test_a_row_by_hand():
    assert row_of(Richer()) == {
        "number": 1,
        "first_slice": 2,
        "last_slice": 5,
        "type_probabilities.cyst": 0.25,
        "type_probabilities.FNH, large": 0.75,
        "indeterminate": True,
        "longest_diameter_mm": 1.5,
        "centre.0": 1,
        "centre.1": 2,
        "centre.2": 3,
        "volume_ml": None,
    }


def test_values_become_plain_python_values():
    value = plain({"a": np.float64(0.5), "b": (np.int64(1), [np.bool_(True)]), 3: None})
    assert value == {"a": 0.5, "b": [1, [True]], "3": None}
    assert type(value["a"]) is float
    assert type(value["b"][0]) is int
    assert type(value["b"][1][0]) is bool


def test_a_table_is_read_back_by_the_standard_library(tmp_path):
    rows = lesion_rows([Richer(), Richer(2, slices=(7, 7))], [PLACE] * 2)
    write_lesions_csv(tmp_path / "lesions.csv", rows, "scan-1", "odd")
    with open(tmp_path / "lesions.csv", encoding="utf-8", newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["scan"], first["status"]) == ("scan-1", "odd")
    assert first["type_probabilities.FNH, large"] == "0.75"
    assert first["volume_ml"] == ""
    assert (first["centroid_voxel.j"], first["centroid_mm.x"]) == ("2.5", "")
    assert (second["number"], second["first_slice"]) == ("2", "7")


def test_a_table_without_lesions_has_a_header_and_the_status(tmp_path):
    write_lesions_csv(tmp_path / "lesions.csv", [], "scan-001", "no-liver-found")
    line, only = (tmp_path / "lesions.csv").read_text().splitlines()
    assert line.startswith("scan,status,number,type,")
    assert only.startswith("scan-001,no-liver-found,")
    assert not only.removeprefix("scan-001,no-liver-found").strip(",")
    assert ",first_slice,last_slice," in line
    assert {field.name for field in fields(DetectedLesion)} - {"slices"} <= set(line.split(","))
    assert ",centroid_voxel.i,centroid_voxel.j,centroid_voxel.k,centroid_mm.x," in line


def test_all_fields_of_a_lesion_are_in_the_table():
    labels = np.zeros((3, 8, 8), np.uint8)
    labels[1, 2:4, 2:5] = 3
    (lesion,) = lesions_of(labels, np.full(labels.shape, 60), (2.0, 1.0, 1.0), LESION_TYPES)
    columns = columns_of([row_of(lesion)])
    prefixes = {column.split(".")[0] for column in columns}
    assert {field.name for field in fields(lesion)} - {"slices"} <= prefixes
    assert row_of(lesion)["voxels"] == 6
