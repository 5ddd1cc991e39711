"""Batches are reproducible, differ between epochs and contain each slice once."""

import numpy as np
import pytest
import tensorflow as tf

from liver_tf.labels import LESION_TYPES, LITS
from liver_tf.pipeline.augmentation import augment
from liver_tf.pipeline.augmentation.ranges import Ranges
from liver_tf.pipeline.batches import BatchSource
from liver_tf.pipeline.sampling import Sampling
from liver_tf.pipeline.slices import Slices, network_view
from liver_tf.records.shard_reader import read_case
from liver_tf.refusals import Refusal
from tests.builders import tiny_records

TINY_CACHE_MB = 0.02  # 4 slices of 32 x 32: larger sets are read slice by slice


def make_slices(record_set, **more):
    folder, manifest = record_set
    arguments = {
        "cases": tuple(entry.case for entry in manifest.cases),
        "image_size": 32,
        "label_map": (0, 1, 2, 3, 4),
        **more,
    }
    return Slices(folder, manifest, **arguments)


def make_source(record_set, *, batch_size=3, seed=0, ranges=None, slices=None, **more):
    return BatchSource(
        slices or make_slices(record_set),
        batch_size=batch_size,
        seed=seed,
        ranges=ranges,
        **more,
    )


def collect(dataset):
    """All slices of an epoch: images and labels, both [slices, size, size]."""
    batches = [(images.numpy(), labels.numpy()) for images, labels, _ in dataset]
    return tuple(np.concatenate(part) for part in zip(*batches, strict=True))


def all_images(record_set):
    folder, manifest = record_set
    records = [record for entry in manifest.cases for record in read_case(folder, entry)]
    return np.stack([record.image for record in records]).astype(np.float32)


def as_set(images):
    return {image.tobytes() for image in images}


@pytest.mark.parametrize("cache_mb", [64, TINY_CACHE_MB])
def test_every_slice_is_shown_once_per_epoch(record_set, cache_mb):
    source = make_source(record_set, cache_mb=cache_mb)
    assert source.examples == 16
    assert source.steps(0) == 6
    for epoch in (0, 1):
        sizes = [len(images) for images, _, _ in source.epoch(epoch)]
        assert sizes == [3, 3, 3, 3, 3, 1]
        images, _ = collect(source.epoch(epoch))
        assert len(images) == 16
        assert as_set(images) == as_set(all_images(record_set))


@pytest.mark.parametrize("cache_mb", [64, pytest.param(TINY_CACHE_MB, marks=pytest.mark.long)])
def test_batches_are_reproducible_and_differ_between_epochs(record_set, cache_mb):
    epochs = {}
    for attempt in (1, 2):
        source = make_source(record_set, cache_mb=cache_mb, ranges=Ranges())
        for epoch in (1, 0):
            epochs[attempt, epoch] = collect(source.epoch(epoch))
    for epoch in (0, 1):
        for first, again in zip(epochs[1, epoch], epochs[2, epoch], strict=True):
            np.testing.assert_array_equal(first, again)
    assert not as_set(epochs[1, 0][0]) & as_set(epochs[1, 1][0])


@pytest.mark.parametrize("cache_mb", [64, pytest.param(TINY_CACHE_MB, marks=pytest.mark.long)])
def test_order_changes_with_epoch_and_seed_unless_not_shuffled(record_set, cache_mb):
    sources = [make_source(record_set, cache_mb=cache_mb, seed=seed) for seed in (0, 1)]

    def order(seed, epoch, **more):
        return collect(sources[seed].epoch(epoch, **more))[0].tobytes()

    assert len({order(0, 0), order(0, 1), order(1, 0), order(1, 1)}) == 4
    assert order(0, 0, shuffled=False) == order(1, 3, shuffled=False)
    assert order(0, 0, shuffled=False) != order(0, 0)


def test_augmentation_of_a_slice_does_not_depend_on_its_batch(record_set):
    """Batches of 1 and of 5, cached and streamed: the same set of augmented slices."""
    sets = [
        as_set(collect(make_source(record_set, ranges=Ranges(), **options).epoch(2))[1])
        for options in (
            {"batch_size": 1},
            {"batch_size": 5},
            {"batch_size": 5, "cache_mb": TINY_CACHE_MB},
        )
    ]
    assert len(sets[0]) > 12
    assert sets[0] == sets[1] == sets[2]


@pytest.mark.long
@pytest.mark.parametrize(
    "sampling",
    [Sampling(), Sampling(0.5, 0.5, resample=True)],
)
def test_batches_do_not_depend_on_memory_or_on_tensorflows_seed(uneven_set, sampling):
    """Cached or read from disk, with any global seed: the same batches, bit for bit."""
    runs = []
    for cache_mb in (64, TINY_CACHE_MB):
        for seed in (1, 2):
            tf.random.set_seed(seed)
            source = make_source(
                uneven_set, cache_mb=cache_mb, sampling=sampling, ranges=Ranges(), batch_size=4
            )
            assert bool(source.held_mb) == (cache_mb == 64)
            runs.append(
                [
                    images.numpy().tobytes() + labels.numpy().tobytes()
                    for images, labels, _ in source.epoch(1)
                ]
            )
    assert runs[0] == runs[1] == runs[2] == runs[3]
    assert len(set(runs[0])) == len(runs[0]) > 2


@pytest.mark.parametrize("cache_mb", [64, pytest.param(TINY_CACHE_MB, marks=pytest.mark.long)])
def test_repeats_are_spread_over_the_epoch(uneven_set, cache_mb):
    """The only metastasis, shown six times in 25: its positions are random."""
    source = make_source(
        uneven_set, cache_mb=cache_mb, batch_size=5, sampling=Sampling(resample=True)
    )
    gaps, adjacent, middles = [], 0, []
    for epoch in source.epochs(0, 40):
        kinds = kinds_of(np.concatenate([labels for _, labels, _ in epoch]))
        positions = np.flatnonzero(kinds == 4)
        distances = np.diff(positions)
        gaps.append(distances.mean())
        adjacent += (distances == 1).sum() / len(distances)
        middles.append((positions / (len(kinds) - 1)).mean())
    # Six random positions of 25: the mean gap is 26/7, the probability that neighbours are adjacent
    # is 5/24, and the mean position is the middle of the epoch. Adjacent repeats have a gap of 1.
    assert np.mean(gaps) == pytest.approx(26 / 7, rel=0.1)
    assert adjacent / 40 == pytest.approx(5 / 24, abs=0.1)
    assert np.mean(middles) == pytest.approx(0.5, abs=0.06)


def test_host_and_device_give_the_same_pixels(record_set):
    host = make_source(record_set, ranges=Ranges())
    device = make_source(record_set, ranges=Ranges(), augment_on_host=False)
    step = tf.function(
        lambda images, labels, drawn: augment.apply(images, labels, drawn, device.window),
        reduce_retracing=True,
    )
    for augmented, plain in zip(host.epoch(0), device.epoch(0), strict=True):
        assert augmented[2] == {}
        images, labels = step(*plain)
        np.testing.assert_allclose(augmented[0], images, atol=1e-3)
        np.testing.assert_array_equal(augmented[1], labels)
        assert not np.array_equal(plain[0], images)


def test_without_ranges_nothing_is_changed(record_set):
    source = make_source(record_set, ranges=None)
    (images, labels, drawn), *_ = source.epoch(0, shuffled=False)
    assert drawn == {}
    assert images.dtype == tf.float32
    assert labels.dtype == tf.uint8
    assert as_set(images.numpy()) <= as_set(all_images(record_set))


def test_labels_are_mapped_and_slices_without_liver_omitted(tmp_path):
    manifest = tiny_records.write_set(tmp_path, patients=2, slices=2, label_set=LITS, roi=False)
    record = next(iter(read_case(tmp_path, manifest.cases[0])))
    bare = tiny_records.SliceRecord(
        record.image, np.zeros_like(record.labels), None, "bare", "bare", 0
    )
    entry = tiny_records.write_case(tmp_path, [bare], LITS)
    manifest = tiny_records.Manifest(LITS, (-160, 240), (*manifest.cases, entry))
    for cache_mb in (64, 0.005):
        slices = make_slices((tmp_path, manifest), label_map=(0, 1, 1))
        everything = make_source(None, slices=slices, cache_mb=cache_mb)
        images, labels = collect(everything.epoch(0))
        assert len(images) == everything.examples == 5
        assert set(np.unique(labels)) == {0, 1}
        slices = make_slices((tmp_path, manifest), label_map=(0, 1, 2))
        sampling = Sampling(keep_without_liver=0.0)
        with_liver = make_source(None, slices=slices, cache_mb=cache_mb, sampling=sampling)
        images, labels = collect(with_liver.epoch(0))
        assert len(images) == with_liver.slices_in(0) == 4
        assert (labels > 0).any(axis=(1, 2)).all()
        assert set(np.unique(labels)) == {0, 1, 2}


def test_only_the_requested_cases_are_read(record_set):
    folder, manifest = record_set
    entry = manifest.cases[2]
    source = make_source(record_set, slices=make_slices(record_set, cases=(entry.case,)))
    images, _ = collect(source.epoch(0))
    expected = [record.image.astype(np.float32) for record in read_case(folder, entry)]
    assert as_set(images) == as_set(expected)


def test_network_view_pads_with_air_and_keeps_the_aspect_ratio():
    image = tf.fill([10, 20], 100.0)
    labels = tf.ones([10, 20], tf.uint8)
    view, view_labels = network_view(image, labels, -160.0, 20)
    np.testing.assert_array_equal(view[:5], -160)
    np.testing.assert_array_equal(view[15:], -160)
    np.testing.assert_allclose(view[5:15], 100, atol=1e-3)
    np.testing.assert_array_equal(view_labels[:5], 0)
    np.testing.assert_array_equal(view_labels[5:15], 1)


def test_a_flipped_bit_in_a_shard_stops_an_epoch(tmp_path):
    manifest = tiny_records.write_set(tmp_path, patients=2)
    path = tmp_path / manifest.cases[1].shard
    data = bytearray(path.read_bytes())
    data[len(data) // 4] ^= 4  # in the pixels of the first record
    path.write_bytes(data)
    with pytest.raises(tf.errors.DataLossError, match="corrupted record"):
        make_source((tmp_path, manifest))
    source = make_source((tmp_path, manifest), cache_mb=0)
    with pytest.raises(tf.errors.DataLossError, match="corrupted record"):
        collect(source.epoch(0))


SAMPLINGS = [Sampling(), Sampling(0.5, 0.5), Sampling(resample=True), Sampling(0.5, 0.3, True)]


@pytest.fixture(scope="module")
def uneven_set(tmp_path_factory):
    """12 slices without liver, 6 without lesion; 4, 2 and 1 slices of three lesion types."""
    folder = tmp_path_factory.mktemp("uneven")
    generator = np.random.default_rng(4)
    entries = []
    for name, count, lesion in (
        *(("bare0", 6, None), ("bare1", 6, None), ("healthy", 6, 0)),
        *(("cyst", 4, 2), ("hemangioma", 2, 3), ("metastasis", 1, 4)),
    ):
        records = []
        for index in range(count):
            image, labels = tiny_records.draw_slice(generator, 32, 32, lesion or 0)
            labels = labels * 0 if lesion is None else labels
            records.append(tiny_records.SliceRecord(image, labels, None, name, name, index))
        entries.append(tiny_records.write_case(folder, records, LESION_TYPES))
    return folder, tiny_records.Manifest(LESION_TYPES, (-160, 240), tuple(entries))


def kinds_of(labels):
    return labels.reshape(len(labels), -1).max(axis=1)


@pytest.mark.long
@pytest.mark.parametrize("cache_mb", [64, TINY_CACHE_MB])
def test_an_epoch_shows_the_sampled_slices(uneven_set, cache_mb):
    for sampling in SAMPLINGS:
        source = make_source(uneven_set, cache_mb=cache_mb, sampling=sampling)
        assert source.examples == 25
        for epoch in (0, 1):
            sizes = [len(images) for images, _, _ in source.epoch(epoch)]
            assert sum(sizes) == source.slices_in(epoch)
            assert len(sizes) == source.steps(epoch)
    # Balanced: each kind is shown about equally often.
    shown = make_source(uneven_set, cache_mb=cache_mb, sampling=Sampling(resample=True))
    images, labels = collect(shown.epoch(0))
    kinds = np.maximum(kinds_of(labels), 1)
    assert sorted(np.bincount(kinds, minlength=5)[1:]) == [6, 6, 6, 7]
    # The only slice with a metastasis is repeated at least six times, without changes.
    assert len(as_set(images[kinds == 4])) == 1
    # With a share of lesions, every batch has it, in another order in each epoch.
    halves = make_source(
        uneven_set, cache_mb=cache_mb, batch_size=4, sampling=Sampling(lesion_share=0.5)
    )
    epochs = [list(halves.epoch(number)) for number in (0, 0, 1)]
    for batches in epochs:
        assert [(kinds_of(labels.numpy()) >= 2).sum() for _, labels, _ in batches[:6]] == [2] * 6
    first, again, second = ([batch[0].numpy() for batch in batches] for batches in epochs)
    assert all(np.array_equal(*pair) for pair in zip(first, again, strict=True))
    assert not np.array_equal(first[0], second[0])
    bare = make_source(
        uneven_set,
        cache_mb=cache_mb,
        sampling=Sampling(keep_without_liver=0, keep_without_lesion=0),
    )
    assert (kinds_of(collect(bare.epoch(0))[1]) >= 2).all()
    assert bare.slices_in(0) == 7


@pytest.mark.long
@pytest.mark.parametrize("cache_mb", [64, TINY_CACHE_MB])
def test_a_repeated_slice_is_augmented_differently(uneven_set, cache_mb):
    options = {"cache_mb": cache_mb, "ranges": Ranges()}
    source = make_source(uneven_set, sampling=Sampling(resample=True), **options)
    images, labels = collect(source.epoch(3))
    assert len(as_set(images)) == len(images) == 25
    # When first shown, it equals the slice of an epoch without balance.
    without_balance = as_set(collect(make_source(uneven_set, **options).epoch(3))[0])
    assert len(as_set(images[kinds_of(labels) == 4]) & without_balance) == 1


@pytest.mark.parametrize(
    ("cache_mb", "sampling"),
    [
        (TINY_CACHE_MB, SAMPLINGS[-1]),
        pytest.param(64, SAMPLINGS[-1], marks=pytest.mark.long),
        pytest.param(64, SAMPLINGS[0], marks=pytest.mark.long),
        pytest.param(TINY_CACHE_MB, SAMPLINGS[0], marks=pytest.mark.long),
    ],
)
def test_batches_do_not_depend_on_threads_or_on_the_first_epoch(uneven_set, cache_mb, sampling):
    def batches(first, threads, separate):
        """Batches of epochs ``first`` to 2, from one pipeline or from one per epoch."""
        source = make_source(
            uneven_set, cache_mb=cache_mb, sampling=sampling, ranges=Ranges(), batch_size=4
        )
        options = tf.data.Options()
        options.threading.private_threadpool_size = threads
        options.threading.max_intra_op_parallelism = threads
        collected, original = [], source._batches
        source._batches = lambda *arguments: original(*arguments).with_options(options)
        epochs = (source.epoch(n) for n in range(first, 3)) if separate else source.epochs(first, 3)
        for number, epoch in enumerate(epochs, first):
            for images, labels, _ in epoch:
                collected.append((number, images.numpy().tobytes(), labels.numpy().tobytes()))
        return collected

    all_epochs = batches(0, 1, False)
    assert all_epochs == batches(0, 7, False)
    # Restarted at the third epoch, as after a crash, with a new pipeline.
    third = [batch for batch in all_epochs if batch[0] == 2]
    assert third == batches(2, 3, False) == batches(2, 2, True)


def test_unshuffled_epochs_are_identical(record_set):
    source = make_source(record_set)
    passes = [
        [images.numpy().tobytes() for images, _, _ in epoch]
        for epoch in source.epochs(0, 3, shuffled=False)
    ]
    assert len(passes) == 3
    assert passes[0] == passes[1] == passes[2]
    assert passes[0] == [
        images.numpy().tobytes() for images, _, _ in source.epoch(9, shuffled=False)
    ]


@pytest.mark.parametrize("on_host", [True, False])
def test_the_spec_of_batches_is_known_in_advance(record_set, on_host):
    source = make_source(record_set, ranges=Ranges(), augment_on_host=on_host)
    epochs = source.epochs(0, 1)
    batch = next(next(epochs))
    tf.nest.assert_same_structure(epochs.element_spec, batch)
    for spec, part in zip(
        tf.nest.flatten(epochs.element_spec), tf.nest.flatten(batch), strict=True
    ):
        assert spec.is_compatible_with(part)
        assert spec.shape.rank is not None
    assert bool(epochs.element_spec[2]) != on_host


def test_another_batch_size_shares_the_slices_in_memory(record_set):
    source = make_source(record_set)
    other = source.with_batch_size(5)
    assert other._kept is source._kept
    assert [len(images) for images, _, _ in other.epoch(0)] == [5, 5, 5, 1]
    assert source.steps(0) == 6
    assert source.held_mb == pytest.approx(16 * 32 * 32 * 5 / 2**20)


@pytest.mark.parametrize("cache_mb", [64, TINY_CACHE_MB])
def test_shards_with_fewer_records_than_the_manifest_counts_are_refused(tmp_path, cache_mb):
    manifest = tiny_records.write_set(tmp_path, patients=4)
    first = manifest.cases[0]
    records = list(read_case(tmp_path, first))
    tiny_records.write_case(tmp_path, records[:1], LESION_TYPES)

    with pytest.raises(Refusal, match=r"\[shard-count\].*the 8 records that the manifest lists"):
        make_source((tmp_path, manifest), cache_mb=cache_mb)
