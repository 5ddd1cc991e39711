"""TFRecord files equal those of TensorFlow; damage is detected."""

import hashlib

import numpy as np
import pytest
import tensorflow as tf

from liver_tf.records.tfrecord import DamagedRecords, RecordWriter, read_records, record_offsets

RECORDS = [b"", b"a", bytes(range(256)) * 40, np.random.default_rng(0).bytes(5000)]


def write(path, records):
    with open(path, "wb") as file:
        writer = RecordWriter(file)
        for record in records:
            middle = len(record) // 2
            pieces = [record[:middle], np.frombuffer(record[middle:], np.uint8)]
            writer.write(pieces)
    return writer


def test_tensorflow_writes_the_same_bytes(tmp_path):
    writer = write(tmp_path / "ours", RECORDS)
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as theirs:
        for record in RECORDS:
            theirs.write(record)
    data = (tmp_path / "ours").read_bytes()
    assert data == (tmp_path / "theirs").read_bytes()
    assert (writer.records, writer.bytes) == (4, len(data))
    assert writer.sha256 == hashlib.sha256(data).hexdigest()


def test_both_readers_read_the_same_records(tmp_path):
    write(tmp_path / "ours", RECORDS)
    assert list(read_records(tmp_path / "ours")) == RECORDS
    dataset = tf.data.TFRecordDataset(str(tmp_path / "ours"))
    assert list(dataset.as_numpy_iterator()) == RECORDS


def test_an_empty_file_has_no_records(tmp_path):
    (tmp_path / "empty").touch()
    assert list(read_records(tmp_path / "empty")) == []


def test_every_changed_byte_is_detected(tmp_path):
    write(tmp_path / "file", [b"abc", b"defgh"])
    data = (tmp_path / "file").read_bytes()
    for place in range(len(data)):
        mutant = bytearray(data)
        mutant[place] ^= 0x10
        (tmp_path / "mutant").write_bytes(mutant)
        with pytest.raises(DamagedRecords):
            list(read_records(tmp_path / "mutant"))


def test_a_truncated_record_is_detected(tmp_path):
    write(tmp_path / "file", [b"abc", b"defgh"])
    data = (tmp_path / "file").read_bytes()
    first_record_end = 16 + 3
    for length in range(1, len(data)):
        (tmp_path / "cut").write_bytes(data[:length])
        if length == first_record_end:  # only the manifest reveals this truncation
            assert list(read_records(tmp_path / "cut")) == [b"abc"]
            continue
        with pytest.raises(DamagedRecords):
            list(read_records(tmp_path / "cut"))


def test_offsets_are_the_starts_of_the_records(tmp_path):
    write(tmp_path / "file", RECORDS)
    expected = np.cumsum([0, *(len(record) + 16 for record in RECORDS)])[:-1]
    offsets = record_offsets(tmp_path / "file")
    assert offsets.dtype == np.int64
    np.testing.assert_array_equal(offsets, expected)
    (tmp_path / "empty").touch()
    assert len(record_offsets(tmp_path / "empty")) == 0


@pytest.mark.parametrize("length", [5, 14, 18, 19 + 11, 19 + 20])
def test_offsets_of_a_truncated_file_or_damaged_length_raise(tmp_path, length):
    write(tmp_path / "file", [b"abc", b"defgh"])
    data = bytearray((tmp_path / "file").read_bytes())
    (tmp_path / "cut").write_bytes(data[:length])
    with pytest.raises(DamagedRecords, match="truncated"):
        record_offsets(tmp_path / "cut")
    data[19] ^= 1
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(DamagedRecords, match="truncated record length"):
        record_offsets(tmp_path / "file")
