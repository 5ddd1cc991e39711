"""DICOM SR (TID 1500) of the lesions of a scan, read back by highdicom, DCMTK and dciodvfy."""

from __future__ import annotations

import csv
import itertools
import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pydicom
import pytest

from liver_tf.ct.dicom_seg import read_dicom_seg
from liver_tf.ct.dicom_series import read_dicom_series
from liver_tf.ct.dicom_slice import read_dicom_slice
from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.export.scan_findings import ScanFindings
from liver_tf.export.scan_results import write_results
from liver_tf.labels import INDETERMINATE, LESION_TYPES, LITS, LabelSet
from liver_tf.refusals import Caution
from liver_tf.trained_on import NOT_STORED, CascadeTrainedOn, TrainedOn
from tests.builders.dcmqi import TID1500READER, measured, read_report
from tests.builders.lesions import lesions_of
from tests.builders.placed_series import IN_PLANE, MARK_HU, SPACING_MM, write_placed_series

highdicom = pytest.importorskip(
    "highdicom", reason="highdicom is missing (pip install 'liver_tf[dicom-seg]')"
)
from pydicom.sr.codedict import codes  # noqa: E402

AXIAL = ((1, 0, 0), (0, 1, 0))
MADE_BY = AlgorithmIdentity("0123456789abcdef")
PHANTOMS = TrainedOn("phantom", 0, 9)
TYPED_PHANTOMS = TrainedOn("phantom", 0, 9, "phantom")
OF_PHANTOMS = CascadeTrainedOn(PHANTOMS, [TYPED_PHANTOMS])
CANARY = "CANARY^Quendoline"


def mark_patient(dataset):
    dataset.SpecificCharacterSet = ""
    dataset.PatientName, dataset.PatientID = CANARY, "CANARY-4711"


@pytest.fixture
def scan(tmp_path):
    write_placed_series(tmp_path / "series", *AXIAL, change=mark_patient)
    return read_dicom_series(tmp_path / "series")


def labels_of(scan):
    """The marked block as hemangioma, and a second lesion, also hemangioma."""
    labels = np.where(scan.hu == MARK_HU, 3, scan.hu == 40).astype(np.uint8)
    labels[3, 6:8, 8] = 3
    return labels


def results(
    scan,
    folder,
    labels=None,
    label_set=LESION_TYPES,
    trained_on=NOT_STORED,
    cautions=(),
    **options,
):
    """The data set of the report, and lesions.json."""
    labels = labels_of(scan) if labels is None else labels
    lesions = lesions_of(labels, scan.hu, scan.spacing_mm, label_set)
    findings = ScanFindings(scan, labels, lesions, label_set, True, trained_on, cautions)
    write_results(folder, findings, MADE_BY, pictures=0, **options)
    report = None
    if (folder / "report.dcm").exists():
        report = highdicom.sr.srread(folder / "report.dcm")
    return report, json.loads((folder / "lesions.json").read_text())


def volume_groups(report):
    return report.content.get_volumetric_roi_measurement_groups()


def image_groups(report):
    return report.content.get_image_measurement_groups()


def value_of(group, name, derivation=None):
    """Value and unit of the only measurement with this name and derivation."""
    (measurement,) = (
        each
        for each in group.get_measurements(name=name)
        if derivation is None or each.derivation == derivation
    )
    return measurement.value, measurement.unit.value


