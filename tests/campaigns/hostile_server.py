"""A server that answers anything: every answer is refused, or is one that the model can give."""

from __future__ import annotations

import contextlib
import http.server
import json
import random
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from liver_tf import checksums
from liver_tf.refusals import Refusal
from liver_tf.serving.model_clients import Rest
from liver_tf.serving.served_answer import ask
from tests.builders.ct_files import SPACING_MM, phantom_hu, write_dicom

LABELS = ["background", "liver", "cyst", "hemangioma", "metastasis"]
MODEL_ID = 7

#: Values that take the place of any other.
_VALUES = (
    *(None, True, False, "false", "NaN", "", {}, [], [[]], -1, 0, 1, 2, 99, 200, 256, 2**31, 2**70),
    *(0.5, 1e39, float("nan"), float("inf"), [0] * 1000, {"a": 1}),
)


def write_model(folder: Path) -> Path:
    """What a client needs of a version folder: ``model.json`` and its checksum."""
    (folder / "assets.extra").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"the server has the graph")
    meaning = {"labels": LABELS, "model_id": MODEL_ID}
    (folder / "assets.extra" / "model.json").write_text(json.dumps(meaning))
    checksums.write_sums(folder, ["saved_model.pb", "assets.extra/model.json"])
    return folder


def good_answer(rows: int, columns: int) -> dict[str, Any]:
    """A liver of 256 pixels with a cyst of 20 and a metastasis of 4."""
    pixel_mm2 = SPACING_MM[1] * SPACING_MM[2]
    labels = np.zeros((1, rows, columns), int)
    labels[0, 4:20, 4:20] = 1
    labels[0, 8:12, 6:11] = 2
    labels[0, 14:16, 14:16] = 4
    return {
        "label_map": labels.tolist(),
        "found_liver": [True],
        "found_lesion": [True],
        "diagnosis": [2],
        "diagnosis_probability": [[0.75, 0.0, 0.25]],
        "liver_area_mm2": [256 * pixel_mm2],
        "lesion_area_mm2": [24 * pixel_mm2],
        "model_id": [MODEL_ID],
    }


def hostile_body(generator: random.Random, rows: int, columns: int) -> bytes:
    """A damaged answer: a value, an output, the JSON or its bytes are changed."""
    answer = good_answer(rows, columns)
    name = generator.choice(sorted(answer))
    value = generator.choice(_VALUES)
    kind = generator.randrange(8)
    if kind == 0:
        del answer[name]
    elif kind == 1:
        answer[name] = value
    elif kind == 2:
        answer[name] = [value]
    elif kind == 3:
        _replace_inner(answer, name, value, generator)
    elif kind == 4:
        answer[name] = answer[name] * generator.choice((0, 2, 3))
    elif kind == 5:
        other = generator.choice(sorted(answer))
        answer[name], answer[other] = answer[other], answer[name]
    body = json.dumps({"outputs": answer}).encode()
    if kind == 6:
        damaged = bytearray(body)
        for _ in range(generator.randint(1, 4)):
            damaged[generator.randrange(len(body))] = generator.randrange(256)
        body = bytes(damaged)
    elif kind == 7:
        nested = b"[" * 10**5
        body = generator.choice(
            (b"", b"{}", b"[]", b"null", nested, body[:-9], b'{"outputs":' * 5000, body * 2)
        )
    return body


def _replace_inner(answer: dict, name: str, value: object, generator: random.Random) -> None:
    inner = answer[name]
    while isinstance(inner[-1], list):
        inner = generator.choice(inner)
    inner[generator.randrange(len(inner))] = value


@contextlib.contextmanager
def serving(bodies: list[bytes]) -> Iterator[str]:
    """The URL of a server that sends the last of ``bodies`` to every request."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):  # the client reads no more than it needs
                self.wfile.write(bodies[-1])

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/models/liver"
    finally:
        server.shutdown()
        server.server_close()


def campaign(folder: Path, count: int, seed: int) -> tuple[Counter, list[str]]:
    """Ask ``count`` times; returns the outcomes by reason code, and what went wrong."""
    model = write_model(folder / "1")
    hu = np.kron(phantom_hu()[2], np.ones((2, 2), np.int16))
    path = write_dicom(folder / "slice.dcm", hu)
    good = json.dumps({"outputs": good_answer(*hu.shape)}).encode()
    with serving([good]) as url:
        expected = list(ask(Rest(url), model, path, None))
    outcomes: Counter = Counter()
    wrong = []
    bodies: list[bytes] = [b""]
    if expected[1] != "diagnosis: cyst":
        wrong.append(f"the undamaged answer: {expected}")
    lesions = next(line for line in expected if line.startswith("lesion_area"))
    with serving(bodies) as url:
        for number in range(count):
            bodies[-1] = hostile_body(random.Random(f"{seed} {number}"), *hu.shape)
            try:
                lines = list(ask(Rest(url), model, path, None))
            except Refusal as refusal:
                outcomes[refusal.code] += 1
                continue
            except Exception as error:
                wrong.append(f"answer {number}: {type(error).__name__}: {error}")
                continue
            outcomes["accepted"] += 1
            # The label map decides; in a damaged one single pixels may be other ones.
            areas = " ".join(line for line in lines if "area" in line)
            damaged = any(text in areas for text in ("nan", "inf", "-", "unknown"))
            if lines[0] != expected[0] or lesions not in lines or damaged:
                wrong.append(f"answer {number}: {lines}")
    return outcomes, wrong
