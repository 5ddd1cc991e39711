"""docs/get_started.md: the cost of every step of the job is stated."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "get_started.md"


def test_every_step_has_disk_memory_and_time():
    text = PAGE.read_text(encoding="utf-8").split("**What each step takes**")[1]
    text = text.split("\n**")[0]  # of this paragraph
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    heading, _, *steps = rows
    assert [cell.strip() for cell in heading] == ["step", "disk", "memory", "time"]
    for row in steps:
        assert len(row) == 4, row
        for cell in row:  # a figure or a word on why there is none, not a mere link
            assert re.sub(r"\[.*?\]\(.*?\)", "", cell).strip(), row
    named = {name for row in steps for name in re.findall(r"`(\w+)`", row[0])}
    assert named == {"build_tfrecords", "make_rois", "pretrain", "finetune", "evaluate", "predict"}
