"""Published files -> our model folder: the only place that knows foreign names and unpickles."""

from __future__ import annotations

from vampcli.convert.dac import DAC_PROVENANCE, import_dac
from vampcli.convert.published import PAIRS, PARTS, PROVENANCE, import_published

__all__ = ["DAC_PROVENANCE", "PAIRS", "PARTS", "PROVENANCE", "import_dac", "import_published"]