def test_highdicom_reads_the_measurements_of_each_lesion(scan, tmp_path):
    report, contents = results(scan, tmp_path / "scan-001", segments="lesion")
    first, second = volume_groups(report)
    # Counted by hand: 13 pixels and 2 pixels of 0.8 x 0.7 mm in slices 2.5 mm apart.
    assert value_of(first, codes.SCT.Volume) == (round(13 * 0.56 * 2.5 / 1000, 3), "cm3")
    assert value_of(first, codes.SCT.Area, codes.SCT.Maximum) == (round(7 * 0.56, 3), "mm2")
    assert value_of(second, codes.SCT.Area, codes.SCT.Maximum) == (round(2 * 0.56, 3), "mm2")
    mean = value_of(first, codes.DCM.XRayAttenuation, codes.SCT.Mean)
    sd = value_of(first, codes.DCM.XRayAttenuation, codes.SCT.StandardDeviation)
    assert (mean, sd) == ((MARK_HU, "[hnsf'U]"), (0, "[hnsf'U]"))
    assert first.finding_type == codes.SCT.Hemangioma
    assert [site.topographical_modifier for site in first.finding_sites] == [None]
    assert first.finding_sites[0].value == codes.SCT.Liver
    # The diameters, which have coordinates, are in groups with the same tracking identifiers.
    diameters = image_groups(report)
    assert [group.tracking_uid for group in diameters] == [first.tracking_uid, second.tracking_uid]
    assert [group.tracking_identifier for group in diameters] == ["lesion 1", "lesion 2"]
    mm = [value_of(group, codes.SCT.LongAxis) for group in diameters]
    assert mm == [(lesion["longest_diameter_mm"], "mm") for lesion in contents["lesions"]]


def test_the_sd_of_hu_is_that_of_the_voxels(scan, tmp_path):
    hu = scan.hu.copy()
    hu[3, 6:8, 8] = (10, 40)
    changed = type(scan)(hu, scan.affine, scan.spacing_mm, scan.source)
    report, _ = results(changed, tmp_path / "scan-001", labels_of(scan), segments="lesion")
    second = volume_groups(report)[1]
    assert value_of(second, codes.DCM.XRayAttenuation, codes.SCT.Mean)[0] == 25
    assert value_of(second, codes.DCM.XRayAttenuation, codes.SCT.StandardDeviation)[0] == 15


@pytest.mark.parametrize("to_head", [True, False])
@pytest.mark.parametrize(("row", "column"), IN_PLANE)
def test_the_diameter_lies_on_the_stored_pixels(tmp_path, row, column, to_head):
    stored = write_placed_series(tmp_path / "series", row, column, to_head=to_head)
    scan = read_dicom_series(tmp_path / "series")
    labels = np.where(scan.hu == MARK_HU, 3, 0).astype(np.uint8)
    report, _ = results(scan, tmp_path / "scan-001", labels)
    (group,) = image_groups(report)
    (diameter,) = group.get_measurements(name=codes.SCT.LongAxis)
    (line,) = diameter.referenced_coordinates
    (image,) = line.ContentSequence
    marked = stored[image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID] == MARK_HU
    # The greatest distance between corners of marked pixels, among all pairs.
    corners = {
        (c + right, r + below)
        for r, c in np.argwhere(marked).tolist()
        for right, below in itertools.product((0, 1), repeat=2)
    }
    lengths = {
        (one, two): np.hypot((one[0] - two[0]) * SPACING_MM[2], (one[1] - two[1]) * SPACING_MM[1])
        for one, two in itertools.permutations(sorted(corners), 2)
    }
    ends = tuple(tuple(point) for point in np.reshape(line.GraphicData, (2, 2)).tolist())
    assert lengths[ends] == max(lengths.values())
    assert diameter.value == pytest.approx(max(lengths.values()), abs=1e-3)


