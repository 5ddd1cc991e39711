"""Train nnU-Net or MONAI's BasicUNet for a number of minutes; write label maps of test volumes.

    PEERS/bin/python benchmarks/peer_training.py nnunet --data=DIR --output=DIR --minutes=60

Run by ``benchmarks.peer_networks`` with the Python of an environment that holds PyTorch,
``nnunetv2`` and ``monai``; it cannot import ``liver_tf``. ``--data`` holds ``train`` and ``test``
with ``volume-N.nii.gz`` and ``segmentation-N.nii.gz``. The minutes bound the training alone.
"""

import argparse
import json
import math
import os
import shutil
import time
from pathlib import Path

import nibabel as nib
import numpy as np

#: nnU-Net changes its learning rate once an epoch; a budget is divided into this many epochs.
NNUNET_EPOCHS = 20
NNUNET_DATASET = "Dataset001_phantom"
BATCH_SIZE = 8
WINDOW_HU = (-160.0, 240.0)


def main() -> None:
    """Train and predict with one peer."""
    parser = argparse.ArgumentParser()
    parser.add_argument("peer", choices=("nnunet", "monai"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True)
    asked = parser.parse_args()
    asked.output.mkdir(parents=True, exist_ok=True)
    train = nnunet if asked.peer == "nnunet" else monai
    steps = train(asked.data, asked.output, asked.minutes * 60)
    # Written last: a run without this file is not complete.
    (asked.output / "done.json").write_text(json.dumps({"steps": steps}))


def volumes(folder: Path) -> list[Path]:
    """The volumes of a folder, in the order of their numbers."""
    found = folder.glob("volume-*.nii.gz")
    return sorted(found, key=lambda path: int(path.name.split("-")[1].split(".")[0]))


def outlines(volume: Path) -> Path:
    """The file with the labels of a volume."""
    return volume.with_name(volume.name.replace("volume", "segmentation"))


def nnunet(data: Path, output: Path, seconds: float) -> int:
    """nnU-Net v2, 2-D configuration, with its own planning, preprocessing and augmentation."""
    for name in ("raw", "preprocessed", "results"):
        os.environ[f"nnUNet_{name}"] = str(output / name)
    os.environ.setdefault("nnUNet_n_proc_DA", "1")
    import torch
    from nnunetv2.experiment_planning.plan_and_preprocess_api import (
        extract_fingerprints,
        plan_experiments,
        preprocess,
    )
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    torch.set_num_threads(1)
    raw = output / "raw" / NNUNET_DATASET
    (raw / "imagesTr").mkdir(parents=True, exist_ok=True)
    (raw / "labelsTr").mkdir(exist_ok=True)
    cases = volumes(data / "train")
    for number, volume in enumerate(cases):
        shutil.copyfile(volume, raw / "imagesTr" / f"case_{number:03d}_0000.nii.gz")
        shutil.copyfile(outlines(volume), raw / "labelsTr" / f"case_{number:03d}.nii.gz")
    description = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "liver": 1, "lesion": 2},
        "numTraining": len(cases),
        "file_ending": ".nii.gz",
    }
    (raw / "dataset.json").write_text(json.dumps(description))
    extract_fingerprints([1], num_processes=1)
    plan_experiments([1])
    preprocess([1], configurations=("2d",), num_processes=[1])

    class BudgetTrainer(nnUNetTrainer):
        """nnU-Net's trainer, with as many iterations as the budget allows."""

        def run_training(self) -> None:
            self.on_train_start()
            begin = time.monotonic()
            trial = 3
            for _ in range(trial):
                self.train_step(next(self.dataloader_train))
            per_step = (time.monotonic() - begin) / trial
            self.num_iterations_per_epoch = max(1, int(seconds / per_step / self.num_epochs))
            self.num_val_iterations_per_epoch = 1
            self.steps = trial
            for _ in range(self.num_epochs):
                self.on_epoch_start()
                self.on_train_epoch_start()
                outputs = []
                for _ in range(self.num_iterations_per_epoch):
                    outputs.append(self.train_step(next(self.dataloader_train)))
                    self.steps += 1
                    if time.monotonic() - begin > seconds:
                        break
                self.on_train_epoch_end(outputs)
                with torch.no_grad():
                    self.on_validation_epoch_start()
                    self.on_validation_epoch_end([self.validation_step(next(self.dataloader_val))])
                self.on_epoch_end()
                if time.monotonic() - begin > seconds:
                    break
            self.on_train_end()
            self.set_deep_supervision_enabled(False)

    prepared = output / "preprocessed" / NNUNET_DATASET
    plans = json.loads((prepared / "nnUNetPlans.json").read_text())
    trainer = BudgetTrainer(
        plans | {"continue_training": False},
        "2d",
        "all",
        json.loads((prepared / "dataset.json").read_text()),
        device=torch.device("cpu"),
    )
    trainer.num_epochs = NNUNET_EPOCHS
    trainer.run_training()
    predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
    predictor.manual_initialization(
        trainer.network,
        trainer.plans_manager,
        trainer.configuration_manager,
        [trainer.network.state_dict()],
        trainer.dataset_json,
        trainer.__class__.__name__,
        trainer.inference_allowed_mirroring_axes,
    )
    tests = volumes(data / "test")
    predictor.predict_from_files_sequential(
        [[str(volume)] for volume in tests],
        [str(output / outlines(volume).name.removesuffix(".nii.gz")) for volume in tests],
    )
    return trainer.steps


