"""The models of a run: each is read once, and loaded for the first job that needs it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vampcli.cli.jobs.job import ModelRequest
from vampcli.cli.torch_loader import load_torch

if TYPE_CHECKING:
    from vampcli.api import Model
    from vampcli.checkpoints.folder import ModelMetadata


class Models:
    """Metadata and weights of the models of a run, by request."""

    def __init__(self) -> None:
        self._metadata: dict[ModelRequest, ModelMetadata] = {}
        self._loaded: dict[ModelRequest, Model] = {}

    def metadata(self, request: ModelRequest) -> ModelMetadata:
        """Return the metadata of a model, after a check that this machine can run it.

        Raises:
            ModelError: there is no such model, or it is damaged.
            DeviceError: there is no such device.
        """
        if request not in self._metadata:
            from vampcli.checkpoints import registry
            from vampcli.checkpoints.folder import read_metadata

            self._metadata[request] = read_metadata(registry.find(request.name))
            if request.device not in ("auto", "cpu") or request.dtype not in ("auto", "fp32"):
                from vampcli.model.devices import pick_device, pick_dtype  # imports torch

                pick_dtype(request.dtype, pick_device(request.device))
        return self._metadata[request]

    def load(self, request: ModelRequest) -> Model:
        """Return a model with its weights."""
        if request not in self._loaded:
            load_torch()
            from vampcli.api import load

            self._loaded[request] = load(*request)
        return self._loaded[request]

    def licence_notes(self) -> Iterator[str]:
        """Yield a note for each loaded model whose licence forbids commercial use."""
        for request, model in self._loaded.items():
            if "NC" in (licence := model.provenance.licence):
                yield f"made with {request.name}, whose licence is {licence}: not for commercial use"