def test_the_same_lesion_has_one_uid_in_all_files(scan, tmp_path):
    folder = tmp_path / "scan-001"
    report, contents = results(scan, folder, segments="lesion")
    uids = [lesion["tracking_uid"] for lesion in contents["lesions"]]
    assert len(set(uids)) == 2
    assert [group.tracking_uid for group in volume_groups(report)] == uids
    seg = pydicom.dcmread(folder / "segmentation.dcm")
    segments = {item.get("TrackingUID"): item for item in seg.SegmentSequence}
    assert set(segments) == {None, *uids}
    with open(folder / "lesions.csv", newline="", encoding="utf-8") as file:
        assert [row["tracking_uid"] for row in csv.DictReader(file)] == uids
    page = (folder / "scan.html").read_text()
    assert all(page.count(uid) == 1 for uid in uids)
    # The segment to which a group refers is the lesion.
    for uid, group, number in zip(uids, volume_groups(report), (1, 2), strict=True):
        segment = segments[uid]
        assert segment.TrackingID == f"lesion {number}"
        assert segment.SegmentLabel == f"hemangioma {number}"
        assert _segment_number(group) == segment.SegmentNumber
        assert group.referenced_segment.referenced_sop_instance_uid == seg.SOPInstanceUID
    masks = {each.number: each.mask for each in read_dicom_seg(folder / "segmentation.dcm", scan)}
    np.testing.assert_array_equal(masks[2], scan.hu == MARK_HU)
    assert np.argwhere(masks[3]).tolist() == [[3, 6, 8], [3, 7, 8]]
    np.testing.assert_array_equal(masks[1], labels_of(scan) == 1)


def _segment_number(group):
    (number,) = np.atleast_1d(group.referenced_segment.referenced_segment_numbers)
    return number


def test_uids_depend_on_scan_weights_and_voxels_only(scan, tmp_path):
    def uids(name, labels=None, made_by=MADE_BY, label_set=LESION_TYPES):
        labels = labels_of(scan) if labels is None else labels
        lesions = lesions_of(labels, scan.hu, scan.spacing_mm, label_set)
        findings = ScanFindings(scan, labels, lesions, label_set)
        rows = write_results(tmp_path / name, findings, made_by, pictures=0).lesions
        return [row["tracking_uid"] for row in rows]

    first = uids("a")
    assert uids("b") == first
    untyped = np.minimum(labels_of(scan), 2).astype(np.uint8)
    assert uids("c", untyped, label_set=LITS) == first
    smaller = labels_of(scan)
    smaller[3, 6, 8] = 1
    assert uids("d", smaller)[0] == first[0]
    assert uids("d2", smaller)[1] != first[1]
    assert not set(uids("e", made_by=AlgorithmIdentity("ff"))) & set(first)
    # The same result twice is the same object in an archive.
    reports = [pydicom.dcmread(tmp_path / name / "report.dcm") for name in ("a", "b")]
    assert reports[0].SOPInstanceUID == reports[1].SOPInstanceUID
    assert reports[0].SeriesInstanceUID == reports[1].SeriesInstanceUID


def test_a_class_of_several_lesions_is_no_segment_of_a_lesion(scan, tmp_path):
    folder = tmp_path / "scan-001"
    report, contents = results(scan, folder)
    assert volume_groups(report) == []
    groups = image_groups(report)
    uids = [lesion["tracking_uid"] for lesion in contents["lesions"]]
    assert [group.tracking_uid for group in groups] == uids
    assert value_of(groups[0], codes.SCT.LongAxis)[1] == "mm"
    assert value_of(groups[0], codes.SCT.Volume)[1] == "cm3"
    seg = pydicom.dcmread(folder / "segmentation.dcm")
    assert not any("TrackingUID" in item for item in seg.SegmentSequence)
    # The slices of each lesion.
    images = [[each.referenced_sop_instance_uid for each in g.source_images] for g in groups]
    known = scan.source.instance_uids
    assert images == [list(known[1:3]), [known[3]]]


def test_a_class_of_one_lesion_is_its_segment(scan, tmp_path):
    labels = labels_of(scan)
    labels[labels == 3] = np.where(np.indices(labels.shape)[0][labels == 3] == 3, 2, 3)
    report, contents = results(scan, tmp_path / "scan-001", labels)
    uids = [lesion["tracking_uid"] for lesion in contents["lesions"]]
    assert [_segment_number(group) for group in volume_groups(report)] == [3, 2]
    seg = pydicom.dcmread(tmp_path / "scan-001" / "segmentation.dcm")
    tracked = {int(each.SegmentNumber): each.get("TrackingUID") for each in seg.SegmentSequence}
    assert tracked == {1: None, 2: uids[1], 3: uids[0], 4: None}


