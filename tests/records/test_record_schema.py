"""Records round-trip; both readers agree; other schema versions are refused."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from liver_tf.records import record_schema
from liver_tf.records.graph_decoder import record_parser
from liver_tf.records.pixel_encoding import ENCODINGS, PNG, RAW, ZLIB
from liver_tf.records.record_schema import Box, SliceRecord, decode, example_number


def encode(record, encoding="raw"):
    return b"".join(map(bytes, record_schema.encode(record, encoding)))


def make_record(dtype=np.int16, spacing_mm=(0.5, 0.75), **more):
    generator = np.random.default_rng(3)
    image = generator.integers(-160, 241, (5, 7)).astype(dtype)
    if dtype == np.float32:
        image += np.float32(0.1)
    labels = generator.integers(0, 5, (5, 7)).astype(np.uint8)
    return SliceRecord(image, labels, spacing_mm, "c-1", "p-1", 12, "cyst", **more)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@pytest.mark.parametrize("spacing_mm", [(0.5, 0.75), None])
@pytest.mark.parametrize("roi", [False, True])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_records_round_trip(dtype, spacing_mm, roi, encoding):
    more = {"box": Box(-3, 4, 20), "source_size": (512, 400)} if roi else {}
    record = make_record(dtype, spacing_mm, **more)
    back = decode(encode(record, encoding))
    assert back.image.dtype == dtype
    np.testing.assert_array_equal(back.image, record.image)
    assert back.labels.dtype == np.uint8
    np.testing.assert_array_equal(back.labels, record.labels)
    assert back.spacing_mm == spacing_mm
    for name in ("case", "patient", "slice_index", "diagnosis", "box", "source_size"):
        assert getattr(back, name) == getattr(record, name)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_non_contiguous_views_keep_their_pixels(dtype, encoding):
    record = make_record(dtype)
    transposed = SliceRecord(record.image.T, record.labels.T, None, "c", "p", 0)
    np.testing.assert_array_equal(decode(encode(transposed, encoding)).image, record.image.T)
    np.testing.assert_array_equal(decode(encode(transposed, encoding)).labels, record.labels.T)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_graph_and_plain_reader_agree(dtype, encoding):
    serialised = encode(make_record(dtype), encoding)
    plain = decode(serialised)
    parse = record_parser(encoding)
    in_pipeline = next(iter(tf.data.Dataset.from_tensors(serialised).map(parse)))
    eager, traced = parse(tf.constant(serialised)), tf.function(parse)(tf.constant(serialised))
    for parsed in (eager, traced, in_pipeline):
        assert parsed["image"].dtype == tf.float32
        np.testing.assert_array_equal(parsed["image"], plain.image.astype(np.float32))
        assert parsed["labels"].dtype == tf.uint8
        np.testing.assert_array_equal(parsed["labels"], plain.labels)
        assert int(parsed["example"]) == example_number("c-1", 12)


def test_extreme_int16_values_survive_every_encoding():
    image = np.array([[-32768, 32767], [-1, 0]], np.int16)
    record = SliceRecord(image, np.zeros((2, 2), np.uint8), None, "c", "p", 0)
    for encoding in ENCODINGS:
        serialised = encode(record, encoding)
        np.testing.assert_array_equal(decode(serialised).image, image)
        parsed = record_parser(encoding)(tf.constant(serialised))
        np.testing.assert_array_equal(parsed["image"], image)


@pytest.mark.parametrize("more", [{}, {"box": Box(-3, 4, 300), "source_size": (512, 400)}])
def test_tensorflow_reads_and_writes_the_same_examples(more):
    record = make_record(spacing_mm=None, **more)
    pixels = {"image": record.image.tobytes(), "labels": record.labels.tobytes()}
    texts = {"image/dtype": "int16", "encoding": "raw", "case": "c-1", "patient": "p-1"}
    pixels |= {name: text.encode() for name, text in (texts | {"diagnosis": "cyst"}).items()}
    numbers = {"schema": [2], "size": [5, 7], "slice": [12]}
    numbers["example"] = [example_number("c-1", 12)]
    if more:
        numbers |= {"box": [-3, 4, 300], "source_size": [512, 400]}
    example = tf.train.Example()
    for name, value in pixels.items():
        example.features.feature[name].bytes_list.value.append(value)
    for name, values in numbers.items():
        example.features.feature[name].int64_list.value.extend(values)
    example.features.feature["spacing_mm"].float_list.value.extend([np.nan, np.nan])
    ours, theirs = encode(record), example.SerializeToString()
    assert tf.train.Example.FromString(ours).SerializeToString(
        deterministic=True
    ) == example.SerializeToString(deterministic=True)
    assert len(ours) == len(theirs)  # no additional bytes
    back = decode(theirs)
    np.testing.assert_array_equal(back.image, record.image)
    assert (back.box, back.source_size) == (record.box, record.source_size)


def test_damaged_bytes_raise_an_expected_error():
    serialised = encode(make_record())
    random = np.random.default_rng(0)
    outcomes = set()
    for _ in range(400):
        mutant = bytearray(serialised)
        for place in random.integers(len(mutant), size=2):
            mutant[place] ^= int(random.integers(1, 256))
        try:
            decode(bytes(mutant[: random.integers(1, len(mutant) + 1)]))
        except (ValueError, KeyError, TypeError):
            outcomes.add("refused")
        else:
            outcomes.add("read")
    assert "refused" in outcomes


def test_another_schema_version_is_refused_by_both_readers(monkeypatch):
    monkeypatch.setattr(record_schema, "SCHEMA_VERSION", 99)
    serialised = encode(make_record())
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"record schema: expected version 2, found \[99\]"):
        decode(serialised)
    with pytest.raises(tf.errors.InvalidArgumentError, match="record schema version"):
        record_parser(RAW)(tf.constant(serialised))
    with pytest.raises(tf.errors.InvalidArgumentError, match="record schema version"):
        tf.function(record_parser(RAW))(tf.constant(serialised))


MISFITS = [(np.int16, *pair) for pair in itertools.permutations(ENCODINGS, 2)]
# PNG cannot store fractions: sets in PNG encoding store them with zlib.
MISFITS += [(np.float32, RAW, ZLIB), (np.float32, RAW, PNG), (np.float32, ZLIB, RAW)]


@pytest.mark.parametrize(("dtype", "stored", "listed"), MISFITS)
def test_a_record_with_another_encoding_than_the_manifest_is_refused(dtype, stored, listed):
    serialised = encode(make_record(dtype), stored)
    message = f"pixel encoding: expected .*{listed} as in the manifest; found"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        tf.function(record_parser(listed))(tf.constant(serialised))
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        record_parser(listed)(tf.constant(serialised))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_pixels_of_an_unknown_type_are_refused(encoding):
    example = tf.train.Example.FromString(encode(make_record(), encoding))
    example.features.feature["image/dtype"].bytes_list.value[:] = [b"uint16"]
    with pytest.raises(tf.errors.InvalidArgumentError, match="pixel type"):
        tf.function(record_parser(encoding))(tf.constant(example.SerializeToString()))


def test_a_record_without_a_version_is_refused():
    example = tf.train.Example.FromString(encode(make_record()))
    del example.features.feature["schema"]
    with pytest.raises(ValueError, match=r"expected version 2, found \[\]"):
        decode(example.SerializeToString())
    with pytest.raises(tf.errors.InvalidArgumentError, match="schema"):
        record_parser(RAW)(tf.constant(example.SerializeToString()))


def test_pixels_that_disagree_with_the_size_are_refused():
    example = tf.train.Example.FromString(encode(make_record()))
    example.features.feature["size"].int64_list.value[:] = [5, 8]
    with pytest.raises(ValueError, match="reshape"):
        decode(example.SerializeToString())
    with pytest.raises(tf.errors.InvalidArgumentError):
        record_parser(RAW)(tf.constant(example.SerializeToString()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": np.zeros((5, 7), np.int32)}, r"image: expected int16 or float32 .* int32 \(5"),
        ({"image": np.zeros((5, 7, 1), np.int16)}, r"image: expected .* int16 \(5, 7, 1\)"),
        ({"labels": np.zeros((5, 7), np.int64)}, r"labels: expected uint8 \(5, 7\), found int64"),
        ({"labels": np.zeros((7, 5), np.uint8)}, r"labels: expected uint8 \(5, 7\), .*\(7, 5\)"),
    ],
)
def test_pixels_outside_the_schema_are_refused(change, message):
    record = make_record()
    values = {"image": record.image, "labels": record.labels, **change}
    with pytest.raises(ValueError, match=message):
        encode(SliceRecord(values["image"], values["labels"], None, "c", "p", 0))


def test_example_numbers_are_distinct_and_stable():
    numbers = {example_number(f"c{case}", index) for case in range(40) for index in range(40)}
    assert len(numbers) == 1600
    assert all(0 <= number < 2**62 for number in numbers)
    # Compare with the first bytes of sha256("c-1/12") by sha256sum of coreutils.
    import subprocess

    hexadecimal = subprocess.run(
        ["sha256sum"], input=b"c-1/12", capture_output=True, check=True
    ).stdout[:16]
    first = int.from_bytes(bytes.fromhex(hexadecimal.decode()), "little")
    assert example_number("c-1", 12) == first // 4
