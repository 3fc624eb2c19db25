"""The pair: an image tower and a text tower that share one space, and the tokenizer between words and the latter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tokenizers import Tokenizer
from torch import Tensor, nn

from blemish.encoders.checkpoints.hub import published_tokenizer
from blemish.encoders.checkpoints.tokenizer import token_numbers
from blemish.encoders.cnn import ModifiedResNet
from blemish.encoders.text import TextTransformer
from blemish.encoders.transformer import Attention
from blemish.encoders.vit import Between, VisionTransformer
from blemish.errors import BadInput, BadWeights
from blemish.types import Features

PUBLISHED_VOCABULARY = 49408


class CLIP(nn.Module):
    """Images and sentences -> one space; what the image tower can do beyond the Encoder protocol passes through."""

    def __init__(
        self,
        visual: VisionTransformer | ModifiedResNet,
        text: TextTransformer,
        tokenizer: Tokenizer | None = None,
        *,
        logit_scale: float = 100.0,
    ) -> None:
        super().__init__()
        self.name, self.sha256 = "", ""
        self.visual, self.text, self.logit_scale = visual, text, logit_scale
        self.image_size, self.patch_size, self.depth = visual.image_size, visual.patch_size, visual.depth
        self.width = visual.width  # of the joint space
        self.use(tokenizer)

    def use(self, tokenizer: Tokenizer | None) -> None:
        """Take this tokenizer; raises BadWeights when it numbers more tokens than the text tower has."""
        self.tokenizer = tokenizer
        if tokenizer is not None and tokenizer.get_vocab_size() > self.text.config.vocabulary:
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
    ) -> Features:
        """As `VisionTransformer.forward`; a residual network has only `layers` and `projected`."""
        if isinstance(self.visual, VisionTransformer):
            return self.visual.forward(
                images, layers=layers, projected=projected, attention=attention, last=last, between=between, extra=extra
            )
        if attention != "qkv" or between is not None or extra:
            raise BadInput(
                f"{self.name or 'this encoder'} is a residual network: it has no attention, between or extra"
            )
        return self.visual.forward(images, layers=layers, projected=projected)

    def project(self, patches: Tensor) -> Tensor:
        """Raw patches of the last layer in the joint space: (..., C) -> (..., D) float32."""
        return self.visual.project(patches).float()

    def encode_windows(self, images: Tensor, windows: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """As `VisionTransformer.encode_windows`."""
        if isinstance(self.visual, VisionTransformer):
            return self.visual.encode_windows(images, windows)
        raise BadInput(f"{self.name or 'this encoder'} is a residual network: windows need a vision transformer")

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Token numbers of each text from start to end token, unpadded, cut to the context the text tower has."""
        if isinstance(texts, str):
            raise BadInput("expected a list of texts, got one string: wrap it in a list")
        if self.tokenizer is None:
            if self.text.config.vocabulary != PUBLISHED_VOCABULARY:
                raise BadWeights(
                    f"{self.name or 'this encoder'} came without a tokenizer: put its tokenizer.json beside the "
                    "checkpoint, or pass it as load(..., tokenizer=)"
                )
            self.use(published_tokenizer())
        assert self.tokenizer is not None
        return token_numbers(self.tokenizer, texts, self.text.config.context)

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Embeddings of sentences in their order: (len(texts), D) float32, not normalised."""
        return self.text.encode(self.tokenize(texts))
