"""What notebooks show of results, recipes and reports."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.cli.test_evaluate import category
from tests.support.parts import good, part, spots

from blemish import calibrate, decision, freeze, inspect, recipe_detector
from blemish.errors import BadInput
from blemish.evaluation.evaluate import Report, Trial, run_trial
from blemish.images import Inspected
from blemish.images.notebook import table_html
from blemish.recipes.calibrate import HoldoutScheme
from blemish.recipes.recipe import Recipe
from blemish.runs.decision import Decided

IMAGE = re.compile(r'src="data:image/png;base64,([^"]+)"')
ARGUMENTS = {"image_size": 64, "ratio": 0.5}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    folder = tmp_path_factory.mktemp("parts")
    made = freeze("patchcore", "test-tiny", good=good(folder / "good", 4), arguments=ARGUMENTS)
    others = good(folder / "others", 12, first=20)
    return calibrate(made, others, defects={"spot": spots(folder, 2)}, way=HoldoutScheme(every_picture=True))


@pytest.fixture(scope="module")
def decided(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Decided:
    bad = part(tmp_path_factory.mktemp("bad") / "<bad>.png", 99, spot=(20, 30))
    (found,) = inspect(recipe_detector(recipe), [bad])
    assert isinstance(found, Inspected)
    return decision(recipe.calibration, recipe_detector(recipe))(found)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    root = category(tmp_path_factory.mktemp("set") / "steel")
    return run_trial(Trial(root, "mvtec", None, "patchcore", "test-tiny", arguments=ARGUMENTS))


def test_a_result_is_shown_with_its_picture_map_verdict_and_regions(decided: Decided) -> None:
    html = decided._repr_html_()
    sizes = []
    for content in IMAGE.findall(html):
        with Image.open(io.BytesIO(base64.b64decode(content))) as shown:
            sizes.append(shown.size)
    assert sizes == [(64, 64), (64, 64)]
    assert "&lt;bad&gt;.png" in html
    assert "<bad>" not in html
    assert f"<caption>{decided.verdict}</caption>" in html
    assert html.count("<tr>") == 1 + len(decided.regions)


def test_a_recipe_is_shown_with_its_thresholds(recipe: Recipe) -> None:
    html = recipe._repr_html_()
    assert recipe.hash[:12] in html
    assert "4 good, 0 defects" in html
    assert recipe.calibration
    assert f"{recipe.calibration.reject:.4g}" in html


def test_a_report_is_shown_with_its_intervals(report: Report) -> None:
    assert report._repr_html_().count("<tr>") == 8
    assert "4 good, 4 anomalous, 6 learned" in report._repr_html_()


def test_a_table_escapes_what_it_holds() -> None:
    assert "<td>&lt;b&gt;</td>" in table_html(("a",), [("<b>",)])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of matplotlib's own imports
def test_plots_are_figures_with_what_they_say(decided: Decided, recipe: Recipe, report: Report) -> None:
    pytest.importorskip("matplotlib")
    picture, anomaly_map, *_ = decided.plot().axes
    assert len(picture.lines) == len(decided.regions) > 0
    assert np.allclose(np.asarray(anomaly_map.images[0].get_array()), decided.result.anomaly_map)
    assert [each.get_label() for each in recipe.plot().axes[0].lines] == ["accept", "reject"]
    assert len(report.plot().axes) == 2
    file = io.BytesIO()
    report.plot().savefig(file, format="png")
    assert file.getvalue().startswith(b"\x89PNG")


def test_a_recipe_that_is_not_calibrated_has_no_plot(tmp_path: Path) -> None:
    made = freeze("patchcore", "test-tiny", good=good(tmp_path, 3), arguments=ARGUMENTS)
    assert "not calibrated" in made._repr_html_()
    with pytest.raises(BadInput, match="`blemish calibrate` it"):
        made.plot()
