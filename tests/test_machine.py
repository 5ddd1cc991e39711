"""The line that states the machine."""

import platform

from liver_tf.machine import machine


def test_processor_gpus_cores_and_system(tmp_path, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0}, raising=False)
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Toy 3000: fast\nmodel name\t: second\n")
    system = f"{platform.system()} {platform.machine()}"
    assert machine(["H1"], cpuinfo) == f"H1, Toy 3000: fast, 1 core, {system}"
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    assert machine((), tmp_path / "none") == f"2 cores, {system}"
