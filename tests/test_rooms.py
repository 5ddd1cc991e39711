"""The rooms: which may import which, what a command file may define, and how fast help is shown."""

import ast
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from liver_tf.command_line.flags_of_options import load_settings
from liver_tf.model.blocks import ENCODER
from liver_tf.training.training_settings import FinetuneSettings

ROOT = Path(__file__).parents[1]

#: Modules that every room may import and that import no room.
GROUND = {
    "liver_tf",
    "liver_tf.labels",
    "liver_tf.palette",
    "liver_tf.refusals",
    "liver_tf.atomic_files",
    "liver_tf.bounded_files",
    "liver_tf.bundled_networks",
    "liver_tf.checksums",
    "liver_tf.counted",
    "liver_tf.csv_text",
    "liver_tf.disk_full",
    "liver_tf.extras",
    "liver_tf.folder_lock",
    "liver_tf.machine",
    "liver_tf.progress",
    "liver_tf.run_files",
    "liver_tf.scan_ranges",
    "liver_tf.trained_on",
    "liver_tf.quiet_tensorflow",
    "liver_tf.terminal_output",
    "liver_tf.options",
    "liver_tf.default_paths",
    "liver_tf.model.blocks",
}

#: The order in which data flows; a room may import those before it.
ROOMS = (
    "liver_tf.ct",
    "liver_tf.phantom",
    "liver_tf.records",
    "liver_tf.measures",
    "liver_tf.model",
    "liver_tf.pipeline",
    "liver_tf.training",
    "liver_tf.inference",
    "liver_tf.conversion",
    "liver_tf.results",
    "liver_tf.statistics",
    "liver_tf.report",
    "liver_tf.inspection",
    "liver_tf.assessment",
    "liver_tf.export",
    "liver_tf.implants",
    "liver_tf.anatomical",
    "liver_tf.prediction",
    "liver_tf.node",
    "liver_tf.serving",
    "liver_tf.command_line",
    "liver_tf.studies",
    "data_prep",
    "trainers",
)

#: What a room may not import although it comes earlier, or is no room.
FORBIDDEN = {
    "liver_tf.ct": {"tensorflow", "keras"},
    "liver_tf.phantom": {"tensorflow", "keras"},
    "liver_tf.records": {"keras"},
    "liver_tf.measures": {"tensorflow", "keras"},
    "liver_tf.pipeline": {"keras"},
    "liver_tf.inference": {"liver_tf.training"},
    "liver_tf.statistics": {"tensorflow", "keras"},
    "liver_tf.results": {"liver_tf.training"},
    "liver_tf.report": {"liver_tf.training"},
    "liver_tf.export": {"liver_tf.training"},
}

COMMANDS = {"data_prep", "trainers"}


def imports_of(source):
    """Dotted names of all that a module imports, also inside functions; ``a.b`` of ``from a``."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the room; write the whole name"
            found |= {f"{node.module}.{name.name}" for name in node.names}
        elif isinstance(node, ast.Name) and node.id in ("__import__", "importlib"):
            found.add("importlib")
    return found


def is_within(name, package):
    return name == package or name.startswith(f"{package}.")


def room_of(name):
    """The room of a module, or None for one of the ground or of another project."""
    if any(is_within(name, module) for module in GROUND - {"liver_tf"}):
        return None
    return next((room for room in ROOMS if is_within(name, room)), None)


def violations(module, source):
    """What is wrong with a module's imports, one line each."""
    if module == "liver_tf":  # the public API imports the rooms on demand
        return []
    room = room_of(module)
    allowed = set() if room is None else set(ROOMS[: ROOMS.index(room) + 1])
    forbidden = FORBIDDEN.get(room, set())
    wrong = []
    for name in sorted(imports_of(source)):
        target = room_of(name)
        if target is not None and target not in allowed:
            wrong.append(f"{module} imports {name}, which comes later")
        if any(is_within(name, package) for package in forbidden):
            wrong.append(f"{module} may not import {name}")
        if is_within(name, "absl") and room != "liver_tf.command_line":
            wrong.append(f"{module} imports {name}: only liver_tf.command_line uses absl")
        if is_within(name, "importlib") and not is_within(name, "importlib.metadata"):
            wrong.append(f"{module} imports by name at run time: the order cannot be held")
    return wrong