def test_a_lesion_of_two_classes_is_neither_segment(scan, tmp_path):
    labels = labels_of(scan)
    labels[2][labels[2] == 3] = 2
    labels[3] = np.minimum(labels[3], 1)
    report, contents = results(scan, tmp_path / "scan-001", labels)
    assert len(contents["lesions"]) == 1
    assert volume_groups(report) == []


def names_in(report):
    """The names of all measurements and evaluations."""
    groups = [*volume_groups(report), *image_groups(report)]
    return {
        item.name.meaning
        for group in groups
        for item in (*group.get_measurements(), *group.get_qualitative_evaluations())
    }


def notes_of(report):
    return [
        item
        for item in report.ContentSequence
        if item.ConceptNameCodeSequence[0].CodeMeaning == "Qualitative Evaluations"
    ]


UNCALIBRATED = "Uncalibrated output of a network"


def methods_of(report):
    """The methods of measurements that have one, by the names of the measurements."""
    groups = [*volume_groups(report), *image_groups(report)]
    return {
        each.name.meaning: each.method
        for group in groups
        for each in group.get_measurements()
        if each.method
    }


@pytest.mark.parametrize("trained_on", [NOT_STORED, OF_PHANTOMS])
def test_probabilities_are_marked_as_uncalibrated_and_sizes_are_not(scan, tmp_path, trained_on):
    report, _ = results(scan, tmp_path / "scan-001", trained_on=trained_on)
    methods = methods_of(report)
    note = " (unvalidated on real lesions)" if trained_on is OF_PHANTOMS else ""
    assert set(methods) == {
        "Certainty of Finding",
        *(f"Probability of {name}{note}" for name in LESION_TYPES.lesions),
    }
    assert {each.meaning for each in methods.values()} == {UNCALIBRATED}


def texts_in(report):
    (notes,) = notes_of(report)
    return [item.TextValue for item in notes.ContentSequence]


CUT = Caution("liver-cut", "the liver touches the first slice <&>")
FEW = Caution("series-few-slices", "3 slices")


def test_the_cautions_of_the_scan_are_comments_after_the_headline(scan, tmp_path):
    warned = replace(scan, cautions=(FEW,))
    report, contents = results(warned, tmp_path / "scan-001", cautions=(CUT,))
    assert [each["code"] for each in contents["cautions"]] == [FEW.code, CUT.code]
    summary, *comments = texts_in(report)
    assert summary == "2 findings: 2 hemangioma; largest 3.2 mm"
    assert comments[:2] == [f"Caution ({each.code}): {each.text}" for each in (FEW, CUT)]
    assert not any("Caution" in text for text in comments[2:])
    (notes,) = notes_of(report)
    names = [item.ConceptNameCodeSequence[0].CodeMeaning for item in notes.ContentSequence]
    assert names == ["Summary", *["Comment"] * len(comments)]


def test_a_report_with_other_cautions_is_another_report(scan, tmp_path):
    uids = [
        results(scan, tmp_path / f"scan-{index}", cautions=cautions)[0].SOPInstanceUID
        for index, cautions in enumerate([(), (CUT,), (FEW,), (CUT,), (CUT, FEW)])
    ]
    assert uids[1] == uids[3]
    assert len(set(uids)) == 4


