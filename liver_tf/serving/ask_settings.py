"""Options of ``ask``. Needs no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from liver_tf.default_paths import SAVED_MODEL
from liver_tf.options import REQUIRED, Options, option

if TYPE_CHECKING:
    from liver_tf.serving.model_clients import Client


@dataclass(frozen=True, kw_only=True)
class AskSettings(Options):
    """Options of querying an exported model with a slice."""

    model: Path = option(SAVED_MODEL, "Version folder of the SavedModel.")
    input: Path = option(REQUIRED, "A DICOM slice.")
    rest: str | None = option(
        None,
        "Query the server at this URL, e.g. http://localhost:8501/v1/models/liver.",
        empty_is_none=True,
    )
    grpc: str | None = option(
        None, "Query the server at this host and port, e.g. localhost:8500.", empty_is_none=True
    )
    served_as: str = option("liver", "Name of the model on the server of --grpc.")
    openvino: bool = option(False, "Run the model with OpenVINO; ignored with --rest or --grpc.")
    picture: Path | None = option(
        None, "PNG file for an overlay image of the answer.", empty_is_none=True
    )

    def client(self) -> Client:
        """The client that computes or fetches the answer; raises ``Refusal``."""
        from liver_tf.serving import model_clients

        if self.rest:
            return model_clients.Rest(self.rest)
        if self.grpc:
            return model_clients.Grpc(self.grpc, self.served_as)
        if self.openvino:
            return model_clients.OpenVino(self.model)
        return model_clients.Loaded(self.model)
