"""CVGSSL: "CLIP-Vision Guided Self-Supervised Learning", IEEE Transactions on Industrial Informatics: a small residual
network learns from unlabelled pictures of defects, guided by what a frozen encoder sees in crops of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.blocks.heads import draw_affine
from blemish.blocks.maps import smooth
from blemish.encoders.checkpoints.residual import torchvision_tensors
from blemish.encoders.cnn import ResNet, ResNetConfig
from blemish.encoders.inputs import as_tensor
from blemish.errors import BadImage, BadInput
from blemish.files import write
from blemish.images import decode, read, unit
from blemish.pretrain.norms import with_norms, without_norms
from blemish.pretrain.objectives import guided_losses
from blemish.progress import ShowProgress, no_progress
from blemish.training.loop import never, train
from blemish.training.schedule import Schedule
from blemish.training.trainable import ParameterGroup
from blemish.types import Encoder

RESNET18 = ResNetConfig(depths=(2, 2, 2, 2), hidden=(64, 128, 256, 512), widths=(64, 128, 256, 512), basic=True)
SCALES = ((0.08, 1.0), (0.2, 1.0), (0.172, 0.86), (0.143, 0.715), (0.114, 0.571))
"""Of each crop, the share of the picture's area; the first is compared with all others."""


@dataclass(frozen=True, slots=True)
class GuidedBatch:
    """Crops of pictures, and what the guide sees in them."""

    crops: Tensor  # (V, N, 3, side, side)
    guides: Tensor  # (V, N, E)

    def to(self, device: torch.device | str) -> GuidedBatch:
        """The same batch there."""
        return GuidedBatch(self.crops.to(device), self.guides.to(device))


class GuidedModel(nn.Module):
    """The network with its projection and prediction, and an adapter of what the guide sees.

    Deviation: trained by AdamW, as all here, where the authors have SGD at a rate of .3.
    """

    def __init__(
        self,
        config: ResNetConfig,
        guide: int,
        *,
        output: int = 256,
        hidden: int = 512,
        adapter: int = 1024,
        seed: int = 0,
    ) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.student = with_norms(_drawn(config, generator))
        self.projector = _layers([config.widths[-1], hidden, output], generator)
        self.predictor = _layers([output, hidden, output], generator, normed=False)
        self.adapter = _layers([guide, adapter, adapter, output], generator)

    def trained_parameters(self) -> Iterable[ParameterGroup]:
        """All of them."""
        return [ParameterGroup(list(self.parameters()), decay=1e-6)]

    def loss(self, batch: GuidedBatch) -> Mapping[str, Tensor]:
        """The terms of `guided_losses`."""
        first, *others = [self.projector(self.student(crop).image) for crop in batch.crops]
        return guided_losses(first, self.predictor, others, [self.adapter(each) for each in batch.guides])


def pretrain_by_guide(
    paths: Sequence[Path],
    guide: Encoder,
    schedule: Schedule,
    folder: Path,
    *,
    config: ResNetConfig = RESNET18,
    side: int = 224,
    watch: ShowProgress = no_progress,
    stop: Callable[[], bool] = never,
) -> tuple[ResNet, bool]:
    """The network as far as it was trained, its norms folded in, and whether all steps are done."""
    if min(len(paths), schedule.batch_size) < 2:
        raise BadInput("a picture is learned by telling it from others: give two or more, and a batch of two at least")
    model = GuidedModel(config, guide.width, seed=schedule.seed)

    def batch(number: int) -> GuidedBatch:
        generator = torch.Generator().manual_seed(schedule.seed * 1_000_003 + number)
        chosen = torch.randperm(len(paths), generator=generator)[: schedule.batch_size].tolist()
        pictures = [_shown(found) for _, found in decode([paths[each] for each in chosen], _pixels)]
        crops = torch.stack([torch.stack([_crop(each, v, side, generator) for each in pictures]) for v in range(5)])
        return GuidedBatch(crops, _guides(guide, crops))

    done = train(model, batch, schedule, folder, watch=watch, stop=stop)
    return without_norms(model.student).eval(), done


def write_residual(network: ResNet, path: Path) -> None:
    """A checkpoint with torchvision's names, which `blemish.encoders.load` reads."""
    write(path, save(torchvision_tensors(network)))


def _pixels(path: Path) -> Tensor:
    return as_tensor(unit(read(path)))


def _shown(found: Tensor | BadImage) -> Tensor:
    if isinstance(found, BadImage):
        raise found
    return found


@torch.no_grad()
def _guides(guide: Encoder, crops: Tensor) -> Tensor:
    size = (guide.image_size, guide.image_size)
    resized = F.interpolate(crops.flatten(0, 1), size, mode="bilinear", antialias=True, align_corners=False)
    seen: Tensor = guide(resized.clamp(0, 1)).image.unflatten(0, crops.shape[:2])
    return seen


def _crop(picture: Tensor, number: int, side: int, generator: torch.Generator) -> Tensor:
    """One of `SCALES` of a picture (3, H, W), in other light and mirrored; all but the first maybe grey and blurred."""
    draws = torch.rand(10, generator=generator).tolist()
    height, width = picture.shape[1:]
    low, high = SCALES[number]
    area, aspect = height * width * (low + (high - low) * draws[0]), math.exp((2 * draws[1] - 1) * math.log(4 / 3))
    tall, wide = (max(1, min(most, round(each))) for most, each in (
        (height, math.sqrt(area / aspect)), (width, math.sqrt(area * aspect))))  # fmt: skip
    top, left = int(draws[2] * (height - tall + 1)), int(draws[3] * (width - wide + 1))
    part = picture[:, top : top + tall, left : left + wide]
    seen: Tensor = F.interpolate(part[None], (side, side), mode="bilinear", antialias=True, align_corners=False)[0]
    seen = seen.flip(2) if draws[4] < 0.5 else seen
    seen = seen.flip(1) if number == 0 and draws[5] < 0.25 else seen
    seen = seen * (0.8 + 0.4 * draws[6])
    seen = (seen - seen.mean()) * (0.8 + 0.4 * draws[7]) + seen.mean()
    if number and draws[8] < 0.2:
        seen = seen.mean(0, keepdim=True).expand(3, -1, -1)
    if number and draws[9] < 0.5:
        seen = smooth(seen, 0.1 + 3.8 * draws[9])
    return seen.clamp(0, 1)


def _drawn(config: ResNetConfig, generator: torch.Generator) -> ResNet:
    """A network with He's weights."""
    with torch.device("meta"):
        network = ResNet(config)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            scale = math.sqrt(2 / module.weight[0].numel())
            module.weight = nn.Parameter(torch.randn(module.weight.shape, generator=generator) * scale)
            module.bias = nn.Parameter(torch.zeros(module.out_channels))
    return network


def _layers(widths: Sequence[int], generator: torch.Generator, *, normed: bool = True) -> nn.Sequential:
    """Linear maps with batch norms and ReLUs between them; the last one has a norm if `normed`."""
    layers: list[nn.Module] = []
    for number, (inputs, outputs) in enumerate(pairwise(widths), start=2):
        layers.append(draw_affine(inputs, outputs, generator, bias=False))
        if number < len(widths):
            layers += [nn.BatchNorm1d(outputs), nn.ReLU()]
        elif normed:
            layers.append(nn.BatchNorm1d(outputs))
    return nn.Sequential(*layers)
