from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from blemish.blocks.learned import Learned, Updates, renew_buffer
from blemish.errors import NotFitted


class Pair(Learned):
    first: Tensor
    second: Tensor

    def __init__(self) -> None:
        super().__init__("first", "second")


def stored() -> Pair:
    pair = Pair()
    pair.store({"first": torch.arange(6.0).view(2, 3), "second": torch.ones(4)})
    return pair


def test_it_is_fitted_once_everything_is_stored() -> None:
    pair = Pair()
    assert not pair.fitted
    pair.store({"first": torch.ones(2)})
    assert not pair.fitted
    with pytest.raises(NotFitted, match=r"call fit\(\)"):
        pair.require()
    pair.store({"second": torch.ones(2)})
    assert pair.fitted
    pair.require()


def test_forgetting_leads_back_to_the_beginning() -> None:
    pair = stored()
    pair.forget()
    assert not pair.fitted
    assert pair.state_dict().keys() == Pair().state_dict().keys()


def test_what_is_stored_is_a_contiguous_copy_without_gradient() -> None:
    pair, given = Pair(), torch.arange(6.0).view(2, 3).requires_grad_()
    pair.store({"first": given.T})
    assert pair.first.is_contiguous()
    assert not pair.first.requires_grad
    with torch.no_grad():
        given.zero_()
    assert pair.first.tolist() == [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]


@pytest.mark.parametrize("target", [Pair, stored])
def test_a_state_is_loaded_at_the_size_it_was_saved(target: type[Pair]) -> None:
    state = nn.ModuleDict({"inner": stored()}).state_dict()
    assert sorted(state) == ["inner.first", "inner.second"]
    outer = nn.ModuleDict({"inner": target()})
    outer.load_state_dict(state)
    assert all(torch.equal(tensor, state[name]) for name, tensor in outer.state_dict().items())


def test_a_loaded_state_is_a_copy_on_the_device_of_the_module() -> None:
    pair, state = Pair().to("meta"), stored().state_dict()
    with pytest.warns(UserWarning, match="no-op"):  # torch's, of a device without memory
        pair.load_state_dict(state)
    assert pair.first.device.type == "meta"
    pair = Pair()
    pair.load_state_dict(state)
    state["first"].zero_()
    assert pair.first.sum() == 15


def test_the_state_of_an_unfitted_one_empties_a_fitted_one() -> None:
    pair = stored()
    pair.load_state_dict(Pair().state_dict())
    assert not pair.fitted


def test_a_state_with_a_tensor_missing_is_refused() -> None:
    with pytest.raises(RuntimeError, match="second"):
        Pair().load_state_dict({"first": torch.ones(2)})


def test_before_the_first_update_nothing_can_be_asked_and_each_is_counted_and_saved() -> None:
    updates, other = Updates(), Updates()
    with pytest.raises(NotFitted, match="blemish train"):
        updates.require()
    for count in (1, 2, 3):
        updates.add()
        assert int(updates.get_buffer("count")) == count
    other.load_state_dict(updates.state_dict())
    other.require()
    assert int(other.get_buffer("count")) == 3


def test_a_buffer_is_read_anew_where_training_is_over() -> None:
    module = nn.Module()
    module.register_buffer("said", torch.zeros(2))
    weight = nn.Parameter(torch.ones(2))
    assert renew_buffer(module.train(), "said", lambda: 2 * weight) is module
    assert module.get_buffer("said").tolist() == [0, 0]
    renew_buffer(module.eval(), "said", lambda: 2 * weight)
    assert module.get_buffer("said").tolist() == [2, 2]
    assert not module.get_buffer("said").requires_grad
    assert list(module.state_dict()) == ["said"]
