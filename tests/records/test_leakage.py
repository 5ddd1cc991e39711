"""Known leaks are detected; the search equals a brute-force comparison."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from liver_tf.records import near_duplicates
from liver_tf.records.allowed_pairs import load_allowed
from liver_tf.records.folds import Split
from liver_tf.records.leakage import (
    HashedCase,
    SlicePair,
    SplitPart,
    borders_of,
    find_leaks,
    key_cautions,
    part_of,
    parts_of_split,
    refuse_leaks,
)
from liver_tf.records.slice_hash import VIEWS, hash_slice, parse_hashes
from liver_tf.records.training_data_file import load_training_data, save_training_data
from liver_tf.refusals import Refusal
from tests.builders import tiny_records

KEY, OTHER_KEY = "0" * 16, "1" * 16


def make_image(seed: int, side: int = 128) -> np.ndarray:
    """Blobs of many sizes, int16 in the window."""
    generator = np.random.default_rng(seed)
    coarse = generator.normal(40, 120, (16, 16))
    image = np.kron(coarse, np.ones((side // 16, side // 16))) + generator.normal(
        0, 5, (side, side)
    )
    return np.clip(np.rint(image), -160, 240).astype(np.int16)


def case(name, *images, patient=None, group=None, first=0):
    texts = tuple(hash_slice(image, index) for index, image in enumerate(images, first))
    return HashedCase(f"c-{name}", patient or f"p-{name}", group or patient or f"p-{name}", texts)


def part(name, *cases, key=KEY):
    return SplitPart(name, key, cases)


def leaks_of(*parts, allowed=()):
    return [(leak.kind, leak.left, leak.right) for leak in find_leaks(borders_of(parts), allowed)]


RE_EXPORTS = {
    "noise": lambda x: np.clip(x + np.random.default_rng(9).integers(-2, 3, x.shape), -160, 240),
    "halved": lambda x: np.rint(x.reshape(64, 2, 64, 2).mean((1, 3))),
    "flipped": lambda x: x[:, ::-1],
    "upside down": lambda x: x[::-1],
    "turned": lambda x: x[::-1, ::-1],
}


@pytest.mark.parametrize("change", RE_EXPORTS)
def test_a_re_exported_slice_is_a_near_duplicate(change):
    copy = RE_EXPORTS[change](make_image(1)).astype(np.int16)
    training = part("training", case("a", make_image(0), make_image(1)), case("b", make_image(2)))
    test = part("test", case("c", make_image(3), copy, first=5))
    (leak,) = find_leaks([(training, test)])
    assert (leak.kind, leak.left, leak.right) == ("near-duplicate", "c-a", "c-c")
    assert (leak.left_part, leak.right_part) == ("training", "test")
    (pair,) = leak.slices
    assert (pair.left, pair.right) == (1, 6)
    views = dict(zip(("flipped", "upside down", "turned"), list(VIEWS)[1:], strict=True))
    assert pair.view == views.get(change, "upright")
    with pytest.raises(
        Refusal, match=r"\[leak-near-duplicate\] .* 1 x near-duplicate .*c-a \(trai"
    ):
        refuse_leaks([leak], None)


def test_an_identical_slice_is_reported_without_its_neighbours():
    noisy = RE_EXPORTS["noise"](make_image(1)).astype(np.int16)
    training = part("training", case("a", make_image(0), make_image(1)))
    test = part("test", case("b", noisy, make_image(1)))
    (leak,) = find_leaks([(training, test)])
    assert leak.kind == "identical-slice"
    assert leak.slices == (SlicePair(1, 1, 0, "upright"),)


def test_different_patients_are_not_a_leak():
    parts = [
        part(f"{n}", *(case(f"{n}{m}", make_image(10 * n + m)) for m in range(5))) for n in (1, 2)
    ]
    assert leaks_of(*parts) == []
    refuse_leaks([], None)


def test_slices_of_one_patient_are_not_compared():
    both = part(
        "one", case("a", make_image(0), make_image(0)), case("b", make_image(0), patient="p-a")
    )
    assert find_leaks([(both, both)]) == []
    third = case("c", make_image(0), group="g")
    widened = part("one", *both.cases, third)
    assert [(leak.left, leak.right) for leak in find_leaks([(widened, widened)])] == [
        ("c-a", "c-c"),
        ("c-b", "c-c"),
    ]


@pytest.mark.parametrize("shared", [{"patient": "p-x"}, {"group": "3D-IRCADb"}])
def test_a_shared_patient_or_group_is_a_leak(shared):
    training = part("training", case("a", make_image(0), **shared), case("b", make_image(1)))
    test = part("test", case("c", make_image(2), **shared))
    assert leaks_of(training, test) == [("shared-patient", "c-a", "c-c")]
    # It cannot be allowed, and its slices are not reported in addition.
    same = part("test", case("c", make_image(0), **shared))
    allowed = {frozenset(("c-a", "c-c"))}
    assert leaks_of(training, same, allowed=allowed) == [("shared-patient", "c-a", "c-c")]
    with pytest.raises(Refusal, match=r"\[leak-shared-patient\].*cannot be allowed"):
        refuse_leaks(find_leaks([(training, same)], allowed), None)


def test_a_patient_in_two_sets_is_detected_only_with_the_same_key():
    image = make_image(0)
    before = part("before", case("a", image, patient="p-x"))
    same = part("test", case("b", image, patient="p-x"))
    other = part("test", case("b", image, patient="p-y"), key=OTHER_KEY)
    assert leaks_of(before, same) == [("shared-patient", "c-a", "c-b")]
    assert leaks_of(before, other) == [("identical-slice", "c-a", "c-b")]
    assert key_cautions([(before, same)]) == []
    (caution,) = key_cautions([(before, other)])
    assert caution.startswith(
        "patients of before and test cannot be compared, because their site keys differ"
    )


def test_nearly_empty_slices_are_exempt():
    air = np.full((128, 128), -160, np.int16)
    table, tilted = air.copy(), air.copy()
    table[120, 30:90] = 20
    tilted[121, 30:90] = 20
    training = part("training", case("a", air, table))
    assert leaks_of(training, part("test", case("b", air, tilted))) == []
    assert leaks_of(training, part("test", case("b", air, table))) == [
        ("identical-slice", "c-a", "c-b")
    ]


def test_a_pair_can_be_allowed(tmp_path):
    training = part("training", case("a", make_image(0)), case("b", make_image(1)))
    test = part("test", case("c", make_image(0)), case("d", make_image(1)))
    assert len(leaks_of(training, test)) == 2
    path = tmp_path / "pairs.csv"
    path.write_text("\ufeff# seen by two readers\n\nc-c , c-a  # a phantom for calibration\n")
    allowed = load_allowed(path, ["c-a", "c-b", "c-c", "c-d"])
    assert allowed == {frozenset(("c-a", "c-c"))}
    assert leaks_of(training, test, allowed=allowed) == [("identical-slice", "c-b", "c-d")]
    assert load_allowed(None, []) == frozenset()


@pytest.mark.parametrize(
    ("text", "code", "found"),
    [
        ("c-a,c-b\nc-a,c-x\n", "allow-unknown-case", "another in line 2"),
        ("c-a c-b\n", "allow-line", "something else in line 1"),
        ("\nc-a,c-b,c-c\n", "allow-line", "something else in line 2"),
        ("c-a,\n", "allow-line", "something else in line 1"),
        ("c-a,c-a\n", "allow-line", "something else in line 1"),
    ],
)
def test_an_invalid_list_of_pairs_is_refused(tmp_path, text, code, found):
    path = tmp_path / "pairs.csv"
    path.write_text(text)
    with pytest.raises(Refusal, match=rf"\[{code}\] .*found {found}"):
        load_allowed(path, ["c-a", "c-b", "c-c"])
    with pytest.raises(Refusal, match=r"\[allow-unreadable\]"):
        load_allowed(tmp_path / "nowhere", [])


def test_a_refusal_counts_a_pair_once_and_shows_the_first():
    folds = [
        (
            part(f"fold {n} training", *(case(f"a{m}", make_image(m)) for m in range(7))),
            part(f"fold {n} test", *(case(f"b{m}", make_image(m)) for m in range(7))),
        )
        for n in (0, 1)
    ]
    with pytest.raises(Refusal) as caught:
        refuse_leaks(find_leaks(folds), None, "Nothing was written.")
    text = caught.value.text()
    assert "found 7 x identical-slice (pairs of cases): c-a0 (fold 0 training) and c-b0 (" in text
    assert "; and 2 more." in text
    assert "fold 1" not in text
    assert text.endswith("Nothing was written.")


def brute_force_pairs(left, right, max_distance):
    """Pairs by comparing all hashes as integers."""
    pairs = set()
    for (i, a), (j, b) in itertools.product(enumerate(left), enumerate(right)):
        if "-" in (a.split(":")[2], b.split(":")[2]):
            continue
        difference = int(a.split(":")[2], 16) ^ int(b.split(":")[2], 16)
        distances = [
            (
                difference ^ int("".join(("f" if turn else "0") * 16 for turn in turned), 16)
            ).bit_count()
            for turned in VIEWS.values()
        ]
        if min(distances) <= max_distance:
            pairs.add((i, j, min(distances), distances.index(min(distances))))
    return pairs


def random_hashes(generator, count, near=()):
    """Random hash texts; some differ from ``near`` by a few bits, some have no bits."""
    texts = []
    for index in range(count):
        bits = int.from_bytes(generator.bytes(32))
        if near and index % 3 == 0:
            bits = int(near[index % len(near)].split(":")[2], 16)
            for position in generator.integers(0, 256, generator.integers(0, 40)):
                bits ^= 1 << int(position)
            bits ^= int(("0" * 32 + "f" * 32, "0" * 64)[index % 2], 16)
        texts.append(f"{index}:-:{bits:064x}" if index % 7 != 1 else f"{index}:-:-")
    return texts


@pytest.mark.parametrize("block", [1, 50, 1 << 16])
@pytest.mark.parametrize("max_distance", [24, 110])
def test_pairs_equal_those_of_a_brute_force_search(monkeypatch, block, max_distance):
    monkeypatch.setattr(near_duplicates, "_BLOCK", block)
    generator = np.random.default_rng(0)
    left = [text for text in random_hashes(generator, 30) if text[-1] != "-"]
    right = random_hashes(generator, 41, near=left)
    expected = brute_force_pairs(left, right, max_distance)
    assert len(expected) > 5

    def near_pairs(*hashes):
        blocks = near_duplicates.near_pairs(*hashes, max_distance)
        return [tuple(map(int, pair)) for columns in blocks for pair in zip(*columns, strict=True)]

    assert set(near_pairs(parse_hashes(left), parse_hashes(right))) == expected
    texts = [*left, *right]
    itself = parse_hashes(texts)
    pairs = near_pairs(itself, itself)
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == {p for p in brute_force_pairs(texts, texts, max_distance) if p[0] < p[1]}


def test_an_inverted_hash_is_far():
    # 256 differing bits must not overflow to 0.
    left, right = (parse_hashes([f"0:-:{digit * 64}"]) for digit in "0f")
    assert list(near_duplicates.near_pairs(left, right, 24)) == []


def test_parts_of_a_record_set(tmp_path):
    manifest = tiny_records.write_set(tmp_path, patients=4)
    manifest = replace(manifest, made_by={"site_key": KEY})
    entire_set = part_of("all", manifest)
    assert [item.case for item in entire_set.cases] == ["case0", "case1", "case2", "case3"]
    assert [len(item.hashes) for item in entire_set.cases] == [2, 2, 2, 2]
    split = Split(("case0", "case3"), ("case1",), ("case2",))
    training, validation, test = parts_of_split("fold 2", manifest, split)
    assert [item.name for item in (training, validation, test)] == [
        "fold 2 training",
        "fold 2 validation",
        "fold 2 test",
    ]
    assert [item.patient for item in training.cases] == ["pat0", "pat3"]
    assert validation.site_key == KEY
    assert leaks_of(training, validation, test) == []


def test_training_data_round_trip_through_their_file(tmp_path):
    parts = (part("liver", case("a", make_image(0))), part("lesion", key=OTHER_KEY))
    path = tmp_path / "seen.json"
    with pytest.raises(Refusal, match=r"\[no-seen\] .*--accept_unknown_training"):
        load_training_data(path)
    save_training_data(path, parts)
    assert load_training_data(path) == parts
    text = path.read_text()
    for damage in (
        text[:-20],
        "{}x",
        "[1]",
        "[]",
        '[{"name": "liver", "site_key": "", "cases": []}]',
        "3",
        text.replace('"0:', '"'),
        text.replace("group", ""),
    ):
        path.write_text(damage)
        with pytest.raises(Refusal, match=r"\[seen-damaged\]"):
            load_training_data(path)
