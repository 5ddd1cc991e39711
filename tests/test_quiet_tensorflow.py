"""TensorFlow's own log lines stay off the terminal; errors of any origin reach it."""

import os
import re
import select
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from liver_tf.quiet_tensorflow import copy_without_noise
from tests.builders.command_lines import SMALL

ROOT = Path(__file__).parents[1]

STAMP = "0000 00:00:1795837549.082010   32172"

#: As TensorFlow 2.21 writes them (some shortened at the end).
NOISE = [
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
    f"I{STAMP} port.cc:153] oneDNN custom operations are on. You may see slightly different",
    f"I{STAMP} cudart_stub.cc:31] Could not find cuda drivers on your machine",
    f"I{STAMP} cpu_feature_guard.cc:227] This TensorFlow binary is optimized to use available CPU",
    "To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow with",
    f"E{STAMP} cuda_platform.cc:52] failed call to cuInit: INTERNAL: CUDA error: Failed call to",
    f"E{STAMP} node_def_util.cc:682] NodeDef mentions attribute use_unbounded_threadpool which is",
    f"E{STAMP} util.cc:131] oneDNN supports DT_HALF only on platforms with AVX-512. Falling back",
    "2026-11-28 03:46:11.448682: I tensorflow/cc/saved_model/loader.cc:83] Reading SavedModel from",
]

ERRORS = [
    "Traceback (most recent call last):",
    f"F{STAMP} tensor.cc:852] Check failed: dtype() == expected_dtype (1 vs. 3)",
    f"E{STAMP} bfc_allocator.cc:500] Allocator (GPU_0_bfc) ran out of memory trying to allocate",
    f"W{STAMP} cpu_allocator_impl.cc:84] Allocation of 4294967296 exceeds 10% of free memory.",
    "terminate called after throwing an instance of 'std::bad_alloc'",
    "I am a line that begins with an I",
    "",
]


def filtered(*pieces: bytes) -> bytes:
    """What comes out when the pieces are written one after the other."""
    in_read, in_write = os.pipe()
    out_read, out_write = os.pipe()

    def write():
        for piece in pieces:
            os.write(in_write, piece)
        os.close(in_write)

    def copy():
        copy_without_noise(in_read, out_write)
        os.close(in_read)
        os.close(out_write)

    for work in (write, copy):
        threading.Thread(target=work).start()
    with open(out_read, "rb") as output:
        return output.read()


@pytest.mark.parametrize("line", NOISE)
def test_a_known_line_is_dropped(line):
    assert filtered(b"before\n", line.encode() + b"\n", b"after\n") == b"before\nafter\n"


@pytest.mark.parametrize("line", NOISE)
def test_a_known_line_in_two_pieces_is_dropped(line):
    first, second = line[:15].encode(), line[15:].encode()
    assert filtered(first, second + b"\nafter\n") == b"after\n"


@pytest.mark.parametrize("line", ERRORS)
def test_any_other_line_is_kept(line):
    assert filtered(line.encode() + b"\n") == line.encode() + b"\n"


def test_bytes_are_unchanged():
    data = bytes(range(256)) * 600 + b"\r 10%\r 20%\x1b[0m no newline at the end"
    assert filtered(data[:70_000], data[70_000:]) == data


@pytest.mark.parametrize("text", [b"progress 10%", b"I wonder", f"E{STAMP} tens".encode()])
def test_an_unfinished_line_is_not_held_back(text):
    in_read, in_write = os.pipe()
    out_read, out_write = os.pipe()
    thread = threading.Thread(target=copy_without_noise, args=(in_read, out_write))
    thread.start()
    os.write(in_write, text)
    assert select.select([out_read], [], [], 10)[0], "nothing came before the line's end"
    assert os.read(out_read, 100) == text
    os.close(in_write)
    thread.join()
    for descriptor in (in_read, out_read, out_write):
        os.close(descriptor)


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    setup = (
        "import os, sys\nfrom liver_tf import quiet_tensorflow\n"
        "quiet_tensorflow._filter_descriptor_2()\n"
    )
    return subprocess.run(
        [sys.executable, "-c", setup + code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    ("end", "status"),
    [("os.abort()", -6), ("os._exit(3)", 3), ("os.kill(os.getpid(), 9)", -9), ("sys.exit(0)", 0)],
)
def test_the_last_words_of_a_process_arrive_however_it_ends(end, status):
    fatal = f"F{STAMP} tensor.cc:852] Check failed"
    written = f"{NOISE[1]}\n{fatal}\n".encode()
    done = run_python(f"os.write(2, {written!r})\n{end}")
    assert done.returncode == status
    assert done.stderr == fatal + "\n"


def test_a_traceback_arrives():
    done = run_python("def outer():\n    1 / 0\nouter()")
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback (most recent call last):")
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_a_child_process_is_filtered_too():
    child = f"import os; os.write(2, {f'{NOISE[1]}{chr(10)}a message of the child'.encode()!r})"
    done = run_python(f"import subprocess\nsubprocess.run([sys.executable, '-c', {child!r}])")
    assert done.stderr == "a message of the child"


def test_pythons_own_output_stays_on_the_terminal_itself():
    code = (
        "import pty, os, sys\n"
        "pid, terminal = pty.fork()\n"
        "if pid == 0:\n"
        "    from liver_tf import quiet_tensorflow\n"
        "    quiet_tensorflow._filter_descriptor_2()\n"
        "    print(sys.stderr.isatty(), os.isatty(2), file=sys.stderr)\n"
        "    os._exit(0)\n"
        "print(os.read(terminal, 100).decode())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["True", "False"]


@pytest.mark.long
def test_commands_print_no_line_of_tensorflow(lits_set, save_runs, tmp_path, tiny_phantom):
    """Train, export and predict: standard error holds progress bars at most."""
    runs = save_runs(tmp_path)
    networks = f"--liver_run={runs}/liver"
    scan = next((tiny_phantom / "lits").rglob("volume-0.nii*"))
    picture = next((tiny_phantom / "sheba").rglob("*.dcm"))
    for module, *arguments in (
        ("pretrain", "--network=liver", f"--records={lits_set}", f"--run={tmp_path}/new", *SMALL),
        ("export", f"--run={runs}/one", networks, f"--output={tmp_path}/saved/1"),
        ("ask", f"--model={tmp_path}/saved/1", f"--input={picture}"),
        ("predict", f"--model={runs}/one", networks, f"--input={scan}", f"--output={tmp_path}/out"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", f"trainers.{module}", *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        lines = [line for line in re.split("[\r\n]", done.stderr) if line and "it/s" not in line]
        # Notes of our own: the runs of this test have no checksums and find nothing like a liver,
        # or a lesion.
        own = ("note: ", "Next: ", "scan-001: [liver-", "scan-001: [lesion-")
        lines = [line for line in lines if not line.startswith(own)]
        assert (done.returncode, lines) == (0, []), module


def test_libraries_that_no_command_needs_are_not_imported_with_tensorflow():
    program = (
        "import sys\n"
        "from liver_tf.quiet_tensorflow import import_tensorflow\n"
        "import_tensorflow()\n"
        "import liver_tf.training.finetuning, liver_tf.training.pretraining\n"
        "print(sorted({'matplotlib', 'pandas', 'sklearn'} & set(sys.modules)))\n"
        "import matplotlib, sklearn.model_selection\n"
        "print(matplotlib.__name__, sklearn.__name__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.splitlines() == ["[]", "matplotlib sklearn"]