def test_a_report_names_those_that_it_replaces(scan, tmp_path):
    first, _ = results(scan, tmp_path / "first")
    second, _ = results(scan, tmp_path / "second", replaces=[tmp_path / "first"])
    assert "PredecessorDocumentsSequence" not in first
    assert second.SOPInstanceUID != first.SOPInstanceUID
    (study,) = second.PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    (document,) = series.ReferencedSOPSequence
    assert (study.StudyInstanceUID, series.SeriesInstanceUID) == (
        first.StudyInstanceUID,
        first.SeriesInstanceUID,
    )
    assert document.ReferencedSOPInstanceUID == first.SOPInstanceUID
    note = "This report replaces an earlier one for part of the same series."
    assert texts_in(second) == [texts_in(first)[0], note, *texts_in(first)[1:]]
    segs = [pydicom.dcmread(tmp_path / name / "segmentation.dcm") for name in ("first", "second")]
    assert "RelatedSeriesSequence" not in segs[0]
    assert segs[1].SOPInstanceUID != segs[0].SOPInstanceUID
    (related,) = segs[1].RelatedSeriesSequence
    assert related.SeriesInstanceUID == segs[0].SeriesInstanceUID
    for earlier, later in ((first, second), segs):  # as viewers list them
        assert later.SeriesDescription == f"{earlier.SeriesDescription}; updated"
    if shutil.which("dciodvfy"):
        for name in ("report.dcm", "segmentation.dcm"):
            lines = dciodvfy(tmp_path / "second" / name)
            assert not [line for line in lines if line.startswith("Error")]


def test_without_types_lesions_are_lesions(scan, tmp_path):
    labels = np.minimum(labels_of(scan), 2).astype(np.uint8)
    of_phantoms = CascadeTrainedOn(PHANTOMS, [PHANTOMS])
    report, _ = results(scan, tmp_path / "scan-001", labels, LITS, of_phantoms)
    assert {group.finding_type for group in image_groups(report)} == {codes.SCT.Lesion}
    assert names_in(report) == {
        *("Long axis", "Volume", "Area", "X-Ray Attenuation", "Certainty of Finding")
    }
    summary, notice, caution = texts_in(report)
    assert summary == "2 lesions; largest 3.2 mm"
    assert notice == of_phantoms.notice
    assert "research use only" in notice
    assert "not a medical device" in caution
    assert {item.meaning for item in methods_of(report).values()} == {UNCALIBRATED}
    (scheme,) = report.CodingSchemeIdentificationSequence
    assert scheme.CodingSchemeDesignator == "99LIVERTF"


def test_unvalidated_types_are_marked_and_are_no_findings(scan, tmp_path):
    report, _ = results(scan, tmp_path / "scan-001", trained_on=OF_PHANTOMS)
    assert {group.finding_type for group in image_groups(report)} == {codes.SCT.Lesion}
    of_types = {name for name in names_in(report) if "type" in name or "Probability" in name}
    assert of_types == {
        "Most likely type (unvalidated on real lesions)",
        *(f"Probability of {name} (unvalidated on real lesions)" for name in LESION_TYPES.lesions),
    }
    summary, notice, _ = texts_in(report)
    assert summary.endswith("; types unvalidated on real lesions")
    assert notice.endswith("Lesion types: unvalidated on real lesions.")
    seg = pydicom.dcmread(tmp_path / "scan-001" / "segmentation.dcm")
    assert "unvalidated" in seg.SegmentSequence[2].SegmentDescription


def test_probabilities_and_most_likely_type(scan, tmp_path):
    labels = labels_of(scan)
    labels[1][labels[1] == 3] = 2  # 7 of 13 voxels of the first lesion
    lesions = lesions_of(labels, scan.hu, scan.spacing_mm, LESION_TYPES, type_threshold=0.9)
    findings = ScanFindings(scan, labels, lesions, LESION_TYPES).with_one_type_per_lesion()
    write_results(tmp_path / "scan-001", findings, MADE_BY, pictures=0)
    report = highdicom.sr.srread(tmp_path / "scan-001" / "report.dcm")
    groups = {group.tracking_identifier: group for group in volume_groups(report)}
    first = groups["lesion 1"]
    assert first.finding_type == codes.SCT.Lesion
    shares = {
        each.name.meaning: each.value
        for each in first.get_measurements()
        if each.name.meaning.startswith("Probability")
    }
    assert shares == {
        "Probability of cyst": 53.85,
        "Probability of hemangioma": 46.15,
        "Probability of metastasis": 0,
    }
    values = {each.name.meaning: each.value for each in first.get_qualitative_evaluations()}
    assert values["Most likely type"] == codes.SCT.Cyst
    assert values["Type"].meaning.casefold().startswith(INDETERMINATE)
    assert groups["lesion 2"].finding_type == codes.SCT.Hemangioma


