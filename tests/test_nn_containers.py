"""ModuleList and ModuleDict: what they hold is the network's, under PyTorch's names."""

import copy
import pickle

import numpy as np
import pytest

from minigan import Tensor, nn, optim


def layers(n=3):
    return [nn.Linear(2, i + 1) for i in range(n)]


def names(net):
    return [name for name, _ in net.named_parameters()]


def test_a_list_holds_modules_under_their_numbers():
    made = layers()
    held = nn.ModuleList(made)
    assert names(held) == [f"{i}.{name}" for i in range(3) for name in ("weight", "bias")]
    assert (len(held), list(held), held[-1], held[1]) == (3, made, made[2], made[1])
    assert (made[0] in held, nn.Identity() in held) == (True, False)
    assert list(held[1:]) == made[1:]
    assert isinstance(held[1:], nn.ModuleList)
    assert len(nn.ModuleList()) == 0


def test_a_list_changes_as_a_list_does():
    made = [nn.Identity() for _ in range(9)]
    held, expected = nn.ModuleList(made[:2]), made[:2]
    assert held.append(made[2]) is held
    assert held.insert(1, made[3]) is held
    held += [made[4]]
    assert held.extend(iter([made[5]])) is held
    held[-2] = made[6]
    assert held.pop(0) is made[0]
    del held[1:3]
    expected.append(made[2])
    expected.insert(1, made[3])
    expected += [made[4], made[5]]
    expected[-2] = made[6]
    expected.pop(0)
    del expected[1:3]
    assert list(held) == expected
    assert [name for name, _ in held.named_modules()][1:] == [str(i) for i in range(len(expected))]
    with pytest.raises(IndexError):
        held[9]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda held: nn.ModuleList(nn.Identity()), "ModuleList: modules must be a list of modules, got"),
        (lambda held: held.extend("ab"), "ModuleList: modules must be a list of modules, got 'ab'"),
        (lambda held: held.append(None), "ModuleList: modules must be modules, but number 2 is None"),
        (lambda held: held.insert(0, nn.ReLU), "but number 0 is <class"),
        (lambda held: held.__setitem__(1, 3), "but number 1 is 3"),
        (lambda held: held.extend([nn.Identity(), 1]), "but number 3 is 1"),
    ],
)
def test_what_is_no_module_is_refused_with_nothing_changed(call, message):
    held = nn.ModuleList(layers(2))
    before = list(held)
    with pytest.raises(TypeError, match=message):
        call(held)
    assert list(held) == before


def test_a_dict_holds_modules_under_their_names():
    a, b, c = layers()
    held = nn.ModuleDict({"a": a})
    held["b"] = b
    held.update([("c", c)])
    assert names(held) == [f"{i}.{name}" for i in "abc" for name in ("weight", "bias")]
    assert (len(held), list(held), held["b"], "b" in held, "x" in held) == (
        3,
        ["a", "b", "c"],
        b,
        True,
        False,
    )
    assert list(held.keys()) == ["a", "b", "c"]
    assert list(held.values()) == [a, b, c]
    assert dict(held.items()) == {"a": a, "b": b, "c": c}
    assert dict(nn.ModuleDict(held).items()) == dict(held.items())
    held["a"] = c
    assert list(held) == ["a", "b", "c"]
    assert held.pop("b") is b
    del held["c"]
    assert list(held) == ["a"]
    held.clear()
    assert len(held) == 0


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (3, TypeError, "ModuleDict: modules must be a dict of modules by name, got 3"),
        (["ab", "cde"], TypeError, "ModuleDict: modules must be a dict of modules by name"),
        ({"a": nn.Identity(), "b": None}, TypeError, "ModuleDict: modules must be modules, but 'b' is None"),
        ({1: nn.Identity()}, TypeError, "the names of modules are texts, got 1"),
        ({"a.b": nn.Identity()}, ValueError, "is not empty and has no dot, got 'a.b'"),
        ({"": nn.Identity()}, ValueError, "is not empty and has no dot, got ''"),
        ({"keys": nn.Identity()}, ValueError, "no module can be called 'keys', an attribute of ModuleDict"),
        ({"training": nn.Identity()}, ValueError, "no module can be called 'training'"),
    ],
)
def test_what_is_no_named_module_is_refused_with_nothing_changed(given, error, message):
    held = nn.ModuleDict({"z": nn.Identity()})
    with pytest.raises(error, match=message):
        held.update(given)
    assert list(held) == ["z"]


def test_a_name_that_is_not_there_is_told():
    with pytest.raises(KeyError, match="ModuleDict: there is no 'x', there are: a"):
        nn.ModuleDict({"a": nn.Identity()})["x"]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stages = nn.ModuleList([nn.Linear(2, 2), nn.Dropout(0.5)])
        self.heads = nn.ModuleDict({"y": nn.Linear(2, 1), "more": nn.ModuleList([nn.BatchNorm1d(2)])})

    def forward(self, x):
        for stage in self.stages:
            x = stage(x)
        return self.heads["y"](self.heads["more"][0](x))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_what_is_held_moves_trains_and_is_copied_as_any_part_of_a_network(copied):
    net = Net()
    assert set(net.state_dict()) == {
        *("stages.0.weight", "stages.0.bias", "heads.y.weight", "heads.y.bias", "heads.more.0.weight"),
        *("heads.more.0.bias", "heads.more.0.running_mean", "heads.more.0.running_var"),
    }
    twin = copied(net)
    net.eval()
    assert not net.heads["more"][0].training
    assert twin.heads["more"][0].training
    x = Tensor(np.ones((3, 2), np.float32))
    opt = optim.SGD(twin.parameters(), 0.1)
    twin.eval()(x).sum().backward()
    opt.step()
    assert not np.array_equal(twin(x).numpy(), net(x).numpy())
    twin.load_state_dict(net.state_dict())
    np.testing.assert_array_equal(twin(x).numpy(), net(x).numpy())
    net.to(np.float64)
    assert net.heads["y"].weight.dtype == np.float64


def test_neither_is_called():
    for held in (nn.ModuleList([nn.Identity()]), nn.ModuleDict({"a": nn.Identity()})):
        with pytest.raises(NotImplementedError, match=f"{type(held).__name__} has no forward"):
            held(1)
