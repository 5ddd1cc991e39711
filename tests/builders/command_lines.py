"""Command lines of small trainings."""

SMALL = ("--image_size=32", "--base_filters=2", "--epochs=1", "--batch_size=6")


def pretrain_arguments(work, **changes):
    values = {"network": "lesion", "records": work / "roi", "run": work / "lesion", **changes}
    return [*SMALL, *(f"--{name}={value}" for name, value in values.items())]


def finetune_arguments(work, *cycles, **changes):
    values = {
        "records": work / "roi",
        "folds_file": work / "folds.json",
        "pretrained": work / "lesion",
        "runs": work / "finetune",
        "protocol": "mine",
        "epochs": 1,
        **changes,
    }
    return [
        *(f"--{name}={value}" for name, value in values.items()),
        *(f"--cycle={cycle}" for cycle in cycles),
    ]
