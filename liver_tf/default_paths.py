"""Default inputs and outputs of the commands."""

from pathlib import Path

WHOLE_RECORDS = Path("tfrecords/sheba")
FOLDS_FILE = WHOLE_RECORDS / "folds.json"
#: Number of folds in it, as in the paper.
FOLDS = 3
ROI_RECORDS = Path("tfrecords/sheba_roi")
LIVER_RUN = Path("runs/liver")
LESION_RUN = Path("runs/lesion")
FINETUNE_RUNS = Path("runs/finetune")
PREDICTIONS = Path("predictions")
STUDY = Path("runs/study")
SAVED_MODEL = Path("saved_models/liver/1")
