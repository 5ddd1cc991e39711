"""The algorithm that produced a result: program, version, hash of the weights."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from liver_tf import __version__, run_files
from liver_tf.atomic_files import sha256_of


@dataclass(frozen=True)
class AlgorithmIdentity:
    """Name and version of the algorithm, the ``made_by`` of results.

    Attributes:
      model: 16 hexadecimal digits, a hash of the weights of all networks; empty if unknown.
    """

    model: str = ""
    name: str = "liver_tf"
    version: str = __version__

    @classmethod
    def of_runs(cls, folders: Iterable[Path]) -> "AlgorithmIdentity":
        """The identity of the networks of finished runs; their order does not matter."""
        names = (run_files.DESCRIPTION, run_files.WEIGHTS)
        hashes = sorted(sha256_of(folder / name) for folder in folders for name in names)
        return cls(hashlib.sha256("".join(hashes).encode()).hexdigest()[:16])

    @property
    def equipment(self) -> dict[str, str]:
        """Arguments of highdicom for the General Equipment Module (PS3.3 C.7.5.1) of results."""
        return {
            "manufacturer": self.name,
            "manufacturer_model_name": f"{self.name} cascade",
            "software_versions": self.version,
            "device_serial_number": self.model or "unknown",
        }
