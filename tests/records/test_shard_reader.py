"""Damaged shards are refused, also where TensorFlow would read them silently."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from liver_tf.labels import LITS
from liver_tf.records.record_schema import decode, encode
from liver_tf.records.shard_reader import check_shards, read_case
from liver_tf.records.shard_writer import write_shard
from liver_tf.refusals import Refusal
from tests.builders import tiny_records


@pytest.fixture
def shard(tmp_path):
    """Folder, manifest, and path of the first of two shards with 3 records each."""
    manifest = tiny_records.write_set(tmp_path, patients=2, slices=3, label_set=LITS)
    return tmp_path, manifest, tmp_path / manifest.cases[0].shard


def record_borders(data):
    """Offsets at which a TFRecord file's records end: length, its CRC, the bytes, their CRC."""
    ends, place = [], 0
    while place < len(data):
        place += 8 + 4 + int.from_bytes(data[place : place + 8], "little") + 4
        ends.append(place)
    return ends


def refused(code, call):
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
    ends = [0, *record_borders(data)]
    assert ends[-1] == len(data)
    assert len(ends) == 4
    path.write_bytes(data[: ends[kept]])
    # This is the trap: TensorFlow takes it for a shorter data set.
    assert sum(1 for _ in tf.data.TFRecordDataset(str(path))) == kept
    text = refused("shard-size", lambda: check_shards(folder, manifest))
    assert f"expected {len(data)} bytes with 3 records; found {ends[kept]} bytes" in text
    text = refused("shard-count", lambda: list(read_case(folder, manifest.cases[0])))
    assert f"expected 3 records; found {kept}" in text


def test_a_shard_truncated_inside_a_record_is_refused(shard):
    folder, manifest, path = shard
    path.write_bytes(path.read_bytes()[:-7])
    refused("shard-size", lambda: check_shards(folder, manifest))
    text = refused("shard-damaged", lambda: list(read_case(folder, manifest.cases[0])))
    assert "a truncated last record" in text


def test_a_missing_shard_is_refused(shard):
    folder, manifest, path = shard
    path.unlink()
    text = refused("shard-missing", lambda: check_shards(folder, manifest))
    assert "the shard of case case0" in text
    refused("shard-damaged", lambda: list(read_case(folder, manifest.cases[0])))


def test_a_flipped_bit_anywhere_is_refused(shard):
    folder, manifest, path = shard
    data = path.read_bytes()
    for place in np.random.default_rng(0).integers(0, len(data), 12):
        flipped = bytearray(data)
        flipped[place] ^= 1 << int(place) % 8
        path.write_bytes(flipped)
        refused("shard-sha256", lambda: check_shards(folder, manifest))
        refused("shard-damaged", lambda: list(read_case(folder, manifest.cases[0])))


def test_a_shard_of_other_records_of_the_same_size_is_refused(shard):
    folder, manifest, path = shard
    records = list(read_case(folder, manifest.cases[0]))
    size = path.stat().st_size
    write_shard(path, [records[1], records[0], records[2]])
    assert path.stat().st_size == size
    refused("shard-sha256", lambda: check_shards(folder, manifest))


def test_only_the_requested_cases_are_checked(shard):
    folder, manifest, path = shard
    path.unlink()
    check_shards(folder, manifest, ["case1"])
    refused("shard-missing", lambda: check_shards(folder, manifest, ["case0"]))


def test_a_writer_that_fails_leaves_no_shard(tmp_path):
    record = dataclasses.replace(next(iter(read_any(tmp_path / "a"))), case="c")

    def failing():
        yield record
        raise Refusal("odd", None, expected="a", found="b", remedy="c")

    with pytest.raises(Refusal, match=r"\[odd\]"):
        write_shard(tmp_path / "b" / "c.tfrecord", failing())
    assert list((tmp_path / "b").iterdir()) == []


def test_shard_info_describes_the_file_on_disk(tmp_path):
    records = list(read_any(tmp_path / "a"))
    info = write_shard(tmp_path / "again.tfrecord", records)
    data = (tmp_path / "again.tfrecord").read_bytes()
    assert info.records == len(records) == 3
    # 16 bytes of lengths and checksums around each record.
    assert info.bytes == len(data) == sum(len(whole(record)) + 16 for record in records)


def whole(record):
    return b"".join(map(bytes, encode(record)))


def read_any(folder):
    folder.mkdir(parents=True)
    manifest = tiny_records.write_set(folder, patients=1, slices=3, label_set=LITS)
    return read_case(folder, manifest.cases[0])
