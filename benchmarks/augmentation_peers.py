"""The task of ``benchmarks.augmentation`` in other libraries, each used as its manual suggests.

- albumentations: ``Affine`` and ``HorizontalFlip`` (OpenCV), ``GaussNoise``,
  ``RandomBrightnessContrast``, on numpy slices. 2.0.8 is the last release under the MIT licence.
- batchgeneratorsv2 (nnU-Net): ``SpatialTransform``, where the shift is a random position of the
  patch centre; ``MirrorTransform``, ``GaussianNoiseTransform``, ``ContrastTransform`` and
  ``MultiplicativeBrightnessTransform``; torch.
- MONAI: ``RandAffined``, ``RandFlipd``, ``RandGaussianNoised``, ``RandScaleIntensityd``,
  ``RandShiftIntensityd``, without metadata; torch.
- torchio: ``RandomAffine`` (SimpleITK), ``RandomFlip``, ``RandomNoise``, and a ``Lambda`` for
  scale and shift of intensities, for which it has no transform.
- Keras: ``RandomFlip``, ``RandomRotation``, ``RandomTranslation``, ``RandomZoom`` (three
  interpolations, because no layer combines them), ``RandomContrast``, ``RandomBrightness`` on
  batches in ``tf.data``, and ``tf.random.normal`` times an SD per slice, because ``GaussianNoise``
  has one SD for all. Workers are the parallel calls of the map; 0 means none.

The torch libraries and albumentations get their batches from torch's ``DataLoader``: with 0 workers
they may use both cores by threads; with 2, each worker has one thread and persists between epochs.
Grey values are fractions of the window, as some of the libraries expect.
"""

import math
import os
from collections.abc import Callable, Iterable

import numpy as np

SIDE, BATCH, SLICES = 256, 8, 256
WINDOW = (-160.0, 240.0)
DEGREES, ZOOM, SHIFT = 20.0, 0.1, 0.1
#: Shares of the window: the greatest SD of the noise; contrast and brightness.
NOISE, GAIN, OFFSET = 0.03, 0.1, 0.03

#: Makes an epoch: batches of images and labels, all slices once.
Epoch = Callable[[], Iterable[tuple]]


def make_slices() -> tuple[np.ndarray, np.ndarray]:
    """Images float32 0 to 1 and labels uint8, both [slices, side, side]."""
    generator = np.random.default_rng(0)
    shape = (SLICES, SIDE, SIDE)
    images = generator.integers(0, 401, shape).astype(np.float32) / 400
    return images, generator.integers(0, 5, shape).astype(np.uint8)


def _loaded(augmented: Callable, images: np.ndarray, labels: np.ndarray, workers: int) -> Epoch:
    """An epoch by torch's DataLoader; ``augmented`` maps an image and labels to both."""
    import torch
    from torch.utils.data import DataLoader, Dataset

    class Slices(Dataset):
        def __len__(self) -> int:
            return len(images)

        def __getitem__(self, index: int):
            return augmented(images[index], labels[index])

    more = {}
    if workers:
        more = {
            "num_workers": workers,
            "multiprocessing_context": "fork",
            "persistent_workers": True,
            "prefetch_factor": 4,
            # Torch's own threads are one in a worker anyway.
            "worker_init_fn": _one_thread,
        }
    loader = DataLoader(Slices(), BATCH, shuffle=True, **more)
    torch.manual_seed(0)
    return lambda: iter(loader)


def _one_thread(worker: int) -> None:
    del worker
    try:
        import cv2

        cv2.setNumThreads(1)
    except ImportError:
        pass


def albumentations(images: np.ndarray, labels: np.ndarray, workers: int) -> Epoch:
    # It asks the network for a newer release otherwise.
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    import albumentations

    compose = albumentations.Compose(
        [
            albumentations.Affine(
                rotate=(-DEGREES, DEGREES),
                scale=(1 - ZOOM, 1 + ZOOM),
                translate_percent={"x": (-SHIFT, SHIFT), "y": (-SHIFT, SHIFT)},
                p=1,
            ),
            albumentations.HorizontalFlip(p=0.5),
            albumentations.RandomBrightnessContrast(OFFSET, GAIN, p=1),
            albumentations.GaussNoise(std_range=(0, NOISE), p=1),
        ]
    )

    def augmented(image, label):
        done = compose(image=image, mask=label)
        return done["image"], done["mask"]

    return _loaded(augmented, images, labels, workers)


def batchgeneratorsv2(images: np.ndarray, labels: np.ndarray, workers: int) -> Epoch:
    import torch
    from batchgeneratorsv2.transforms.intensity.brightness import MultiplicativeBrightnessTransform
    from batchgeneratorsv2.transforms.intensity.contrast import ContrastTransform
    from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
    from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
    from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
    from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
    from batchgeneratorsv2.transforms.utils.random import RandomTransform

    angle = math.radians(DEGREES)
    compose = ComposeTransforms(
        [
            SpatialTransform(
                (SIDE, SIDE),
                int(SIDE * (0.5 - SHIFT)),
                random_crop=True,
                p_rotation=1,
                rotation=(-angle, angle),
                p_scaling=1,
                scaling=(1 - ZOOM, 1 + ZOOM),
                p_synchronize_scaling_across_axes=1,
                mode_seg="nearest",
            ),
            # Each axis that is allowed is mirrored by chance.
            MirrorTransform((1,)),
            RandomTransform(ContrastTransform((1 - GAIN, 1 + GAIN), True, True), 1.0),
            RandomTransform(
                MultiplicativeBrightnessTransform((1 - OFFSET, 1 + OFFSET), True, 1.0), 1.0
            ),
            RandomTransform(GaussianNoiseTransform((0, NOISE), 1.0, True), 1.0),
        ]
    )

    def augmented(image, label):
        done = compose(
            image=torch.from_numpy(image)[None], segmentation=torch.from_numpy(label)[None]
        )
        return done["image"], done["segmentation"]

    return _loaded(augmented, images, labels, workers)


def monai(images: np.ndarray, labels: np.ndarray, workers: int) -> Epoch:
    import torch
    from monai import transforms
    from monai.data import set_track_meta

    set_track_meta(False)
    both = ["image", "label"]
    compose = transforms.Compose(
        [
            transforms.RandAffined(
                both,
                prob=1,
                rotate_range=math.radians(DEGREES),
                translate_range=SHIFT * SIDE,
                scale_range=ZOOM,
                mode=("bilinear", "nearest"),
                padding_mode="zeros",
            ),
            transforms.RandFlipd(both, prob=0.5, spatial_axis=1),
            transforms.RandScaleIntensityd("image", factors=GAIN, prob=1),
            transforms.RandShiftIntensityd("image", offsets=OFFSET, prob=1),
            transforms.RandGaussianNoised("image", prob=1, std=NOISE),
        ]
    )

    def augmented(image, label):
        done = compose({"image": torch.from_numpy(image)[None], "label": label[None]})
        return done["image"], done["label"]

    return _loaded(augmented, images, labels, workers)


def torchio(images: np.ndarray, labels: np.ndarray, workers: int) -> Epoch:
    import torch
    import torchio as tio

    def level(image):
        gain, offset = torch.rand(2) * 2 - 1
        return image * (1 + GAIN * gain) + OFFSET * offset

    pixels = SHIFT * SIDE
    compose = tio.Compose(
        [
            tio.RandomAffine(
                scales=(1 - ZOOM, 1 + ZOOM),
                degrees=(0, 0, 0, 0, -DEGREES, DEGREES),
                translation=(-pixels, pixels, -pixels, pixels, 0, 0),
                isotropic=True,
                default_pad_value=0,
                check_shape=False,
            ),
            tio.RandomFlip(axes=(1,), flip_probability=0.5),
            tio.Lambda(level, types_to_apply=[tio.INTENSITY]),
            tio.RandomNoise(std=(0, NOISE)),
        ]
    )

    def augmented(image, label):
        done = compose(
            tio.Subject(
                image=tio.ScalarImage(tensor=torch.from_numpy(image)[None, ..., None]),
                label=tio.LabelMap(tensor=torch.from_numpy(label)[None, ..., None]),
            )
        )
        return done["image"].data[..., 0], done["label"].data[..., 0]

    return _loaded(augmented, images, labels, workers)


def keras(images: np.ndarray, labels: np.ndarray, workers: int) -> Epoch:
    from liver_tf.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    import tensorflow as tf
    from keras import layers

    fill = {"fill_mode": "constant", "fill_value": 0.0}
    steps = [
        layers.RandomFlip("horizontal"),
        layers.RandomRotation(DEGREES / 360, **fill),
        layers.RandomTranslation(SHIFT, SHIFT, **fill),
        layers.RandomZoom((-ZOOM, ZOOM), **fill),
        layers.RandomContrast((GAIN, GAIN), value_range=(0, 1)),
        layers.RandomBrightness(OFFSET, value_range=(0, 1)),
    ]

    def augmented(batch, batch_labels):
        both = {"images": batch, "segmentation_masks": batch_labels}
        for step in steps:
            both = step(both, training=True)
        count = tf.shape(batch)[0]
        sd = tf.random.uniform([count, 1, 1, 1], 0.0, NOISE)
        batch = both["images"] + sd * tf.random.normal(tf.shape(batch))
        return batch, tf.cast(both["segmentation_masks"], tf.uint8)

    held = tf.constant(images[..., None]), tf.constant(labels[..., None])
    dataset = (
        tf.data.Dataset.from_tensor_slices(held)
        .shuffle(len(images))
        .batch(BATCH)
        .map(augmented, num_parallel_calls=workers or None)
        .prefetch(tf.data.AUTOTUNE)
    )
    return lambda: iter(dataset)


PEERS: dict[str, Callable[[np.ndarray, np.ndarray, int], Epoch]] = {
    "albumentations": albumentations,
    "batchgeneratorsv2": batchgeneratorsv2,
    "MONAI": monai,
    "torchio": torchio,
    "Keras": keras,
}
