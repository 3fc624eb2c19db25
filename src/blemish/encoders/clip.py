"""The pair: an image tower and a text tower that share one space, and the tokenizer between words and the latter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from blemish.encoders.cnn import ModifiedResNet
from blemish.encoders.text import TextTransformer
from blemish.encoders.tokenizer import token_numbers
from blemish.encoders.transformer import Attention
from blemish.encoders.vit import Between, VisionTransformer
from blemish.errors import BadInput, BadWeights
from blemish.types import Features
