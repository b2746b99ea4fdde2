"""Choice of devices, precisions and batches."""

from types import SimpleNamespace

import pytest
import torch

from vampcli.errors import DeviceError, ExitCode, UsageError
from vampcli.model.batching import Batches
from vampcli.model.config import VampNetConfig
from vampcli.model.devices import pick_batches, pick_device, pick_dtype


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.mark.parametrize("name", ["gpu", "", "CPU", "cuda:", "cuda:x", "cuda:-1", "cpu:0", "cuda:0 "])
def test_unknown_device(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        pick_device(name)
    assert caught.value.exit_code == ExitCode.USAGE
    assert repr(name) in caught.value.message
    assert "auto, cpu, cuda" in caught.value.hint


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("name", "device"), [("auto", "cuda"), ("cuda", "cuda"), ("cuda:0", "cuda:0"), ("cuda:1", "cuda:1"), ("cpu", "cpu")]
)
def test_devices_with_two_gpus(name: str, device: str) -> None:
    assert pick_device(name) == torch.device(device)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize("name", ["cuda:2", "cuda:99", "cuda:256", "cuda:999999999999", "mps"])
def test_missing_device(name: str) -> None:
    with pytest.raises(DeviceError) as caught:
        pick_device(name)
    assert caught.value.exit_code == ExitCode.DEVICE
    assert name in caught.value.message
    assert caught.value.hint == "there are: cpu, cuda:0, cuda:1"


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:99", "mps"])
def test_devices_without_gpu(name: str) -> None:
    assert pick_device("auto") == pick_device("cpu") == torch.device("cpu")
    with pytest.raises(DeviceError) as caught:
        pick_device(name)
    assert caught.value.hint == "there are: cpu"


@pytest.mark.parametrize(("supported", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_dtypes(monkeypatch: pytest.MonkeyPatch, supported: bool, dtype: torch.dtype) -> None:
    cpu = torch.device("cpu")
    names = ("fp32", "bf16", "fp16")
    assert [pick_dtype(name, cpu) for name in names] == [torch.float32, torch.bfloat16, torch.float16]
    assert pick_dtype("auto", cpu) in (torch.float32, torch.bfloat16)
    assert pick_dtype("auto", torch.device("mps")) == torch.float32
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: supported)
    assert pick_dtype("auto", torch.device("cuda")) == dtype
    for name in ("float32", "", "BF16"):
        with pytest.raises(UsageError) as caught:
            pick_dtype(name, cpu)
        assert "auto, fp32, bf16, fp16" in caught.value.hint


def test_convolutions_stay_float32_on_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    pick_device("auto")
    assert not torch.backends.cudnn.allow_tf32


CONFIG = VampNetConfig(4, 0, 20, 1280, 20, 575)


def batches_on(monkeypatch: pytest.MonkeyPatch, gigabytes: int, exact: bool = False) -> Batches:
    """Batches for a GPU with this memory."""
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=gigabytes << 30))
    return pick_batches(torch.device("cuda"), CONFIG, exact)


def test_batches_fit_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [batches_on(monkeypatch, gigabytes).size for gigabytes in (1, 4, 8, 16, 80)]
    assert sizes == sorted(sizes)
    assert sizes[0] >= 1
    assert sizes[-1] == 64
    assert batches_on(monkeypatch, 80, exact=True).size == 1
    assert batches_on(monkeypatch, 80).n_lanes == 1


def test_batches_on_a_cpu() -> None:
    batches = pick_batches(torch.device("cpu"), CONFIG)
    assert (batches.size, batches.n_lanes) == (1, torch.get_num_threads())
    assert pick_batches(torch.device("cpu"), CONFIG, compiled=True).n_lanes == 1
    assert pick_batches(torch.device("mps"), CONFIG).size == 8
