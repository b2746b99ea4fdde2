from __future__ import annotations

import pytest
import torch

from conftest import music, tiny_parts
from vampcli.codec import chunked


@pytest.mark.parametrize("n_samples", [1, 50 * 768, 50 * 768 + 1, 145_000])
def test_ranges_give_what_the_whole_gives(n_samples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    codec = tiny_parts().codec
    samples = torch.from_numpy(music(4, 44100)[0]).float()[:n_samples]
    monkeypatch.setattr(chunked, "_FRAMES_AT_ONCE", 50)
    with torch.inference_mode():
        codes = codec.encode(samples)
        assert (chunked.encode_long(codec, samples) == codes).float().mean() > 0.999
        torch.testing.assert_close(chunked.decode_long(codec, codes), codec.decode(codes), atol=1e-4, rtol=0)
