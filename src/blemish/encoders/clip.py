"""The pair: an image tower and a text tower that share one space, and the tokenizer between words and the latter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from blemish.encoders.clip_cnn import ModifiedResNet
from blemish.encoders.text import TextTransformer
from blemish.encoders.tokenizer import token_numbers
from blemish.encoders.transformer import check_prompts
from blemish.encoders.vit import VisionTransformer
from blemish.errors import BadInput, BadWeights
from blemish.types import Attention, Between, Capability, Features, Head, Matrices, Prompt

TokenizerSource: TypeAlias = "Tokenizer | Callable[[], Tokenizer] | None"
"""A tokenizer, or a function that fetches one as soon as there is something to read."""


class CLIP(nn.Module):
    """Images and sentences -> one space; what the image tower can do beyond the Encoder protocol passes through."""

    def __init__(
        self,
        visual: VisionTransformer | ModifiedResNet,
        text: TextTransformer,
        tokenizer: TokenizerSource = None,
        *,
        logit_scale: float = 100.0,
    ) -> None:
        super().__init__()
        self.name, self.sha256 = "", ""
        self.visual, self.text, self.logit_scale = visual, text, logit_scale
        self.image_size, self.patch_size, self.depth = visual.image_size, visual.patch_size, visual.depth
        self.width, self.widths = visual.width, visual.widths
        self.prompt_width, self.prompt_depth = text.config.width, text.config.depth
        self.sees_regions = isinstance(visual, VisionTransformer) and visual.sees_regions
        self.can: frozenset[Capability] = visual.can | {"text", "prompts"}
        self.use(tokenizer)

    def use(self, tokenizer: TokenizerSource) -> None:
        """Take this tokenizer; raises BadWeights when it numbers more tokens than the text tower has."""
        self.tokenizer = tokenizer
        if isinstance(tokenizer, Tokenizer) and tokenizer.get_vocab_size() > self.text.config.vocabulary:
            raise BadWeights(
                f"the tokenizer knows {tokenizer.get_vocab_size()} tokens, the text tower "
                f"{self.text.config.vocabulary}: they are not of one model, pass the right one as tokenizer="
            )

    def forward(
        self,
        images: Tensor,
        *,
        layers: Sequence[int] = (),
        projected: bool = False,
        attention: Attention = "qkv",
        last: int = 0,
        between: Between | None = None,
        extra: Mapping[int, Tensor] | None = None,
        normed: bool = True,
        matrices: Matrices | None = None,
    ) -> Features:
        """As `VisionTransformer.forward`; a residual network has only `layers` and `projected`."""
        return self.visual.forward(
            images, layers=layers, projected=projected, attention=attention,
            last=last, between=between, extra=extra, normed=normed, matrices=matrices,
        )  # fmt: skip

    @property
    def norm(self) -> Head:
        """The image tower's last norm: (..., C) -> (..., C). A residual network has none."""
        assert isinstance(self.visual, VisionTransformer), "no norm without seams"
        return self.visual.norm

    def project(self, patches: Tensor) -> Tensor:
        """Raw patches of the last layer in the joint space: (..., C) -> (..., D) float32."""
        return self.visual.project(patches).float()

    def encode_windows(self, images: Tensor, windows: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """As `VisionTransformer.encode_windows`."""
        if isinstance(self.visual, VisionTransformer):
            return self.visual.encode_windows(images, windows)
        raise BadInput(f"{self.name or 'this encoder'} is a residual network: windows need a vision transformer")

    def attentions(self, images: Tensor) -> list[Tensor]:
        """As `VisionTransformer.attentions`."""
        assert isinstance(self.visual, VisionTransformer), "no attention without seams"
        return self.visual.attentions(images)

    def encode_regions(self, images: Tensor, regions: Tensor) -> Tensor:
        """As `VisionTransformer.encode_regions`."""
        if isinstance(self.visual, VisionTransformer):
            return self.visual.encode_regions(images, regions)
        raise BadInput(f"{self.name or 'this encoder'} is a residual network: a region needs a vision transformer")

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Token numbers of each text from start to end token, unpadded, cut to the context the text tower has."""
        if isinstance(texts, str):
            raise BadInput("expected a list of texts, got one string: wrap it in a list")
        if self.tokenizer is not None and not isinstance(self.tokenizer, Tokenizer):
            self.use(self.tokenizer())
        if not isinstance(self.tokenizer, Tokenizer):
            raise BadWeights(
                f"{self.name or 'this encoder'} came without a tokenizer: put its tokenizer.json beside the "
                "checkpoint, or pass it as load(..., tokenizer=)"
            )
        return token_numbers(self.tokenizer, texts, self.text.config.context)

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Embeddings of sentences in their order: (len(texts), D) float32, not normalised."""
        return self.text.encode(self.tokenize(texts))

    def encode_prompts(
        self,
        prompts: Sequence[Prompt],
        *,
        deep: Mapping[int, Tensor] | None = None,
        ahead: Tensor | None = None,
        between: Between | None = None,
        head: Head | None = None,
    ) -> Tensor:
        """Embeddings of sentences with learned words, (n, prompt_width) each, among their own: (P, D) float32.

        deep: depth -> (n, prompt_width) or (P, n, prompt_width) tokens that replace the n behind the start token.
        ahead: (n, prompt_width) tokens in front of the start token, which stays the beginning of what is replaced.
        between, head: as `TextTransformer.forward`.
        """
        if not prompts:
            return self.encode_text([])
        words = list(dict.fromkeys(part for prompt in prompts for part in prompt if isinstance(part, str)))
        device = self.text.positions.device
        marks, *found = (self.text.embed(torch.tensor(each, device=device)) for each in self.tokenize(["", *words]))
        vectors = {word: each[1:-1] for word, each in zip(words, found, strict=True)}  # (t, C), without marks
        first = marks[:0] if ahead is None else ahead  # (n, C)
        bodies = [[vectors[part] if isinstance(part, str) else part for part in prompt] for prompt in prompts]
        rows = [torch.cat([first, marks[:1], *body, marks[1:]]) for body in bodies]  # (T, C) each
        start, most = len(first), self.text.config.context - 2 - len(first)
        lengths = [len(row) - 2 - start for row in rows]
        check_prompts(lengths, deep or {}, depth=self.prompt_depth, most=most)
        padded, ends = pad_sequence(rows, batch_first=True), torch.tensor(lengths) + 1 + start  # (P, T, C)
        return self.text.forward(padded, ends, deep=deep, between=between, head=head, start=start)  # (P, D)
