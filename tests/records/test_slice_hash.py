"""Slice hashes: equal for equal pixels, close for re-exports, distant for other slices."""

import io

import numpy as np
import pytest
import scipy.fft
from PIL import Image
from scipy import ndimage

from liver_tf.records.slice_hash import (
    BITS,
    NEAR_BITS,
    VIEWS,
    WORDS,
    hash_slice,
    parse_hashes,
    slice_index,
)


def draw(seed: int, side: int = 512) -> np.ndarray:
    """A random body with organs: int16 [side, side] in the window."""
    generator = np.random.default_rng(seed)
    row, column = (np.mgrid[:side, :side] + 0.5) / side
    hu = np.where((row - 0.5) ** 2 / 0.1 + (column - 0.5) ** 2 / 0.18 < 1, 20.0, -160.0)
    for _ in range(25):
        middle, size = generator.uniform(0.2, 0.8, 2), generator.uniform(0.02, 0.12, 2)
        inside = ((row - middle[0]) / size[0]) ** 2 + ((column - middle[1]) / size[1]) ** 2 < 1
        hu[inside] = generator.uniform(-150, 230)
    return as_slice(ndimage.gaussian_filter(hu, 1.0) + generator.normal(0, 8, hu.shape))


def as_slice(image):
    return np.clip(np.rint(image), -160, 240).astype(np.int16)


def hash_as_integer(text: str) -> int:
    return int(text.split(":")[2], 16)


def hamming_distance(left: str, right: str) -> int:
    """Hamming distance."""
    return (hash_as_integer(left) ^ hash_as_integer(right)).bit_count()


def through_jpeg(image):
    file = io.BytesIO()
    grey = np.rint((image + 160.0) / 400 * 255).astype(np.uint8)
    Image.fromarray(grey).save(file, "JPEG", quality=50)
    return as_slice(np.asarray(Image.open(file)) / 255 * 400 - 160)


RE_EXPORTS = {
    "noise": lambda x: as_slice(x + np.random.default_rng(0).integers(-2, 3, x.shape)),
    "brighter": lambda x: as_slice(x + 5),
    "moved down": lambda x: np.roll(x, 1, 0),
    "moved right": lambda x: np.roll(x, 1, 1),
    "halved": lambda x: as_slice(x.reshape(256, 2, 256, 2).mean((1, 3))),
    "every second": lambda x: x[::2, ::2],
    "odd matrix": lambda x: as_slice(ndimage.zoom(x.astype(float), 389 / 512, order=1)),
    "jpeg": through_jpeg,
    "float": lambda x: x + np.float32(0.25),
}


@pytest.mark.parametrize("change", RE_EXPORTS)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_re_export_is_close_but_not_identical(change, seed):
    image = draw(seed)
    before, after = hash_slice(image, 0), hash_slice(RE_EXPORTS[change](image), 0)
    assert hamming_distance(before, after) <= NEAR_BITS
    assert before.split(":")[1] != after.split(":")[1]


def test_other_slices_are_distant():
    texts = [hash_slice(draw(seed), 0) for seed in range(5)]
    distances = [hamming_distance(a, b) for n, a in enumerate(texts) for b in texts[:n]]
    assert min(distances) > 2 * NEAR_BITS
    # The bits of a hash are not all equal: about half of them are set.
    assert all(0.3 < hash_as_integer(text).bit_count() / BITS < 0.7 for text in texts)


@pytest.mark.parametrize("side", [512, 400])
def test_hash_bits_are_the_signs_of_a_cosine_transform(side):
    image = draw(3, side)
    # Cell means, with pixels repeated so that cells contain entire pixels; transform by scipy.
    times = 1 if side % 32 == 0 else 2
    large = np.repeat(np.repeat(image.astype(np.float64), times, 0), times, 1)
    cell = large.shape[0] // 32
    spectrum = scipy.fft.dctn(large.reshape(32, cell, 32, cell).mean((1, 3)))
    frequencies = sorted(
        ((down, across) for down in range(32) for across in range(32)),
        key=lambda frequency: frequency[0] ** 2 + frequency[1] ** 2,
    )
    expected = ""
    for parity in WORDS:
        chosen = [p for p in frequencies if (p[0] % 2, p[1] % 2) == parity][10:74]
        expected += "".join(str(int(spectrum[frequency] > 0)) for frequency in chosen)
    assert (hash_as_integer(hash_slice(image, 0)) ^ int(expected, 2)).bit_count() <= 1


def test_a_flip_inverts_entire_words():
    image = draw(4)
    flips = {
        "upright": image,
        "flipped left to right": image[:, ::-1],
        "flipped front to back": image[::-1],
        "turned by 180 degrees": image[::-1, ::-1],
    }
    before = hash_as_integer(hash_slice(image, 0))
    for view, flipped in flips.items():
        mask = int("".join(("f" if inverted else "0") * 16 for inverted in VIEWS[view]), 16)
        difference = before ^ hash_as_integer(hash_slice(flipped, 0)) ^ mask
        assert difference.bit_count() <= 1, view


def test_the_identity_depends_only_on_the_values():
    image = draw(5, 64)
    identity = {
        name: hash_slice(changed, 0).split(":")[1]
        for name, changed in {
            "itself": image,
            "strided": np.repeat(image, 2, axis=1)[:, ::2],
            "float32": image.astype(np.float32),
            "big endian": image.astype(">i2").astype(np.int16),
        }.items()
    }
    assert len(set(identity.values())) == 1
    others = [image.copy() for _ in range(3)]
    others[0][0, 0] += 1
    others[1][-1, -1] -= 1
    others[2] = image.reshape(32, 128)
    others.append(image + np.float32(0.5))
    other = {hash_slice(other_image, 0).split(":")[1] for other_image in others}
    assert len(other | set(identity.values())) == len(others) + 1


def test_zero_and_minus_zero_are_equal():
    image = draw(6, 64) + np.float32(0.5)
    image[3, :] = 0.0
    negative_zeros = image.copy()
    negative_zeros[3, ::2] = -0.0
    assert hash_slice(image, 0) == hash_slice(negative_zeros, 0)


def test_nearly_empty_slices_have_no_hash():
    air = np.full((64, 64), -160, np.int16)
    assert hash_slice(air, 7) == "7:-:-"
    assert hash_slice(air.astype(np.float32) + 0.5, 8) == "8:-:-"
    table = air.copy()
    table[60, 20:40] = 30
    index, identity, perceptual = hash_slice(table, 9).split(":")
    assert (index, len(identity), perceptual) == ("9", 16, "-")


def test_a_wide_window_does_not_overflow():
    image = draw(0, 128)
    large = np.repeat(image, 36, 0)
    wide = np.where(large >= 240, np.int16(32767), large)
    assert hamming_distance(hash_slice(wide, 0), hash_slice(image, 0)) <= 1


def test_hashes_round_trip_through_text():
    texts = [hash_slice(draw(0, 64), 3), "4:-:-", "12:00000000000000ff:-"]
    parsed = parse_hashes(texts)
    assert [slice_index(text) for text in texts] == parsed.index.tolist() == [3, 4, 12]
    assert parsed.has_identity.tolist() == [True, False, True]
    assert parsed.has_bits.tolist() == [True, False, False]
    assert parsed.identity[2] == 255
    assert parsed.bits.shape == (3, 4)
    assert parsed.bits[0].tobytes().hex() == texts[0].split(":")[2]
    assert len(parse_hashes([])) == 0


@pytest.mark.parametrize("text", ["", "0", "0:-", "x:-:-", "0:12:-", "0:-:" + "0" * 63, "0:-:-:-"])
def test_other_texts_are_rejected(text):
    with pytest.raises(ValueError, match="index:identity:perceptual"):
        parse_hashes([text, "1:-:-"])
