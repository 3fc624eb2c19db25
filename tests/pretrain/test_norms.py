from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import torch
from tests.support.small import SIDE, student
from torch import Tensor, nn
from torch.testing import assert_close

from blemish.encoders.embedded.network import Embedded
from blemish.pretrain.norms import NormedConvolution, fold, freeze_norms, insert_norms, with_norms, without_norms


def images(count: int = 8, *, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def batches(count: int = 4) -> Iterator[Tensor]:
    return (images(seed=number) for number in range(count))


def folded_student() -> Embedded:
    """A student whose features have sizes and middles of their own, as those of a trained one do."""
    made = student([])
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for module in made.modules():
            if isinstance(module, nn.Conv2d):
                assert module.bias is not None
                module.bias.copy_(0.3 * torch.randn(module.bias.shape, generator=generator))
                module.weight.mul_(0.5 + torch.rand(len(module.weight), 1, 1, 1, generator=generator))
    return made.eval()


def seen(model: Embedded, pictures: Tensor) -> Tensor:
    """Everything that a look gives, side by side."""
    with torch.no_grad():
        found = model.outputs(pictures)
    return torch.cat([each.flatten(1) for each in (*found.stages, found.neck, found.patches, found.image)], 1)


def off(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm() / other.norm())


def test_every_convolution_gets_a_norm_and_only_one() -> None:
    model = student([])
    convolutions = sum(isinstance(module, nn.Conv2d) for module in model.modules())
    for _ in range(2):
        normed = [module for module in with_norms(model).modules() if isinstance(module, NormedConvolution)]
        assert len(normed) == convolutions
        assert all(module.convolution.bias is None for module in normed)
    assert sum(isinstance(module, nn.BatchNorm2d) for module in model.modules()) == convolutions


def test_folding_does_not_change_the_function() -> None:
    model = with_norms(folded_student()).train()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.copy_(0.5 + torch.rand(module.weight.shape, generator=generator))
    for batch in batches():
        model.outputs(batch)  # the norms gather statistics
    model.eval()
    before = seen(model, images(seed=9))
    after = seen(without_norms(model), images(seed=9))
    assert off(after, before) < 1e-5
    assert not any(isinstance(module, (nn.BatchNorm2d, NormedConvolution)) for module in model.modules())


def test_one_folded_convolution_is_the_pair_written_out() -> None:
    pair = NormedConvolution(nn.Conv2d(2, 3, 3, padding=1))
    norm = pair.norm
    for name, seed in (("weight", 1), ("bias", 2), ("running_mean", 3), ("running_var", 4)):
        tensor = getattr(norm, name)
        tensor.data.copy_(0.5 + torch.rand(3, generator=torch.Generator().manual_seed(seed)))
    x = torch.rand(2, 2, 5, 5, generator=torch.Generator().manual_seed(0))
    y = pair.convolution(x)
    mean, variance, scale, shift = (
        getattr(norm, name).detach()[:, None, None] for name in ("running_mean", "running_var", "weight", "bias")
    )
    assert_close(fold(pair)(x), (y - mean) / (variance + norm.eps).sqrt() * scale + shift)


def test_there_and_back_is_the_same_network() -> None:
    before = folded_student()
    after = without_norms(with_norms(deepcopy(before)))
    assert {name: t.shape for name, t in after.state_dict().items()} == {
        name: t.shape for name, t in before.state_dict().items()
    }
    assert off(seen(after, images()), seen(before, images())) < 1e-3  # an untouched norm divides by sqrt(1 + 1e-5)


def test_settled_norms_leave_the_function_as_it_is() -> None:
    before = folded_student()
    after = insert_norms(deepcopy(before), batches())
    assert sum(isinstance(module, NormedConvolution) for module in after.modules()) > 10
    assert off(seen(after.eval(), images(seed=9)), seen(before, images(seed=9))) < 1e-4
    assert off(seen(without_norms(after), images(seed=9)), seen(before, images(seed=9))) < 1e-4


def test_settled_norms_nearly_leave_it_in_training_too_and_plain_ones_do_not() -> None:
    before, pictures = folded_student(), images(16, seed=9)
    wanted = seen(before, pictures)
    plain = seen(with_norms(deepcopy(before)).train(), pictures)
    careful = seen(insert_norms(deepcopy(before), batches()).train(), pictures)
    assert off(careful, wanted) < 0.2
    assert off(plain, wanted) > 3 * off(careful, wanted)


def test_what_is_settled_can_still_be_trained() -> None:
    model = insert_norms(folded_student(), batches(1)).train()
    model.outputs(images()).image.square().sum().backward()
    for name, module in model.named_modules():
        if isinstance(module, NormedConvolution) and name != "dense":  # the image embedding does not pass it
            assert module.norm.weight.grad is not None
            assert module.norm.momentum == 0.1
            assert module.norm.weight.requires_grad


def test_held_norms_see_a_picture_as_if_it_were_alone() -> None:
    model = insert_norms(folded_student(), batches()).train()
    odd = torch.cat([images(7, seed=9), 4 * images(1, seed=10)])
    freeze_norms(model, deepcopy(model).state_dict())
    assert off(seen(model, odd)[7:], seen(model.eval(), odd[7:])) < 1e-4


def test_a_convolution_may_have_no_bias() -> None:
    plain = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False))
    x = images(2)
    wanted = plain(x)
    assert_close(insert_norms(deepcopy(plain), [x]).eval()(x), wanted, rtol=1e-3, atol=1e-4)
    assert_close(without_norms(with_norms(plain).eval())(x), wanted, rtol=1e-3, atol=1e-4)
