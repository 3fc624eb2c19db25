"""What options and data alone refuse is refused before an encoder is loaded."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NoReturn

import pytest
from tests.cli.test_evaluate import QUICK, category
from tests.cli.test_inspect import picture, run
from tests.support import trees
from tests.support.made import PLAN, data_set, plan_file

from blemish import encoders

GOOD, DATA, NEW = "data/gear/train/good", "data/gear", "new.blemish"
RECIPE = "line.blemish"


@pytest.fixture(autouse=True, scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("early")
    category(folder / DATA)
    trees.mvtec_ad_2(folder / "ad2")
    frozen = run("recipe", "freeze", folder / RECIPE, "--normal", folder / GOOD, *QUICK)
    assert frozen.exit_code == 0, frozen.output
    return folder


@pytest.fixture
def unloaded(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object, **__: object) -> NoReturn:
        raise AssertionError("an encoder was loaded")

    monkeypatch.chdir(home)
    monkeypatch.setattr(encoders, "load", load)
    monkeypatch.setattr("blemish.encoders.checkpoints.loading.load_encoder", load)


LATE = {
    f"evaluate {DATA} --set neighbours": "write NAME=VALUE",
    f"evaluate {DATA} --overlap 4": "--overlap goes with --tile",
    f"evaluate {DATA} --method nosuch": "no method 'nosuch'",
    f"evaluate {DATA} --method patchcore --set nosuch=1": "patchcore takes no nosuch",
    f"evaluate {DATA} --method patchcore --shots 0": "patchcore learns from good parts",
    f"evaluate {DATA} --method supersimplenet": "supersimplenet is trained first",
    f"evaluate {DATA} --device abacus": "there is no device 'abacus'",
    f"evaluate {DATA} --shots 50": "50 shots were asked for but there are 6 good samples",
    f"evaluate {DATA} --split trial": "split 'trial' does not exist in data/gear: choose test",
    f"evaluate {DATA} --category nut": "category 'nut' does not exist",
    "evaluate ad2 --split test_private": "nothing is known of the pictures in the split test_private of ad2, so",
    f"evaluate ad2 --recipe {RECIPE} --split test_private": "choose test or test_public; of what is not known",
    "evaluate ad2 --split trial": "split 'trial' does not exist in ad2: choose test or test_public",
    f"inspect {DATA} --method nosuch": "no method 'nosuch'",
    f"inspect {DATA} --method patchcore": "patchcore learns from good parts",
    f"inspect {DATA} --overlap 4": "--overlap goes with --tile",
    f"inspect {DATA} --mask none.png": "none.png",
    f"inspect {DATA} --normal {GOOD} --method padim --set nosuch=1": "padim takes no nosuch",
    f"inspect {DATA} --device abacus": "there is no device 'abacus'",
    f"inspect {DATA} --recipe {RECIPE} --drift 2": "2.0 is not in the range",
    f"inspect {DATA} --recipe {RECIPE} --scale 0": "0.0 is not in the range",
    f"inspect {DATA} --recipe {RECIPE} --drift 0.1": "line.blemish does not say which scores are to be expected",
    f"inspect {DATA} --recipe {RECIPE} --scale 0.1": "line.blemish marks no region whose area --scale could give",
    f"recipe freeze {NEW} --method padim": "padim learns from good parts",
    f"recipe freeze {NEW} --method musc": "give it some good parts",
    f"recipe freeze {NEW} --normal {GOOD} --method padim --set nosuch=1": "padim takes no nosuch",
    f"recipe freeze {NEW} --normal {GOOD} --overlap 4": "--overlap goes with --tile",
    f"teach {RECIPE} --defect good {GOOD}": "'good' is no type of defect",
    f"teach {RECIPE} --product gear": "patchcore reads no words for a product",
    f"teach {RECIPE} --good nosuch": "nosuch does not exist",
    f"calibrate {RECIPE} --good {GOOD} --false-reject 2": "2.0 is not a rate to aim at",
    f"calibrate {RECIPE} --good {GOOD} --escape 0.1": "a target for escapes needs defective parts",
    f"calibrate {RECIPE} --good {GOOD} --confidence 1": "1.0 is not a confidence level",
    f"calibrate {RECIPE} --good {GOOD} --cost-ratio 2": "a cost ratio is a positive number and needs defective parts",
    f"train supersimplenet {DATA} --out {NEW} --set nosuch=1": "supersimplenet takes no nosuch",
}


@pytest.mark.usefixtures("unloaded")
@pytest.mark.parametrize("line", LATE)
def test_what_options_and_data_refuse_needs_no_encoder(line: str) -> None:
    result = run(*line.split())
    assert result.exit_code in (1, 2), result.output
    assert LATE[line] in " ".join(result.stderr.split())


@pytest.mark.usefixtures("unloaded")
def test_a_folder_that_holds_a_run_needs_no_encoder_to_be_refused(tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").write_text("{}\n", encoding="utf-8")
    assert "holds an earlier run" in run("inspect", DATA, "--out", tmp_path).stderr


@pytest.mark.usefixtures("unloaded")
def test_masks_that_do_not_fit_need_no_encoder_to_be_refused(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / DATA, tmp_path / "gear")
    picture(tmp_path / "gear/ground_truth/spot/0_mask.png", size=7)
    for more in ([], ["--recipe", RECIPE]):
        assert "0_mask.png is no mask for" in run("evaluate", tmp_path / "gear", *more).stderr


@pytest.mark.usefixtures("unloaded")
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[[methods]]", 'device = "abacus"\n[[methods]]', "device: there is no device 'abacus'"),
        ('"patchcore"', '"supersimplenet"', "methods[0].name: supersimplenet is trained first"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_as_a_whole(old: str, new: str, said: str, tmp_path: Path) -> None:
    plan = plan_file(data_set(tmp_path, "bolt"), PLAN.replace(old, new).replace("arguments = { ratio = 0.5 }", ""))
    result = run("benchmark", plan, "--out", tmp_path / "out")
    assert (result.exit_code, said in result.stderr) == (1, True), result.stderr
