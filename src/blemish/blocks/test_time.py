"""A picture's places moved, for itself alone, until what words say of them is certain (AnoVL, arXiv:2308.15939)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NOISE, RATE, SHARE = 0.055, 1e-3, 0.5


def move_by_sentences(places: Tensor, sentences: Tensor, weights: Tensor) -> Tensor:
    """Unit vectors of half of each place (..., D) and half of what sentences (S, D) add to it: E^T tanh(W z / |z|)."""
    added = torch.tanh(F.normalize(places, dim=-1) @ weights.T) @ sentences
    return F.normalize(SHARE * places + (1 - SHARE) * added, dim=-1)


def adaptation_loss(clean: Tensor, noisy: Tensor) -> Tensor:
    """Mean entropy of logits (..., 2) of places, plus half of the cross entropies by which they are told from noise.

    clean: to be normal. noisy: to be anomalous. A scalar.
    """
    logs = clean.log_softmax(-1)
    entropy = -(logs.exp() * logs).sum(-1).mean()
    told = -noisy.log_softmax(-1)[..., 1].mean() - logs[..., 0].mean()
    return entropy + 0.5 * told


@torch.inference_mode(False)
def adapt_places(
    places: Tensor, texts: Tensor, sentences: Tensor, *, steps: int, temperature: float, seed: int
) -> Tensor:
    """Unit vectors of places (h, w, D) of one picture, moved by `steps` of AdamW from W = E: the same shape. Each step
    has other noise, from the seed. texts: (2, D), normal and anomalous.
    """
    first, both, said = (each.detach().clone() for each in (places, texts, sentences))
    weights = nn.Parameter(said.clone())
    optimizer = torch.optim.AdamW([weights], lr=RATE)
    generator = torch.Generator().manual_seed(seed)
    with torch.enable_grad():
        for _ in range(steps):
            noise = NOISE * torch.randn(first.shape, generator=generator).to(first)
            clean, noisy = (move_by_sentences(each, said, weights) for each in (first, first + noise))
            loss = adaptation_loss(clean @ both.T / temperature, noisy @ both.T / temperature)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return move_by_sentences(first, said, weights).detach()
