"""Regions of examples, learned mirrored as well."""

from __future__ import annotations

from pathlib import Path

import torch
from click.testing import CliRunner
from tests.support.defects import TYPES, draw_defects, draw_good

from blemish import catalog
from blemish.blocks.rotation import mirrors
from blemish.classification.learn import held_out_logits
from blemish.classification.mirrored_places import VIEWS, MirroredPlaces, split_views
from blemish.cli.main import main
from blemish.encoders import TINY
from blemish.encoders.inputs import as_tensor
from blemish.images import Places, Region
from blemish.recipes.examples_kept import SEEN
from blemish.recipes.recipe import load
from blemish.types import TypedExamples


def test_a_region_is_seen_as_it_would_be_in_the_mirrored_picture() -> None:
    classifier = catalog.classifier("ridge", TINY, ["a", "b"])
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    grid = MirroredPlaces(classifier).places(images)
    weights = torch.zeros(grid.shape[:3])
    weights[0, 0, 1:3] = 1
    own = torch.rand(*grid.shape[:3], 1, generator=torch.Generator().manual_seed(1))
    views = split_views([Places(Region(0, 0, 64, 64), torch.cat([grid, own], -1)[0].numpy())])
    assert len(views) == VIEWS
    seen = [(images, weights), *zip(mirrors(images), (each[0] for each in mirrors(weights[None])), strict=True)]
    for (view,), (picture, region) in zip(views, seen, strict=True):
        torch.testing.assert_close(as_tensor(view.grid[..., -1:]), own[0])
        expected = classifier.gather(classifier.places(picture), region)
        torch.testing.assert_close(classifier.gather(as_tensor(view.grid[None, ..., :-1]), weights), expected)


def test_a_recipe_keeps_all_views_of_what_it_was_taught(tmp_path: Path) -> None:
    good, recipe = draw_good(tmp_path / "good", 6), tmp_path / "line.blemish"
    draw_defects(tmp_path / "shown", 2, kinds=TYPES[:2])
    for words in (
        ["recipe", "freeze", recipe, "--normal", good, "--method", "patchcore", "--set", "image_size=64"],
        ["teach", recipe, "--examples", tmp_path / "shown"],
    ):
        found = CliRunner().invoke(main, [str(each) for each in words])
        assert found.exit_code == 0, found.output
    seen = load(recipe).tensors[SEEN]
    assert seen.shape[:2] == (4, VIEWS)
    assert all((seen[:, 0] != seen[:, view]).any() for view in range(1, VIEWS))


def test_how_sure_names_are_is_found_in_the_views_that_are_asked() -> None:
    classifier = catalog.classifier("nearest", TINY, ["a", "b"])
    look = classifier.look(torch.rand(8, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    seen = torch.stack([look, look.flip(0)], 1)
    types = torch.eye(2, dtype=torch.bool).repeat_interleave(4, 0)
    rows, asked = held_out_logits(classifier, TypedExamples(seen, types), asked=1)
    for row, logits in zip(rows.tolist(), asked, strict=True):
        rest = torch.arange(8) != row
        classifier.fit(TypedExamples(seen[rest], types[rest]))
        torch.testing.assert_close(classifier(seen[row : row + 1, :1])[0], logits)