def modules():
    for top in ("liver_tf", "data_prep", "trainers"):
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            yield name, path.read_text(encoding="utf-8")


def test_imports_follow_the_rooms():
    found = list(modules())
    assert len(found) > 50
    assert [line for name, source in found for line in violations(name, source)] == []


def test_every_module_lies_in_a_room_or_is_of_the_ground():
    assert [name for name, _ in modules() if room_of(name) is None and name not in GROUND] == []


def test_every_room_of_the_order_is_there():
    names = {name for name, _ in modules()}
    assert set(ROOMS) <= names
    assert names >= GROUND


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("liver_tf.ct.window", "import tensorflow as tf"),
        ("liver_tf.ct.window", "def f():\n    from tensorflow import keras"),
        ("liver_tf.ct.window", "from liver_tf.records import schema"),
        ("liver_tf.records.record_schema", "import keras.layers"),
        ("liver_tf.records.record_schema", "from liver_tf import pipeline"),
        ("liver_tf.model.unet", "from liver_tf.pipeline.resample import weights"),
        ("liver_tf.inference.roi_box", "from liver_tf.training.task import Task"),
        ("liver_tf.report.write_report", "import liver_tf.training.job"),
        ("liver_tf.export.saved_model", "from liver_tf import training"),
        ("liver_tf.export.dicom_seg_writer", "from liver_tf.prediction import one_scan"),
        ("liver_tf.training.job", "from absl import flags"),
        ("trainers.pretrain", "from absl import flags"),
        ("liver_tf.training.job", "from liver_tf.inference import cascade"),
        ("liver_tf.labels", "from liver_tf.ct import window"),
        ("liver_tf.conversion.cases", "def f():\n    from trainers import sources"),
        ("liver_tf.records.record_schema", "import importlib"),
    ],
)
def test_a_violation_is_seen(module, source):
    assert violations(module, source) != []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("liver_tf.ct.window", "from liver_tf.refusals import Refusal"),
        ("liver_tf.inference.roi_box", "from liver_tf.pipeline import resample"),
        ("trainers.pretrain", "from liver_tf.command_line.run_command import run"),
        ("liver_tf.command_line.flags_of_options", "from absl import flags"),
        ("liver_tf.model.unet", "from liver_tf.options import option"),
    ],
)
def test_what_is_allowed_is_not_called_a_violation(module, source):
    assert violations(module, source) == []


def commands():
    """Name and source of each command."""
    for name, source in modules():
        if name.split(".")[0] in COMMANDS and name not in COMMANDS:
            yield name, source


COMMAND_NAMES = sorted(name for name, _ in commands())


def faults_of_command(source):
    """What a command file contains beside imports, ``main`` and the call that runs it."""
    tree = ast.parse(source)
    faults = []
    if len(source.splitlines()) > 60:
        faults.append("longer than 60 lines")
    *body, last = tree.body
    if ast.get_docstring(tree) is None:
        faults.append("no docstring")
    if not (isinstance(last, ast.If) and ast.unparse(last.test) == "__name__ == '__main__'"):
        faults.append("does not end by running main")
    for node in body[1:]:
        named_main = isinstance(node, ast.FunctionDef) and node.name == "main"
        if not (isinstance(node, ast.Import | ast.ImportFrom) or named_main):
            faults.append(f"line {node.lineno}: {ast.unparse(node).splitlines()[0]}")
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    return faults + [f"line {node.lineno}: class {node.name}" for node in classes]


@pytest.mark.parametrize(("name", "source"), commands(), ids=COMMAND_NAMES)
def test_a_command_only_defines_main(name, source):
    assert faults_of_command(source) == []


