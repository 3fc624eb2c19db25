"""What detectors have in common that are trained to name types of defects by learned sentences, of any words."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish.blocks.losses import choose_class, focal_certainty, masks_of
from blemish.blocks.maps import smooth, upsample
from blemish.errors import BadInput
from blemish.training.sentences import SIGMA, TEMPERATURE, FrozenSentenceDetector, Judged
from blemish.types import GOOD, Batch, Encoder, Features, Prediction

NORMAL, ANY = "object.", "damage"


class TypedSentenceDetector(FrozenSentenceDetector):
    """Every place against a normal sentence and those of each type, which begin with learned words that types share.

    vocabulary: the types, by their names; other names may be asked for once it is trained. phrases: of each type, whose
    sentences speak for it together. type_scores: the highest probability of each type in the smoothed maps.
    type_map: the likeliest type of each pixel, -1 where no defect is likeliest.
    """

    def __init__(
        self,
        encoder: str | Encoder,
        *,
        vocabulary: Sequence[str],
        phrases: Sequence[Sequence[str]],
        tokens: int,
        image_size: int | None,
        seed: int,
    ) -> None:
        odd = [name for name in vocabulary if not name.strip() or name == GOOD or list(vocabulary).count(name) > 1]
        if odd:
            raise BadInput(f"vocabulary: {odd[0]!r} is no name of one type of defect; name each of them once")
        super().__init__(encoder, image_size=image_size, seed=seed, suffixes=(NORMAL, f"{ANY}."), tokens=tokens)
        self.phrases = tuple(f"{phrase}." for group in phrases for phrase in group)
        self.vocabulary, self.types = vocabulary, tuple(vocabulary or (ANY,))
        self.sizes = [1, *map(len, phrases)]
        # Not saved: a detector that was trained on some types is asked about others, by their words.
        self.register_buffer("texts", torch.zeros(1 + len(phrases), self.encoder.width), persistent=False)
        self.register_load_state_dict_post_hook(lambda module, _: module.renew())  # type: ignore[no-untyped-call]

    def renew(self) -> None:
        """Read the sentences anew."""
        self.train(self.training)

    def read(self) -> Tensor:
        """Unit embeddings of no defect and of each type: (1 + K, D)."""
        good, bad = self.sentences.context
        said = [(good, NORMAL), *((bad, phrase) for phrase in self.phrases)]
        groups = F.normalize(self.sentences.encode(self.encoder, said), dim=-1).split(self.sizes)
        return F.normalize(torch.stack([group.mean(0) for group in groups]), dim=-1)

    def judge(self, seen: Features, texts: Tensor) -> Judged:
        """By all types together."""
        picture = F.normalize(seen.image, dim=-1) @ texts.T / TEMPERATURE
        classes = self.classes(seen, texts)  # (N, h, w, 1 + K)
        return Judged(picture[:, 1:].logsumexp(1) - picture[:, 0], (classes[..., 1:].sum(-1),))

    def classes(self, seen: Features, texts: Tensor) -> Tensor:
        """Probability of no defect and of each type at each place: (N, h, w, 1 + K)."""
        return (F.normalize(seen.patches[-1], dim=-1) @ texts.T / TEMPERATURE).softmax(-1)

    def more(self, seen: Features, texts: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Focal loss of the right class of each pixel."""
        truth = masks_of(batch)
        found = upsample(self.classes(seen, texts).movedim(-1, 1), truth.shape[-2:])
        order = {GOOD: 0} | {name: 1 + at for at, name in enumerate(self.types)}
        numbers = torch.tensor([order.get(name, -1) for name in batch.types or ("",) * len(batch)])
        right = choose_class(found, truth, numbers.to(truth.device))
        return {"types": focal_certainty(right, classes=1 + len(self.types))}

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction with types."""
        self.updates.require()
        seen, texts = self.look(images), self.say(Features(images, ()), self.texts)
        classes = upsample(self.classes(seen, texts).movedim(-1, 1), images.shape[-2:])  # (N, 1 + K, H, W)
        scores = smooth(classes[:, 1:].flatten(0, 1), SIGMA).flatten(1).amax(1).view(-1, len(self.types))
        return self.predict(self.judge(seen, texts), images.shape[-2:])._replace(
            type_scores=scores, type_map=classes.argmax(1) - 1
        )
