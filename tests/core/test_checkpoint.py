import pytest
import torch

from histobridge.core.checkpoint import (
    NAME,
    load_checkpoint,
    optimizer_tensors,
    part,
    prefixed,
    restore_optimizer,
    save_checkpoint,
)
from histobridge.core.errors import ProjectError


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    tensors = {
        "a": torch.arange(6.0).reshape(2, 3).T,
        "count": torch.tensor(3),
        "bytes": torch.tensor([0, 255], dtype=torch.uint8),
    }
    values = {"step": 7, "random": {"state": 2**100}, "names": ["x"]}
    save_checkpoint(tmp_path, tensors, values)
    loaded, loaded_values = load_checkpoint(tmp_path)
    assert loaded_values == values
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)


def test_no_checkpoint_is_none(tmp_path):
    assert load_checkpoint(tmp_path) is None


def test_a_new_checkpoint_replaces_the_old_one(tmp_path):
    save_checkpoint(tmp_path, {"a": torch.zeros(1)}, {"step": 1})
    save_checkpoint(tmp_path, {"b": torch.ones(1)}, {"step": 2})
    tensors, values = load_checkpoint(tmp_path)
    assert values == {"step": 2}
    assert list(tensors) == ["b"]
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_a_torn_checkpoint_is_named(tmp_path):
    save_checkpoint(tmp_path, {"a": torch.zeros(100)}, {"step": 1})
    path = tmp_path / NAME
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ProjectError, match=NAME):
        load_checkpoint(tmp_path)


def test_an_interrupted_save_keeps_the_old_checkpoint(tmp_path):
    save_checkpoint(tmp_path, {"a": torch.zeros(1)}, {"step": 1})
    with pytest.raises(TypeError):
        save_checkpoint(tmp_path, {"a": torch.zeros(1)}, {"step": object()})
    assert load_checkpoint(tmp_path)[1] == {"step": 1}


def test_parts_of_a_checkpoint_are_found_by_their_prefix():
    tensors = prefixed("net", {"w": torch.zeros(1)}) | prefixed("network", {"w": torch.ones(1)})
    assert part("net", tensors) == {"w": torch.zeros(1)}


def test_a_restored_optimizer_goes_on_as_the_first_one_would():
    def parameter_and_optimizer():
        parameter = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
        return parameter, torch.optim.AdamW([parameter], lr=0.1)

    def step(parameter, optimizer):
        optimizer.zero_grad()
        (parameter**2).sum().backward()
        optimizer.step()

    first, first_optimizer = parameter_and_optimizer()
    for _ in range(3):
        step(first, first_optimizer)
    second, second_optimizer = parameter_and_optimizer()
    with torch.no_grad():
        second.copy_(first)
    restore_optimizer(second_optimizer, optimizer_tensors(first_optimizer))
    step(first, first_optimizer)
    step(second, second_optimizer)
    assert torch.equal(first, second)


def test_moments_come_back_in_the_order_of_their_parameters(tmp_path):
    """A fused optimizer on a GPU refuses moments in another order than channels last, which files do not keep."""

    def learned(steps):
        net = torch.nn.Conv2d(4, 8, 3).to(memory_format=torch.channels_last)
        optimizer = torch.optim.Adam(net.parameters())
        for _ in range(steps):
            net(torch.ones(1, 4, 8, 8)).sum().backward()
            optimizer.step()
        return net, optimizer

    _, first = learned(2)
    save_checkpoint(tmp_path, optimizer_tensors(first), {})
    net, second = learned(0)
    restore_optimizer(second, load_checkpoint(tmp_path)[0])
    moments = second.state[net.weight]
    assert moments["exp_avg"].stride() == moments["exp_avg_sq"].stride() == net.weight.stride()
    assert not net.weight.is_contiguous()
    for name, tensor in optimizer_tensors(second).items():
        assert torch.equal(tensor, optimizer_tensors(first)[name])
