"""Shared by all tests: one thread a process, since the suite itself runs in as many processes as there are cores."""

import torch
from tests.support.exports import share_graphs
from tests.support.sentences import remember_sentences

torch.set_num_threads(1)
remember_sentences()
share_graphs()
