"""A random ViT-B-16-plus-240 as anomalib builds it, its tokenizer and its sentences -> the folder argv[1]."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import open_clip
import torch
from anomalib.models.image.winclip.prompting import create_prompt_ensemble
from timing import report
from winclip_model import random_model

folder, product = Path(sys.argv[1]), sys.argv[2]
model = random_model()
torch.save(model.clip.state_dict(), folder / "open_clip_pytorch_model.bin")
shutil.copy(Path(open_clip.__file__).with_name("bpe_simple_vocab_16e6.txt.gz"), folder)
(folder / "sentences.json").write_text(json.dumps(create_prompt_ensemble(product)), encoding="utf-8")
report(saved=1)