def test_the_file_of_a_command_is_not_a_place_for_logic():
    good = '"""Does it."""\nimport sys\ndef main(settings):\n    return 0\n'
    end = 'if __name__ == "__main__":\n    run(main)\n'
    assert faults_of_command(good + end) == []
    assert faults_of_command(good + "def _helper():\n    pass\n" + end) != []
    assert faults_of_command(good + "LIMIT = 3\n" + end) != []
    assert faults_of_command(good + "class Plan:\n    pass\n" + end) != []
    assert faults_of_command(good + "\n" * 60 + end) != []
    assert faults_of_command(good) != []


def test_the_commands_of_the_real_job_are_there():
    assert set(COMMAND_NAMES) >= {
        "data_prep.build_tfrecords",
        "data_prep.make_rois",
        "data_prep.phantom",
        "trainers.pretrain",
        "trainers.finetune",
        "trainers.evaluate",
        "trainers.predict",
        "trainers.export",
    }


def test_files_of_tests_have_different_names():
    """Pytest imports them by their names alone: two equal ones stop every run of all tests."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("command", COMMAND_NAMES)
def test_help_comes_quickly_and_without_tensorflow(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", command, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    imported = {
        line.rsplit("|", 1)[1].strip()
        for line in done.stderr.splitlines()
        if line.startswith("import time:")
    }
    assert "absl.flags" in imported
    assert not imported & {"tensorflow", "keras"}
    assert done.returncode == 0
    assert "--flagfile" in done.stdout
    assert "Traceback" not in done.stderr
    # Processor time in seconds; TensorFlow alone takes four.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5


@pytest.mark.parametrize("command", ["pretrain", "finetune"])
def test_help_shows_the_flags_of_the_groups_too(command):
    done = subprocess.run(
        [sys.executable, "-m", f"trainers.{command}", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    for flag in ("learning_rate", "epochs", "batch_size", "norm", "seed", "rotation_degrees"):
        assert f"  --{flag}: " in done.stdout


#: The paper's protocols: where they start and what each of their cycles holds fixed.
PAPER = {
    "baseline": ("scratch", [()]),
    "no_freezing": ("pretrained", [()]),
    "freeze_encoder": ("pretrained", [ENCODER]),
    "hier_freeze": (
        "pretrained",
        [
            (),
            ("enc1",),
            ("enc1", "enc2"),
            ("enc1", "enc2", "enc3"),
            ("enc1", "enc2", "enc3", "enc4"),
        ],
    ),
    "hier_unfreeze": (
        "pretrained",
        [
            ("enc1", "enc2", "enc3", "enc4", "enc5"),
            ("enc1", "enc2", "enc3", "enc4"),
            ("enc1", "enc2", "enc3"),
            ("enc1", "enc2"),
            ("enc1",),
            (),
        ],
    ),
}


def test_all_five_protocols_lie_in_the_root():
    assert {path.stem for path in ROOT.glob("*.flags")} >= set(PAPER)


@pytest.mark.parametrize(
    ("control", "protocol"),
    [("no_freezing_5_cycles", "hier_freeze"), ("no_freezing_6_cycles", "hier_unfreeze")],
)
def test_controls_are_as_long_as_what_they_control(control, protocol):
    lines = (ROOT / f"{control}.flags").read_text().splitlines()
    cycles = [line for line in lines if line.startswith("--cycle=")]
    assert cycles == ["--cycle=none"] * len(PAPER[protocol][1])


@pytest.mark.parametrize("path", sorted(ROOT.glob("*.flags")), ids=lambda path: path.stem)
def test_the_flag_file_of_a_protocol_equals_the_paper(path):
    settings = load_settings(FinetuneSettings, path)
    protocol = settings.parsed_protocol()
    cycles = protocol.cycles
    assert protocol.name == path.stem
    assert cycles
    if protocol.name in PAPER:
        assert protocol.start == PAPER[protocol.name][0]
        assert [cycle.fixed for cycle in cycles] == PAPER[protocol.name][1]
        # The paper gives every cycle the same schedule.
        assert {cycle.learning_rate for cycle in cycles} == {5e-5}
        assert {cycle.epochs for cycle in cycles} == {80}
