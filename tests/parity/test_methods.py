"""Our methods on the inputs of `methods/`, against what the authors' code made of them (see its PROVENANCE.md).

Tolerances are what float32 leaves of the last digits: both sides add up the same numbers in another order.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.support.learning import learn
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from blemish import encoders
from blemish.blocks import foreground as masks
from blemish.blocks.coreset import greedy_k_center
from blemish.blocks.density import PositionGaussian, Subspace
from blemish.blocks.foreground import foreground
from blemish.blocks.maps import fuse_mean, maximum, smooth, upsample
from blemish.blocks.memory import MemoryBank
from blemish.blocks.moments import mean_and_covariance, moments
from blemish.blocks.patches import describe_neighbours, join_layers
from blemish.blocks.prompts import WINCLIP, WORDINGS, sentences
from blemish.blocks.similarity import anomaly_probability
from blemish.blocks.windows import fuse_harmonic, harmonic_aggregation, sliding_windows
from blemish.detectors.anomaly_clip import AnomalyCLIP
from blemish.detectors.anomaly_dino import AnomalyDINO
from blemish.detectors.april_gan import APRILGAN
from blemish.detectors.padim import PaDiM
from blemish.detectors.patchcore import PatchCore
from blemish.detectors.subspace_ad import SubspaceAD
from blemish.detectors.winclip import WinCLIP
from blemish.encoders.clip import CLIP
from blemish.encoders.config import Resize
from blemish.encoders.tokenizer import build_tokenizer
from blemish.types import Batch, Capability, Encoder, Features, Prediction

HERE = Path(__file__).parent


def assert_near(found: Tensor, expected: Tensor, *, rtol: float = 1e-5, atol: float = 1e-6) -> None:
    assert_close(found, expected, rtol=rtol, atol=atol)


@cache
def stored(method: str) -> dict[str, Tensor]:
    found: dict[str, Tensor] = load_file(HERE / "methods" / f"{method}.safetensors")
    return found


class Playback:
    """An encoder that gives out stored layers: picture number n is an image filled with n."""

    name, sha256, can, width = "playback", "", frozenset[Capability](), 1

    def __init__(self, layers: dict[int, Tensor], *, patch_size: int, side: int = 32) -> None:
        self.layers, self.patch_size, self.image_size, self.depth = layers, patch_size, side, max(layers)
        self.widths = tuple(layers[n].shape[-1] for n in sorted(layers))

    def __call__(self, images: Tensor, *, layers: Sequence[int] = ()) -> Features:
        numbers = images[:, 0, 0, 0].long()
        return Features(torch.zeros(len(images), 1), tuple(self.layers[layer][numbers] for layer in layers))


def numbered(first: int, count: int, height: int, width: int) -> Tensor:
    """Stand-ins for pictures first, first + 1, ... of a Playback."""
    return torch.arange(first, first + count).float().view(-1, 1, 1, 1).expand(-1, 3, height, width)


def playback(method: str, *names: str, patch_size: int) -> Encoder:
    """Layers 1, 2, ... hold the training pictures and behind them the test pictures."""
    data = stored(method)
    layers = {n: torch.cat([data[f"train.{name}"], data[f"test.{name}"]]) for n, name in enumerate(names, start=1)}
    return cast(Encoder, Playback(layers, patch_size=patch_size))


def test_patchcore_joins_and_shortens_layers_alike() -> None:
    data = stored("patchcore")
    for split in ("train", "test"):
        described = [describe_neighbours(data[f"{split}.{layer}"], 12) for layer in ("layer2", "layer3")]
        joined = join_layers(described)
        features = F.adaptive_avg_pool1d(joined.flatten(1, 2), 16).unflatten(1, joined.shape[1:3])
        assert_near(features, data[f"{split}.features"])


def test_patchcore_chooses_the_same_exact_coreset() -> None:
    data = stored("patchcore")
    rows = data["train.features"].flatten(0, 2)
    for pool in (1, 16, 4096):
        assert torch.equal(greedy_k_center(rows, 40, data["exact.first_gap"], pool=pool), data["exact.indices"])


def test_patchcore_chooses_the_same_approximate_coreset() -> None:
    data = stored("patchcore")
    projected, starts = data["approximate.projected"], data["approximate.starts"]
    rows = data["train.features"].flatten(0, 2)
    assert_near(rows @ data["approximate.projection"].T, projected)
    gap = torch.stack([(projected - projected[start]).square().sum(1).sqrt() for start in starts]).mean(0)
    for pool in (1, 16, 4096):
        assert torch.equal(greedy_k_center(projected, 40, gap, pool=pool), data["approximate.indices"])


def test_patchcore_finds_the_same_neighbours_scores_and_map() -> None:
    data = stored("patchcore")
    bank = MemoryBank("euclidean")
    bank.hold(data["bank"])
    distances, numbers = bank.nearest(data["test.features"])
    assert torch.equal(numbers.squeeze(-1), data["nearest"])
    scores = distances.squeeze(-1).square()
    assert_near(scores, data["patch_scores"])
    assert_near(maximum(scores), data["image_score"])
    assert_near(smooth(upsample(scores, (32, 40)), 4.0), data["anomaly_map"])


def test_the_patchcore_detector_gives_the_same_prediction() -> None:
    data = stored("patchcore")
    detector = PatchCore(_features("patchcore", patch_size=4), layers=[1])
    detector.bank.hold(data["bank"])
    detector._patches = lambda images: detector.encoder(images, layers=[1]).patches[0]  # type: ignore[method-assign]
    found = detector(numbered(5, 2, 32, 40))
    assert_near(found.image_score, data["image_score"])
    assert_near(found.anomaly_map, data["anomaly_map"])


def _features(method: str, *, patch_size: int) -> Encoder:
    return playback(method, "features", patch_size=patch_size)


def anomaly_dino(masked: bool) -> Prediction:
    detector = AnomalyDINO(_features("anomaly_dino", patch_size=3), turns=1, masked=masked)
    found: Prediction = learn(detector, [numbered(0, 2, 42, 60)])(numbered(2, 2, 42, 60))
    return found


def test_anomaly_dino_measures_the_same_distances() -> None:
    data = stored("anomaly_dino")
    bank = MemoryBank()
    bank.hold(F.normalize(data["train.features"].flatten(0, 2), dim=-1))
    assert_near(bank.distance(data["test.features"]), data["plain.distances"])


def test_the_anomaly_dino_detector_gives_the_same_prediction() -> None:
    data, found = stored("anomaly_dino"), anomaly_dino(masked=False)
    assert_near(found.image_score, data["plain.image_score"])
    assert_near(found.anomaly_map, data["plain.anomaly_map"])


def test_anomaly_dino_thresholds_the_same_component(monkeypatch: pytest.MonkeyPatch) -> None:
    data = stored("anomaly_dino")
    monkeypatch.setattr(masks, "_dilate", lambda mask: mask)
    monkeypatch.setattr(masks, "_erode", lambda mask: mask)
    assert torch.equal(foreground(data["test.features"]), data["foreground.threshold_only"])


def test_the_masked_anomaly_dino_differs_only_where_the_masks_do() -> None:
    """The authors dilate the flattened mask; ours, dilated as a grid, is at least as wide along rows."""
    data = stored("anomaly_dino")
    ours, theirs = foreground(data["test.features"]), data["foreground"]
    expected = data["plain.distances"] * ours
    both = ours == theirs
    assert both.float().mean() > 0.8
    assert_near(expected[both], data["masked.distances"][both])
    top = expected.flatten(1).topk(int(280 * 0.01)).values.mean(1)
    assert_near(anomaly_dino(masked=True).image_score, top)


def test_subspace_ad_finds_the_same_subspace() -> None:
    data, subspace = stored("subspace_ad"), Subspace(0.99)
    rows = data["train.features"].flatten(0, 2)
    subspace.hold(*map(torch.stack, zip(*map(moments, torch.split(rows, 240)), strict=True)))
    assert_near(subspace.mean, data["mean"])
    assert subspace.axes.shape[1] == int(data["kept"])
    # A direction's sign is arbitrary.
    turned = subspace.axes * (subspace.axes * data["components"]).sum(0).sign()
    assert_close(turned, data["components"], rtol=1e-4, atol=1e-5)
    _, covariance = mean_and_covariance(moments(rows))
    values = torch.linalg.eigvalsh(covariance).flip(0)[: int(data["kept"])]
    assert_close(values.float(), data["eigenvalues"], rtol=1e-5, atol=0)
    assert_near(subspace.residual(data["test.features"]), data["scores"], rtol=1e-4)


def test_the_subspace_ad_detector_gives_the_same_prediction() -> None:
    data = stored("subspace_ad")
    assert_near(upsample(data["scores"], (40, 48)), data["resized_map"])
    detector = SubspaceAD(_features("subspace_ad", patch_size=4), layers=[1], turns=0)
    found = learn(detector, [numbered(0, 2, 40, 48), numbered(2, 2, 40, 48)])(numbered(4, 2, 40, 48))
    assert_near(found.anomaly_map, data["anomaly_map"], rtol=1e-4)
    assert_near(found.image_score, data["image_score"], rtol=1e-4)


def padim_embedding(split: str) -> Tensor:
    data = stored("padim")
    layers = [data[f"{split}.layer{number}"] for number in (1, 2, 3)]
    return join_layers(layers, mode="nearest")[..., data["channels"]]


def test_padim_joins_layers_alike() -> None:
    assert torch.equal(padim_embedding("test"), stored("padim")["test.embedding"])


def test_padim_estimates_the_same_gaussians_and_distances() -> None:
    data, gaussian = stored("padim"), PositionGaussian(0.01)
    train = padim_embedding("train")
    mean, covariance = (each.float() for each in mean_and_covariance(moments(train)))
    assert_near(mean, data["mean"])
    assert_close(covariance + 0.01 * torch.eye(7), data["covariance"], rtol=1e-5, atol=1e-5)
    gaussian.hold(train)
    assert_close(gaussian.distance(data["test.embedding"]), data["distances"], rtol=1e-4, atol=1e-5)
    assert_close(gaussian.distance(data["test.embedding"]), data["anomalib.distances"], rtol=0, atol=5e-3)


def test_the_padim_detector_gives_the_same_prediction(monkeypatch: pytest.MonkeyPatch) -> None:
    data = stored("padim")
    encoder = playback("padim", "layer1", "layer2", "layer3", patch_size=4)
    detector = PaDiM(encoder, layers=[1, 2, 3], channels=7)
    monkeypatch.setattr(torch, "randperm", lambda *_, **__: data["channels"])
    found = learn(detector, [numbered(0, 7, 32, 48), numbered(7, 5, 32, 48)])(numbered(12, 2, 32, 48))
    assert_close(found.anomaly_map, data["anomaly_map"], rtol=1e-4, atol=1e-5)
    assert_close(found.image_score, data["image_score"], rtol=1e-4, atol=1e-5)
    assert_close(found.anomaly_map, data["anomalib.anomaly_map"], rtol=0, atol=0.13)


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize(("height", "width"), [(5, 6), (15, 15)])
def test_winclip_slides_and_averages_windows_alike(height: int, width: int, size: int) -> None:
    key = f"grid_{height}x{width}.windows_{size}"
    data = stored("winclip")
    assert torch.equal(sliding_windows(height, width, size), data[f"{key}.indices"].long())
    scores = data[f"{key}.scores"].view(-1, height - size + 1, width - size + 1)
    assert_near(harmonic_aggregation(scores, size), data[f"{key}.harmonic"])


def test_winclip_associates_alike() -> None:
    data, bank = stored("winclip"), MemoryBank()
    bank.hold(F.normalize(data["association.references"].flatten(0, 1), dim=-1))
    assert_near(bank.distance(data["association.queries"]) / 2, data["association.scores"])


def test_winclip_scores_windows_and_images_against_words_alike() -> None:
    data = stored("winclip")
    texts = data["text_embeddings"]
    whole = anomaly_probability(data["image_embedding"], texts)
    assert_near(whole, data["zero_shot.image_score"])
    grids = [whole.view(-1, 1, 1).expand(-1, 6, 6)]
    for size in (2, 3):
        scores = anomaly_probability(data[f"windows.{size}"], texts)
        assert_near(scores, data[f"scores.{size}"])
        grids.append(harmonic_aggregation(scores.view(-1, 7 - size, 7 - size), size))
    fused = fuse_harmonic(*grids)
    assert_near(fused, data["zero_shot.grid"])
    assert_near(upsample(fused, (48, 48)), data["zero_shot.anomaly_map"])


def winclip() -> WinCLIP:
    """On the image tower of the reference run; every sentence is read as the random embedding of its class."""
    encoder = encoders.load(HERE / "encoders" / "open_clip_vit", precision="float32", normalization="half")
    embedded = stored("winclip")["text_embeddings"].repeat_interleave(torch.tensor([154, 88]), 0)
    assert isinstance(encoder, CLIP)
    encoder.encode_text = lambda texts: embedded  # type: ignore[method-assign]
    return WinCLIP(encoder, product="bottle")


def test_the_winclip_detector_gives_the_same_prediction_without_references() -> None:
    data = stored("winclip")
    found = winclip()(data["images"] / 255)
    assert_close(found.image_score, data["zero_shot.image_score"], rtol=1e-4, atol=1e-5)
    assert_close(found.anomaly_map, data["zero_shot.anomaly_map"], rtol=1e-4, atol=1e-5)


def test_the_winclip_detector_gives_the_same_prediction_with_references() -> None:
    data = stored("winclip")
    found = learn(winclip(), [data["reference_images"] / 255])(data["images"] / 255)
    assert_close(found.image_score, data["few_shot.image_score"], rtol=1e-4, atol=1e-5)
    assert_close(found.anomaly_map, data["few_shot.anomaly_map"], rtol=1e-4, atol=1e-5)


def test_the_winclip_detector_sees_the_same_windows_and_references() -> None:
    data, detector = stored("winclip"), winclip()
    embedding, (pairs, triples, patches) = detector._look(data["images"] / 255)
    assert_close(embedding, data["image_embedding"], rtol=1e-4, atol=1e-5)
    assert_close(pairs.flatten(1, 2), data["windows.2"], rtol=1e-4, atol=1e-5)
    assert_close(triples.flatten(1, 2), data["windows.3"], rtol=1e-4, atol=1e-5)
    assert_close(patches, data["patches"], rtol=1e-4, atol=1e-5)
    learn(detector, [data["reference_images"] / 255])
    grids = (pairs, triples, patches)
    found = [bank.distance(grid) / 2 for bank, grid in zip(detector.banks, grids, strict=True)]
    spread = [harmonic_aggregation(grid, size) for grid, size in zip(found[:2], (2, 3), strict=True)]
    assert_close(fuse_mean(*spread, found[2]), data["few_shot.reference_grid"], rtol=1e-4, atol=1e-5)


def written(states: Sequence[str], templates: Sequence[str]) -> dict[str, Any]:
    made = sentences(states, templates, "bottle")
    digest = hashlib.sha256("\n".join(sorted(made)).encode()).hexdigest()
    return {"count": len(made), "distinct": len(set(made)), "sha256": digest}


def expected_sentences(repository: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((HERE / "methods" / "prompts.json").read_text(encoding="utf-8"))[repository]
    return found


@pytest.mark.parametrize(
    ("wording", "repository", "stop"), [("april-gan", "april-gan", ""), ("winclip", "caoyunkang", ".")]
)
def test_the_sentences_are_letter_for_letter_those_of_the_public_code(wording: str, repository: str, stop: str) -> None:
    words, expected = WORDINGS[wording], expected_sentences(repository)
    templates = [template.removesuffix(stop) for template in words.templates]
    assert written(words.normal, templates) == expected["normal"]
    assert written(words.anomalous, templates) == expected["anomalous"]


@pytest.mark.parametrize("repository", ["anomalib", "zqhang"])
def test_the_other_ports_leave_out_two_of_our_templates_and_repeat_one(repository: str) -> None:
    left_out = {"a cropped photo of a {}.", "a jpeg corrupted photo of a {}."}
    assert left_out < set(WINCLIP.templates)
    templates = [*(set(WINCLIP.templates) - left_out), "a jpeg corrupted photo of the {}."]
    expected = expected_sentences(repository)
    assert written(WINCLIP.normal, templates) == expected["normal"]
    assert written(WINCLIP.anomalous, templates) == expected["anomalous"]


def published(
    method: str, folder: Path, *, image: dict[str, int], text: dict[str, int], quick_gelu: bool, resize: Resize
) -> CLIP:
    """The small CLIP that the authors' code ran on, in open_clip's layout."""
    state = {name.removeprefix("clip."): t.float() for name, t in stored(method).items() if name.startswith("clip.")}
    save_file(state, folder / "open_clip_model.safetensors")
    sizes = {"embed_dim": 16, "vision_cfg": image, "text_cfg": text, "quick_gelu": quick_gelu}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": sizes}))
    found = encoders.load(folder, precision="float32", resize=resize)
    assert isinstance(found, CLIP)
    found.use(build_tokenizer([]))
    return found


def training_batch(data: dict[str, Tensor], products: tuple[str, ...] | None = None) -> Batch:
    return Batch(data["images"] / 255, masks=data["masks"].bool(), products=products)


def gradients(detector: nn.Module, losses: dict[str, Tensor], parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    return list(torch.autograd.grad(torch.stack(list(losses.values())).sum(), parameters))


@pytest.fixture
def april_gan(tmp_path: Path) -> APRILGAN:
    text = {"context_length": 77, "vocab_size": 514, "width": 24, "heads": 3, "layers": 2}
    image = {"image_size": 64, "layers": 12, "width": 32, "head_width": 8, "patch_size": 8}
    encoder = published("april_gan", tmp_path, image=image, text=text, quick_gelu=False, resize="bicubic-antialias")
    found = APRILGAN(encoder, product="bottle")
    state = {name: t.float() for name, t in stored("april_gan").items() if name.startswith("heads.")}
    found.heads.load_state_dict({name.removeprefix("heads."): tensor for name, tensor in state.items()})
    found.updates.add()
    return found


def test_april_gan_makes_the_same_scores_maps_and_texts_from_words(april_gan: APRILGAN) -> None:
    data = stored("april_gan")
    assert april_gan.taps == (3, 6, 9, 12)
    for product in ("bottle", "metal nut"):
        assert_near(
            april_gan.read([product], torch.device("cpu"))[0], data[f"texts.{product.replace(' ', '_')}"], atol=1e-5
        )
    with torch.no_grad():
        found = april_gan(data["images"] / 255)
    assert_near(found.image_score, data["image_score"], rtol=1e-4, atol=1e-4)
    assert_near(found.anomaly_map, data["anomaly_map"], rtol=1e-4, atol=1e-4)


def test_april_gan_adds_the_same_map_of_good_parts(april_gan: APRILGAN) -> None:
    data = stored("april_gan")
    words = april_gan(data["images"] / 255)
    learn(april_gan, (data["good"] / 255).split(1))
    found = april_gan(data["images"] / 255)
    assert_near(found.anomaly_map - words.anomaly_map, data["few_shot.reference_map"], rtol=1e-4, atol=1e-4)
    assert_near(found.image_score, (words.image_score + found.anomaly_map.flatten(1).amax(1) / 8) / 2)


def test_a_training_step_of_april_gan_has_the_same_losses_and_gradients(april_gan: APRILGAN) -> None:
    data = stored("april_gan")
    (group,) = april_gan.trained_parameters()
    april_gan.heads.requires_grad_(True)
    losses = april_gan.loss(training_batch(data, ("bottle", "bottle", "metal nut", "metal nut")))
    assert_near(losses["focal"], data["loss.focal"], rtol=1e-4, atol=1e-4)
    assert_near(losses["dice"], data["loss.dice"], rtol=1e-4, atol=1e-4)
    found = gradients(april_gan, losses, group.parameters)
    assert_near(torch.stack([each.norm() for each in found]).norm(), data["gradient_norm"], rtol=1e-4, atol=1e-4)
    for (name, _), gradient in zip(april_gan.heads.named_parameters(), found, strict=True):
        assert_near(gradient, data[f"gradient.{name}"], rtol=1e-3, atol=1e-4)


@pytest.fixture
def anomaly_clip(tmp_path: Path) -> AnomalyCLIP:
    text = {"context_length": 77, "vocab_size": 514, "width": 24, "heads": 3, "layers": 5}
    image = {"image_size": 32, "layers": 6, "width": 32, "head_width": 8, "patch_size": 8}
    encoder = published("anomaly_clip", tmp_path, image=image, text=text, quick_gelu=True, resize="bilinear")
    found = AnomalyCLIP(encoder, deep_depth=4, last=4)
    state = {
        n.removeprefix("prompts."): t.float() for n, t in stored("anomaly_clip").items() if n.startswith("prompts")
    }
    found.prompts.load_state_dict(state)
    found.updates.add()
    return found.eval()


def test_anomaly_clip_reads_and_sees_the_same(anomaly_clip: AnomalyCLIP) -> None:
    data = stored("anomaly_clip")
    assert_near(anomaly_clip.texts, data["texts"], atol=1e-5)
    embedding, (patches,) = anomaly_clip.frozen(data["images"] / 255)
    assert_near(embedding, data["image_embedding"], rtol=1e-4, atol=1e-4)
    assert_near(patches, data["patches"], rtol=1e-4, atol=1e-4)


def test_anomaly_clip_makes_the_same_scores_and_maps(anomaly_clip: AnomalyCLIP) -> None:
    data = stored("anomaly_clip")
    found = anomaly_clip(data["images"] / 255)
    assert_near(found.image_score, data["image_score"], rtol=1e-4, atol=1e-4)
    assert_near(found.anomaly_map, data["anomaly_map"], rtol=1e-4, atol=1e-4)


def test_a_training_step_of_anomaly_clip_has_the_same_losses_and_gradients(anomaly_clip: AnomalyCLIP) -> None:
    data = stored("anomaly_clip")
    (group,) = anomaly_clip.trained_parameters()
    anomaly_clip.prompts.requires_grad_(True)
    losses = anomaly_clip.loss(training_batch(data))
    for name, loss in losses.items():
        assert_near(loss, data[f"loss.{name}"], rtol=1e-4, atol=1e-4)
    found = gradients(anomaly_clip, losses, group.parameters)
    assert_near(torch.stack([each.norm() for each in found]).norm(), data["gradient_norm"], rtol=1e-4, atol=1e-4)
    for gradient, name in zip(found, ("context", "deep"), strict=True):
        assert_near(gradient, data[f"gradient.{name}"], rtol=1e-3, atol=1e-4)