def test_a_long_class_name_does_not_cut_the_mark(scan, tmp_path):
    own = LabelSet("own", ("background", "liver", "cyst", "f" * 90, "hcc"))
    report, _ = results(scan, tmp_path / "scan-001", label_set=own, trained_on=OF_PHANTOMS)
    (long,) = (name for name in names_in(report) if "fff" in name)
    assert len(long) == 64
    assert long.endswith("f (unvalidated on real lesions)")


def test_the_report_is_preliminary_and_lists_its_evidence(scan, tmp_path):
    report, _ = results(scan, tmp_path / "scan-001", segments="lesion")
    flags = (report.CompletionFlag, report.PreliminaryFlag, report.VerificationFlag)
    assert flags == ("COMPLETE", "PRELIMINARY", "UNVERIFIED")
    assert (report.PatientName, report.PatientID) == (CANARY, "CANARY-4711")
    seg = pydicom.dcmread(tmp_path / "scan-001" / "segmentation.dcm")
    assert report.StudyInstanceUID == seg.StudyInstanceUID
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    listed = {
        series.SeriesInstanceUID: {
            item.ReferencedSOPInstanceUID for item in series.ReferencedSOPSequence
        }
        for series in study.ReferencedSeriesSequence
    }
    assert listed[seg.SeriesInstanceUID] == {seg.SOPInstanceUID}
    assert listed[scan.source.series_uid] >= set(scan.source.instance_uids[1:])


def test_a_scan_without_lesions_has_no_report(scan, tmp_path):
    liver = (scan.hu == 40).astype(np.uint8)
    report, contents = results(scan, tmp_path / "scan-001", liver)
    assert report is None
    assert contents["not_written"]["report.dcm"]["code"] == "nothing-found"
    assert "segmentation.dcm" in contents["files"]


def test_without_a_report_the_tables_are_as_before(scan, tmp_path):
    report, contents = results(scan, tmp_path / "scan-001", sr=False)
    assert report is None
    assert contents["not_written"] == {}
    assert not any("tracking_uid" in lesion for lesion in contents["lesions"])
    header = (tmp_path / "scan-001" / "lesions.csv").read_text().splitlines()[0]
    assert header.endswith(",type_note")
    assert "tracking" not in (tmp_path / "scan-001" / "scan.html").read_text()


def test_without_highdicom_only_the_seg_is_reported(scan, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "highdicom", None)
    report, contents = results(scan, tmp_path / "scan-001")
    assert report is None
    assert {name: each["code"] for name, each in contents["not_written"].items()} == {
        "segmentation.dcm": "seg-no-writer"
    }
    assert not any("tracking_uid" in lesion for lesion in contents["lesions"])


def test_a_single_slice(tmp_path):
    write_placed_series(tmp_path / "series", *AXIAL)
    scan = read_dicom_slice(tmp_path / "series" / "1.dcm")
    labels = np.where(scan.hu == MARK_HU, 3, 0).astype(np.uint8)
    report, _ = results(scan, tmp_path / "scan-001", labels)
    (group,) = volume_groups(report)
    assert value_of(group, codes.SCT.Area)[0] == round(7 * 0.56, 3)
    assert group.get_measurements(name=codes.SCT.Volume) == []


