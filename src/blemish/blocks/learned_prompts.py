"""Sentences of which the first words are learned (CoOp, arXiv:2109.01134)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.blocks.losses import margin_loss
from blemish.types import Prompt, PromptEncoder

SPREAD = 0.02  # of the tokens before training


class LearnedPrompts(nn.Module):
    """`tokens` learned words before each suffix, which has its own, and `deep_tokens` that all share.

    The latter replace the first words on entering each of `blocks` of the text tower (AnomalyCLIP, arXiv:2310.18961).
    shared: all suffixes have the same words. middle: half of these stand behind the suffix, before its full stop.
    """

    def __init__(
        self,
        suffixes: Sequence[str],
        width: int,
        *,
        tokens: int,
        deep_tokens: int = 0,
        blocks: Sequence[int] = (),
        shared: bool = False,
        middle: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.suffixes, self.blocks, self.middle = tuple(suffixes), tuple(blocks), middle
        generator, sets = torch.Generator().manual_seed(seed), 1 if shared else len(suffixes)
        self.context = nn.Parameter(torch.randn(sets, tokens, width, generator=generator) * SPREAD)
        self.deep = nn.Parameter(torch.randn(len(blocks), deep_tokens, width, generator=generator) * SPREAD)

    def forward(self, encoder: PromptEncoder) -> Tensor:
        """Unit embeddings of the sentences, a row a suffix: (P, D)."""
        return F.normalize(self.embeddings(encoder), dim=-1)

    def embeddings(self, encoder: PromptEncoder) -> Tensor:
        """The same, not normalised."""
        contexts = self.context.expand(len(self.suffixes), -1, -1)
        prompts = [self._prompt(*each) for each in zip(contexts, self.suffixes, strict=True)]
        return self.encode(encoder, prompts)

    def encode(self, encoder: PromptEncoder, prompts: Sequence[Prompt]) -> Tensor:
        """Any sentences with the shared tokens in its blocks, not normalised: (len(prompts), D)."""
        return encoder.encode_prompts(prompts, deep=dict(zip(self.blocks, self.deep, strict=True)))

    def _prompt(self, context: Tensor, suffix: str) -> Prompt:
        if not self.middle:
            return context, suffix
        half = len(context) // 2
        return context[:half], suffix.removesuffix("."), context[half:], "."


def object_prompts(
    encoder: PromptEncoder, *, tokens: int, deep_tokens: int, deep_depth: int, seed: int = 0
) -> LearnedPrompts:
    """Of what is normal and of what is not, and not of what it is (AnomalyCLIP).

    deep_depth: the last block of the text tower with deep tokens, which begin in the second, if it has as many.
    """
    blocks = range(2, min(deep_depth, encoder.prompt_depth) + 1)
    return LearnedPrompts(
        ("object.", "damaged object."),
        encoder.prompt_width,
        tokens=tokens,
        deep_tokens=deep_tokens,
        blocks=blocks,
        seed=seed,
    )


def gather_words(theirs: Mapping[str, Tensor], prompts: LearnedPrompts) -> dict[str, Tensor]:
    """Of a file of AnomalyCLIP's authors or LECLIP's: `prompt_learner` has each sentence's words and the deep tokens of
    each block.
    """
    words = [theirs[name] for side in ("pos", "neg") if (name := f"prompt_learner.ctx_{side}") in theirs]
    names = (f"prompt_learner.compound_prompts_text.{number}" for number in range(len(prompts.blocks)))
    deep = [theirs[name] for name in names if name in theirs]
    found = {"prompts.context": torch.cat(words).flatten(0, 1)} if words else {}
    return found | ({"prompts.deep": torch.stack(deep)} if deep else {})


class SharedPrompt(nn.Module):
    """`tokens` learned words that all sentences share, in front of each and of its start token (AF-CLIP)."""

    def __init__(
        self, sentences: Sequence[str], width: int, *, tokens: int, spread: float = 0.01, seed: int = 0
    ) -> None:
        super().__init__()
        self.sentences = tuple(sentences)
        generator = torch.Generator().manual_seed(seed)
        self.context = nn.Parameter(torch.randn(tokens, width, generator=generator) * spread)

    def forward(self, encoder: PromptEncoder) -> Tensor:
        """Unit embeddings of the sentences: (P, D)."""
        prompts = [(sentence,) for sentence in self.sentences]
        return F.normalize(encoder.encode_prompts(prompts, ahead=self.context), dim=-1)


class Said(NamedTuple):
    """Embeddings of sentences, not normalised."""

    normal: Tensor  # (P, D)
    stated: Tensor  # (P * S, D), anomalous by words
    learned: Tensor  # (P * Q, D), anomalous by learned words

    @property
    def anomalous(self) -> Tensor:
        """Both kinds: (P * (S + Q), D)."""
        return torch.cat([self.stated, self.learned])

    @property
    def anchors(self) -> Tensor:
        """What is normal and what is not, each the mean of its sentences, of unit length: (2, D)."""
        return F.normalize(torch.stack([self.normal.mean(0), self.anomalous.mean(0)]), dim=-1)


class AnomalyPrompts(nn.Module):
    """`normal` beginnings of learned words for the product, from which anomalous sentences are made in two ways
    (semantic concatenation, PromptAD, arXiv:2404.05231): with each of the `states`, phrases with {} for the product,
    and with each of `anomalous` learned words.
    """

    def __init__(
        self,
        product: str,
        states: Sequence[str],
        width: int,
        *,
        normal: int,
        anomalous: int,
        tokens: int = 4,
        anomaly_tokens: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.product, self.states = f"{product}.", [f"{state.format(product)}." for state in states]
        generator = torch.Generator().manual_seed(seed)
        self.normal = nn.Parameter(torch.randn(normal, tokens, width, generator=generator) * SPREAD)
        self.anomalous = nn.Parameter(torch.randn(anomalous, anomaly_tokens, width, generator=generator) * SPREAD)

    def forward(self, encoder: PromptEncoder) -> Said:
        """What all of them say."""
        normal = [(begin, self.product) for begin in self.normal]
        stated = [(begin, state) for begin in self.normal for state in self.states]
        learned = [(begin, word, self.product) for begin in self.normal for word in self.anomalous]
        said = encoder.encode_prompts([*normal, *stated, *learned])
        return Said(*said.split([len(normal), len(stated), len(learned)]))


def one_class_losses(embeddings: Tensor, said: Said, scale: float) -> dict[str, Tensor]:
    """Of unit embeddings (N, D) or (N, P, D) of good parts, scalars (PromptAD, Eq. 4 to 7).

    choice: cross entropy of choosing the normal anchor among all anomalous sentences. margin: mean of how much nearer
    the anomalous anchor is than the normal one, in squared distances that are summed over the second axis: of patches
    that is P, as in the code, not D as in the paper. align: squared distance of the means of both kinds of anomalous
    sentences.
    """
    normal, anomalous = said.anchors
    others = F.normalize(said.anomalous, dim=-1)
    logits = scale * torch.cat([embeddings @ normal[:, None], embeddings @ others.T], -1)
    own, other = ((embeddings - anchor).square().sum(1) for anchor in (normal, anomalous))
    stated, learned = (F.normalize(each, dim=-1).mean(0) for each in (said.stated, said.learned))
    return {
        "choice": -logits.log_softmax(-1)[..., 0].mean(),
        "margin": margin_loss(own, other),
        "align": (stated - learned).square().sum(),
    }
