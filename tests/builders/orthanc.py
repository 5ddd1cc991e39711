"""A temporary Orthanc server as a DICOM archive, reachable from this machine only."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

#: Application entity titles of the archive and of the tests.
ARCHIVE, CLIENT = "ARCHIVE", "LIVERTF"
ORTHANC = shutil.which("Orthanc", path="/usr/local/bin:/usr/bin:/usr/local/sbin:/usr/sbin:/sbin")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running_archive(
    folder: Path, client_port: int, node: tuple[str, int] | None = None
) -> Iterator[int]:
    """Run an archive that accepts connections from this machine only; yield its DICOM port.

    Args:
      folder: Folder for its storage, configuration and log.
      client_port: Port to which it sends the results of C-MOVE.
      node: AE title and port of a node to which it forwards CT series, as in docs/pacs.md.
    """
    port = free_port()
    configuration = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "Plugins": [],
        "HttpServerEnabled": False,
        "RemoteAccessAllowed": False,
        "DicomAet": ARCHIVE,
        "DicomPort": port,
        "DicomCheckCalledAet": True,
        "DicomCheckModalityHost": True,
        "DicomAlwaysAllowEcho": False,
        "DicomAlwaysAllowStore": False,
        "DicomModalities": {"client": _modality(CLIENT, client_port)},
        "OverwriteInstances": False,
    }
    (folder / "storage").mkdir(parents=True)
    if node:
        (folder / "liver.lua").write_text(_documented_script(), encoding="utf-8")
        configuration["DicomModalities"]["liver"] = _modality(*node)
        configuration |= {"LuaScripts": [str(folder / "liver.lua")], "StableAge": 1}
    (folder / "orthanc.json").write_text(json.dumps(configuration), encoding="utf-8")
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            [ORTHANC, folder / "orthanc.json"], stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
    try:
        _wait_for(port, process, folder / "log")
        yield port
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)


def _modality(title: str, port: int) -> dict[str, object]:
    kinds = ("Echo", "Store", "Find", "Move", "Get")
    allowed = {f"Allow{kind}": True for kind in kinds}
    return {"AET": title, "Host": "127.0.0.1", "Port": port, **allowed}


def _documented_script() -> str:
    page = Path(__file__).parents[2] / "docs" / "pacs.md"
    script = page.read_text(encoding="utf-8").partition("```lua\n")[2].partition("```")[0]
    assert "pause = 30" in script
    return script.replace("pause = 30", "pause = 3")


def _wait_for(port: int, process: subprocess.Popen, log: Path, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise RuntimeError(f"Orthanc did not start:\n{log.read_text(errors='replace')[-2000:]}")
