"""The package's description. Tools are configured in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

setup(
    name="liver_tf",
    version="0.1.0",
    description="Joint liver lesion segmentation and classification in CT by hierarchical "
    "fine-tuning (TensorFlow, Keras)",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["liver_tf*", "data_prep*", "trainers*"]),
    package_data={"liver_tf.export": ["scan_page.css", "scan_page.js"]},
    install_requires=[
        "tensorflow>=2.21",
        "keras>=3.15",
        "numpy",
        "nibabel",
        "pydicom>=3.0.2",
        "scipy",
        "scikit-image",
        "scikit-learn",
        "connected-components-3d",
        # Quick decompression and checksums for the converter.
        "isal",
        "google-crc32c",
        "absl-py",
        "tensorboard",
        "matplotlib",
        "pillow",
        "tqdm",
        "h5py",
    ],
    extras_require={
        # Compressed DICOM; MIT and Apache-2.0. (pylibjpeg-libjpeg would do as well, but is GPL.)
        "codecs": ["pylibjpeg", "pylibjpeg-openjpeg", "pyjpegls", "python-gdcm"],
        # Conversion spread over many machines.
        "beam": ["apache-beam>=2.70"],
        # Cells of a study spread over many machines; Apache-2.0.
        "ray": ["ray>=2.60"],
        # Results as DICOM segmentations; MIT.
        "dicom-seg": ["highdicom>=0.28"],
        # Talking to an archive, for the test of it; MIT.
        "pacs": ["pynetdicom>=3.0"],
        # Peers that benchmarks measure against. (albumentations goes on as albumentationsx, under
        # AGPL.)
        "bench": [
            "albumentations==2.0.8",
            "batchgeneratorsv2",
            "monai",
            "psutil",
            "torch",
            "torchio",
        ],
        # Messages of TF Serving; Apache-2.0.
        "serving": ["tensorflow-serving-api>=2.21"],
        # Another executor of exported models; Apache-2.0.
        "openvino": ["openvino>=2026.4"],
        "test": ["pytest", "pytest-xdist", "ruff"],
    },
)
