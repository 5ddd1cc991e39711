"""Damaged shards are refused, even if TensorFlow reads them without an error."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from liver_tf.labels import LITS
from liver_tf.records import shard_reader
from liver_tf.records.pixel_encoding import ZLIB
from liver_tf.records.record_schema import decode, encode
from liver_tf.records.shard_reader import check_shards, read_case
from liver_tf.records.shard_writer import write_shard
from liver_tf.records.tfrecord import RecordWriter
from liver_tf.refusals import Refusal
from tests.builders import tiny_records


@pytest.fixture
def shard(tmp_path):
    """Folder, manifest, and path of the first of two shards with 3 records each."""
    manifest = tiny_records.write_set(tmp_path, patients=2, slices=3, label_set=LITS)
    return tmp_path, manifest, tmp_path / manifest.cases[0].shard


def record_ends(data):
    """End offsets of the records of a TFRecord file: length, its CRC, the bytes, their CRC."""
    ends, offset = [], 0
    while offset < len(data):
        offset += 8 + 4 + int.from_bytes(data[offset : offset + 8], "little") + 4
        ends.append(offset)
    return ends


def with_first_shard(folder, manifest, record):
    """Write a first shard of one record; returns the manifest with its size and hash."""
    with open(folder / manifest.cases[0].shard, "wb") as file:
        writer = RecordWriter(file)
        writer.write([record])
    facts = {"records": 1, "bytes": writer.bytes, "sha256": writer.sha256}
    first = dataclasses.replace(manifest.cases[0], **facts)
    return dataclasses.replace(manifest, cases=(first, *manifest.cases[1:]))


def assert_refused(code, call):
    with pytest.raises(Refusal) as caught:
        call()
    assert caught.value.code == code
    return caught.value.text()


def test_intact_shards_pass_and_are_read_in_order(shard):
    folder, manifest, path = shard
    check_shards(folder, manifest)
    records = list(read_case(folder, manifest.cases[0]))
    assert [record.slice_index for record in records] == [0, 1, 2]
    raw = [decode(r) for r in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()]
    np.testing.assert_array_equal(records[1].image, raw[1].image)


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_shard_truncated_between_records_is_refused(shard, kept):
    folder, manifest, path = shard
    data = path.read_bytes()
    ends = [0, *record_ends(data)]
    assert ends[-1] == len(data)
    assert len(ends) == 4
    path.write_bytes(data[: ends[kept]])
    # TensorFlow reads it as a shorter data set, without an error.
    assert sum(1 for _ in tf.data.TFRecordDataset(str(path))) == kept
    text = assert_refused("shard-size", lambda: check_shards(folder, manifest))
    assert f"expected {len(data)} bytes with 3 records; found {ends[kept]} bytes" in text
    text = assert_refused("shard-count", lambda: list(read_case(folder, manifest.cases[0])))
    assert f"expected 3 records; found {kept}" in text


def test_a_shard_truncated_inside_a_record_is_refused(shard):
    folder, manifest, path = shard
    path.write_bytes(path.read_bytes()[:-7])
    assert_refused("shard-size", lambda: check_shards(folder, manifest))
    text = assert_refused("shard-damaged", lambda: list(read_case(folder, manifest.cases[0])))
    assert "a truncated last record" in text


def test_a_record_that_inflates_beyond_its_pixels_is_not_left_to_tensorflow(shard, monkeypatch):
    folder, manifest, _path = shard
    record = next(read_case(folder, manifest.cases[0]))
    monkeypatch.setattr(shard_reader, "_SAFE_RECORD", 1000)
    image, labels = np.zeros((2000, 2000), np.int16), np.zeros((2000, 2000), np.uint8)
    large = dataclasses.replace(record, image=image, labels=labels)
    data = b"".join(map(bytes, encode(large, ZLIB)))
    check_shards(folder, with_first_shard(folder, manifest, data))
    size = b"\xd0\x0f\xd0\x0f"  # twice 2000, as protobuf stores it
    assert data.count(size) == 1
    smaller = data.replace(size, b"\xd0\x0e\xd0\x0f")
    manifest = with_first_shard(folder, manifest, smaller)
    text = assert_refused("shard-damaged", lambda: check_shards(folder, manifest))
    assert "more or fewer than (1872, 2000)" in text


def test_a_missing_shard_is_refused(shard):
    folder, manifest, path = shard
    path.unlink()
    text = assert_refused("shard-missing", lambda: check_shards(folder, manifest))
    assert "the shard of case case0" in text
    assert_refused("shard-damaged", lambda: list(read_case(folder, manifest.cases[0])))


def test_a_flipped_bit_anywhere_is_refused(shard):
    folder, manifest, path = shard
    data = path.read_bytes()
    for position in np.random.default_rng(0).integers(0, len(data), 12):
        flipped = bytearray(data)
        flipped[position] ^= 1 << int(position) % 8
        path.write_bytes(flipped)
        assert_refused("shard-sha256", lambda: check_shards(folder, manifest))
        assert_refused("shard-damaged", lambda: list(read_case(folder, manifest.cases[0])))


def test_a_shard_of_other_records_of_the_same_size_is_refused(shard):
    folder, manifest, path = shard
    records = list(read_case(folder, manifest.cases[0]))
    size = path.stat().st_size
    write_shard(path, [records[1], records[0], records[2]])
    assert path.stat().st_size == size
    assert_refused("shard-sha256", lambda: check_shards(folder, manifest))


def test_only_the_requested_cases_are_checked(shard):
    folder, manifest, path = shard
    path.unlink()
    check_shards(folder, manifest, ["case1"])
    assert_refused("shard-missing", lambda: check_shards(folder, manifest, ["case0"]))


def test_a_writer_that_fails_leaves_no_shard(tmp_path):
    record = dataclasses.replace(next(iter(write_and_read_records(tmp_path / "a"))), case="c")

    def failing():
        yield record
        raise Refusal("test-code", None, expected="a", found="b", remedy="c")

    with pytest.raises(Refusal, match=r"\[test-code\]"):
        write_shard(tmp_path / "b" / "c.tfrecord", failing())
    assert list((tmp_path / "b").iterdir()) == []


def test_shard_info_describes_the_file_on_disk(tmp_path):
    records = list(write_and_read_records(tmp_path / "a"))
    info = write_shard(tmp_path / "again.tfrecord", records)
    data = (tmp_path / "again.tfrecord").read_bytes()
    assert info.records == len(records) == 3
    # 16 bytes of lengths and checksums around each record.
    assert info.bytes == len(data) == sum(len(serialise(record)) + 16 for record in records)


def serialise(record):
    return b"".join(map(bytes, encode(record)))


def write_and_read_records(folder):
    folder.mkdir(parents=True)
    manifest = tiny_records.write_set(folder, patients=1, slices=3, label_set=LITS)
    return read_case(folder, manifest.cases[0])