def monai(data: Path, output: Path, seconds: float) -> int:
    """MONAI's BasicUNet on whole windowed slices: Dice + cross-entropy, Adam, cosine schedule."""
    import torch
    from monai.losses import DiceCELoss
    from monai.networks.nets import BasicUNet
    from monai.transforms import (
        Compose,
        RandAdjustContrastd,
        RandAffined,
        RandGaussianNoised,
        RandGaussianSmoothd,
    )

    torch.set_num_threads(1)
    torch.manual_seed(0)
    images, labels = [], []
    for volume in volumes(data / "train"):
        images.append(_windowed(volume))
        labels.append(_slices(outlines(volume)).astype(np.int64))
    image, label = np.concatenate(images), np.concatenate(labels)
    both = ("image", "label")
    augment = Compose(
        [
            RandAffined(
                both,
                prob=0.8,
                rotate_range=0.26,
                scale_range=0.15,
                translate_range=12,
                mode=("bilinear", "nearest"),
                padding_mode="border",
            ),
            RandGaussianNoised("image", prob=0.3, std=0.05),
            RandGaussianSmoothd("image", prob=0.3),
            RandAdjustContrastd("image", prob=0.3),
        ]
    ).set_random_state(0)
    network = BasicUNet(spatial_dims=2, in_channels=1, out_channels=3)
    loss = DiceCELoss(to_onehot_y=True, softmax=True, include_background=False)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    choose = np.random.default_rng(0)
    begin, steps = time.monotonic(), 0
    network.train()
    while (passed := time.monotonic() - begin) < seconds:
        optimiser.param_groups[0]["lr"] = 5e-4 * (1 + math.cos(math.pi * passed / seconds))
        batch = [
            augment({"image": image[i, None], "label": label[i, None]})
            for i in choose.integers(len(image), size=BATCH_SIZE)
        ]
        value = loss(
            network(torch.stack([torch.as_tensor(one["image"]) for one in batch])),
            torch.stack([torch.as_tensor(one["label"]) for one in batch]),
        )
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        steps += 1
    network.eval()
    with torch.inference_mode():
        for volume in volumes(data / "test"):
            slices = torch.from_numpy(_windowed(volume)[:, None])
            found = torch.cat([network(part).argmax(1) for part in slices.split(BATCH_SIZE)])
            source = nib.load(volume)
            array = found.numpy().astype(np.uint8).transpose(1, 2, 0)
            nib.save(nib.Nifti1Image(array, source.affine), output / outlines(volume).name)
    return steps


def _slices(path: Path) -> np.ndarray:
    """Voxels [slices, rows, columns] in the order of the file."""
    return np.asarray(nib.load(path).dataobj).transpose(2, 0, 1)


def _windowed(path: Path) -> np.ndarray:
    """Like ``_slices``, float32, HU of the window scaled to -1 to 1."""
    low, high = WINDOW_HU
    hu = np.clip(_slices(path).astype(np.float32), low, high)
    return (hu - low) * (2 / (high - low)) - 1


if __name__ == "__main__":
    main()