@pytest.fixture
def reports(scan, tmp_path):
    """Paths of a report with lesions as segments, and one without, both with types."""
    options = {"trained_on": OF_PHANTOMS, "cautions": (CUT, FEW)}
    results(scan, tmp_path / "own", segments="lesion", **options)
    results(scan, tmp_path / "classes", **options)
    return [tmp_path / "own" / "report.dcm", tmp_path / "classes" / "report.dcm"]


@pytest.mark.skipif(
    shutil.which("dciodvfy") is None, reason="dciodvfy is missing (apt-get install dicom3tools)"
)
def test_dciodvfy_finds_no_error(reports, tmp_path):
    for path in (*reports, tmp_path / "own" / "segmentation.dcm"):
        assert [line for line in dciodvfy(path) if line.startswith("Error")] == []
    assert "ComprehensiveSR" in dciodvfy(reports[0])
    # It does detect errors, such as a number without a value.
    dataset = pydicom.dcmread(reports[0])
    del dataset.CompletionFlag
    dataset.save_as(tmp_path / "bad.dcm")
    assert any(line.startswith("Error") for line in dciodvfy(tmp_path / "bad.dcm"))


def dciodvfy(path):
    done = subprocess.run(["dciodvfy", path], capture_output=True, encoding="latin-1", check=False)
    return (done.stdout + done.stderr).splitlines()


needs_dcmtk = pytest.mark.skipif(
    shutil.which("dsr2html") is None, reason="DCMTK is missing (apt-get install dcmtk)"
)


@needs_dcmtk
def test_dcmtk_dumps_and_renders_the_report(reports):
    for path in reports:
        dumped = dcmtk("dsrdump", path)
        assert dumped.count('"Tracking Unique Identifier")') >= 2
        assert 'NUM:(,,"Long axis")="3.189" (mm,UCUM,"mm")' in dumped
        texts = dcmtk("dsrdump", path, "+Pl")
        for each in (CUT, FEW):
            assert f'TEXT:(,,"Comment")="Caution ({each.code}): {each.text}"' in texts
        page = dcmtk("dsr2html", path)
        for text in ("Long axis", "X-Ray Attenuation", "3.189 mm", "not a medical device"):
            assert text in page
        assert "unvalidated on real lesions" in page
        assert page.count(UNCALIBRATED) == 2 * 4  # lesions, probabilities
    assert 'IMAGE:(,,"Referenced Segment")=(SG image,,2)' in dcmtk("dsrdump", reports[0])


@pytest.mark.skipif(TID1500READER is None, reason="tid1500reader is missing (pip install dcmqi)")
def test_dcmqi_reads_the_measurements(reports, tmp_path):
    for path in reports:
        contents = json.loads((path.parent / "lesions.json").read_text())["lesions"]
        groups = read_report(path, tmp_path / "report.json")["Measurements"]
        for lesion in contents:
            values, segments = {}, set()
            for group in groups:
                if group["TrackingUniqueIdentifier"] == lesion["tracking_uid"]:
                    values |= measured(group)
                    segments.add(group.get("ReferencedSegment"))
                    assert group["FindingSite"]["CodeValue"] == "10200004"
                    algorithm = group["measurementAlgorithmIdentification"]
                    assert algorithm["AlgorithmParameters"] == [f"weights {MADE_BY.model}"]
            assert values["Long axis"] == lesion["longest_diameter_mm"]
            assert values["Volume"] == pytest.approx(lesion["volume_ml"], abs=0.001)
            assert values["X-Ray Attenuation, Mean"] == lesion["mean_hu"]
            if path.parent.name == "own":
                assert lesion["number"] + 1 in segments


def dcmtk(program, path, *options):
    """Standard output; DCMTK reports what is wrong with a document on standard error."""
    command = [program, *options, path]
    done = subprocess.run(command, capture_output=True, encoding="latin-1", check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout
