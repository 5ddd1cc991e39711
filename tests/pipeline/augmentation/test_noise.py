"""The noise is Gaussian: its bits are those of Threefry, its statistics those of random draws."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

from liver_tf.pipeline.augmentation import augment, noise

#: Noise fields of slices 0 to 7 in epochs 0 to 3, as in a training.
SIDE, EXAMPLES, EPOCHS = 128, 8, 4


@pytest.fixture(scope="module")
def fields():
    seeds = [
        augment.draw(5, tf.constant(epoch), tf.constant(example, tf.int64), augment.Ranges())
        for epoch in range(EPOCHS)
        for example in range(EXAMPLES)
    ]
    seeds = tf.stack([drawn["noise_seed"] for drawn in seeds])
    made = tf.function(lambda s: noise.normal_fields(s, SIDE, SIDE), jit_compile=True)(seeds)
    return made.numpy().astype(np.float64)


@pytest.mark.parametrize(
    ("key", "counter", "expected"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 2, (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_bits_equal_the_published_test_vectors(key, counter, expected):
    """``kat_vectors`` of Random123, threefry2x32 with 20 rounds."""

    def words(pair):
        return tuple(tf.constant([word], tf.uint32) for word in pair)

    bits = noise.threefry(words(key), words(counter))
    assert tuple(int(word[0]) for word in bits) == expected


def test_every_value_is_the_normal_quantile_of_its_bits():
    bits = np.random.default_rng(0).integers(-(2**31), 2**31, 200_000).astype(np.int32)
    ends = np.array([-(2**31), 2**31 - 1, 0, -1, 255, -256], np.int32)
    bits = np.concatenate([bits, ends])
    uniform = noise.symmetric_uniform(tf.constant(bits))
    assert np.abs(uniform).max() < 1
    expected = np.sqrt(2) * special.erfinv(((bits >> 8) + 0.5) / 2**23)
    quantiles = noise._quantile(uniform).numpy()
    np.testing.assert_allclose(quantiles, expected, rtol=2e-6)
    assert quantiles[-6] == -quantiles[-5]
    assert 5.2 < quantiles.max() < 5.5


def test_mean_sd_skew_and_tails_are_gaussian(fields):
    numbers = fields.ravel()
    count = numbers.size
    # Tolerance: four standard errors each. The seed is fixed, so the result is reproducible.
    assert abs(numbers.mean()) < 4 / np.sqrt(count)
    assert abs(numbers.std() - 1) < 4 / np.sqrt(2 * count)
    assert abs(stats.skew(numbers)) < 4 * np.sqrt(6 / count)
    assert abs(stats.kurtosis(numbers)) < 4 * np.sqrt(24 / count)
    for limit in (2, 3, 4):
        expected = 2 * stats.norm.sf(limit) * count
        assert abs((np.abs(numbers) > limit).sum() - expected) < 4 * np.sqrt(expected), limit


def test_the_distribution_passes_a_kolmogorov_smirnov_test(fields):
    assert stats.kstest(fields.ravel(), "norm").pvalue > 0.01
    p_values = np.array([stats.kstest(field.ravel(), "norm").pvalue for field in fields])
    # The p values of the fields are uniform, like those of random noise.
    assert stats.kstest(p_values, "uniform").pvalue > 0.01
    # The test is sensitive: an almost Gaussian sum of twelve uniform numbers fails it.
    twelve = np.random.default_rng(0).random((12, fields.size)).sum(axis=0) - 6
    assert stats.kstest(twelve, "norm").pvalue < 0.01


@pytest.mark.parametrize("power", [1, 2])
def test_pixels_of_a_noise_field_are_independent(fields, power):
    """Autocorrelation of the noise and of its square at every distance, by Fourier transform."""
    values = fields**power
    values = (values - values.mean(axis=(1, 2), keepdims=True)) / values.std()
    spectrum = np.abs(np.fft.fft2(values)) ** 2
    correlation = np.fft.ifft2(spectrum).real / SIDE**2
    correlation[:, 0, 0] = 0
    # 16,383 distances in 32 fields: the expected maximum is about 4.9 standard errors.
    assert np.abs(correlation).max() < 6 / SIDE
    # Mean over all fields: 16,383 distances, about 4.2 standard errors.
    assert np.abs(correlation.mean(axis=0)).max() < 5.5 / SIDE / np.sqrt(len(fields))


@pytest.mark.parametrize("power", [1, 2])
def test_noise_differs_between_slices_and_epochs(fields, power):
    values = fields.reshape(len(fields), -1) ** power
    correlation = np.corrcoef(values) - np.eye(len(fields))
    assert np.abs(correlation).max() < 4.5 / SIDE
    # No field is a shifted copy of another one.
    centred = values - values.mean(axis=1, keepdims=True)
    spectra = np.fft.fft2(centred.reshape(fields.shape))
    for first in range(0, len(fields), 5):
        cross = np.fft.ifft2(spectra[first] * spectra[first + 1 :].conj()).real
        if len(cross):
            scale = SIDE**2 * centred[first].std() * centred.std()
            assert np.abs(cross).max() / scale < 6.5 / SIDE


@pytest.mark.parametrize("size", [(7, 9), (1, 1), (16, 16)])
def test_fields_of_any_size_are_the_same_without_xla(size):
    seeds = tf.constant([[3, -4], [5, 6]])
    plain = noise.normal_fields(seeds, *size)
    fast = tf.function(lambda s: noise.normal_fields(s, *size), jit_compile=True)(seeds)
    assert plain.shape == (2, *size)
    np.testing.assert_allclose(plain, fast, rtol=1e-5, atol=1e-6)
    assert len(np.unique(plain)) == plain.numpy().size
