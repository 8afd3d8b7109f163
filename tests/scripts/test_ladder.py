import json

import pytest
import yaml

from dcgan_hf.training.generation_arguments import DCGANTrainingArguments
from dcgan_hf.training.recipes import arguments_from_recipe

from ..train_utils import SCRIPTS, TINY, read_log, run_script, save_classifier


@pytest.fixture(scope="module")
def ladder(tmp_path_factory):
    """Ladder of two rungs."""
    folder = tmp_path_factory.mktemp("ladder")
    common = TINY | {"max_train_steps": 4, "eval_steps": 0.5, "eval_num_images": 50}
    common["eval_features"] = str(save_classifier(folder / "classifier"))
    rungs = {
        "plain": {},
        "no norm": {"discriminator_config": {"norm_type": "none"}, "diff_augment": ["color", "cutout"]},
    }
    (folder / "ladder.yaml").write_text(yaml.safe_dump({"common": common, "rungs": rungs}, sort_keys=False))
    return folder


def climb(folder, *flags):
    run_script("ladder", folder / "ladder.yaml", "--seeds", 3, 5, "--output_dir", folder / "out", *flags)
    return json.loads((folder / "out" / "ladder.json").read_text())["distances"]


def test_a_ladder_and_how_it_goes_on(ladder, capsys):
    distances = climb(ladder, "--jobs", 2, "--learning_rate", "1e-3")
    table = capsys.readouterr().out
    record = json.loads((ladder / "out" / "ladder.json").read_text())
    assert record["command"].startswith("python scripts/ladder.py ") and "CPU thread" in record["hardware"]
    assert [line.split("|")[1].strip() for line in table.splitlines()[2:]] == ["plain", "no norm"]
    assert (
        table.startswith("|  | 1/2 | 2/2 | seconds | seeds |")
        and table.count(" ± ") == 4
        and table.count("| 2 |") == 2
    )
    measured = [
        entry["eval_frechet_distance"] for entry in read_log(ladder / "out" / "plain-5") if "eval_modes" in entry
    ]
    assert distances["plain"][1] == measured and len(measured) == 2
    seconds = record["seconds"]["plain"][1]
    assert 0 < seconds < json.loads((ladder / "out" / "plain-5" / "training_results.json").read_text())["seconds"]
    arguments = json.loads((ladder / "out" / "no_norm-3" / "training_args.json").read_text())
    assert (arguments["seed"], arguments["learning_rate"], arguments["diff_augment"]) == (3, 1e-3, ["color", "cutout"])
    assert json.loads(arguments["discriminator_config"]) == {"norm_type": "none"}
    assert not list((ladder / "out").glob("*/checkpoint-*"))

    # Finished runs stay, incomplete ones are repeated: bit for bit with the same number of threads.
    kept = (ladder / "out" / "plain-3" / "model_index.json").stat().st_mtime_ns
    (ladder / "out" / "plain-5" / "results.json").unlink()  # as if interrupted after the pipeline was saved
    assert climb(ladder, "--jobs", 2, "--learning_rate", "1e-3") == distances
    assert (ladder / "out" / "plain-3" / "model_index.json").stat().st_mtime_ns == kept
    rungs = ["--jobs", 2, "--learning_rate", "1e-3", "--rungs", "no norm"]
    assert climb(ladder, *rungs) == {"no norm": distances["no norm"]}
    with pytest.raises(ValueError, match="The run in .*plain-3' had other flags. Delete it, or"):
        climb(ladder, "--jobs", 2)


def test_wrong_use(ladder, tmp_path):
    with pytest.raises(ValueError, match=r"`rungs` must be among \['plain', 'no norm'\], got \['plane'\]"):
        climb(ladder, "--rungs", "plane")
    with pytest.raises(ValueError, match="`jobs` must be at least 1, got 0"):
        climb(ladder, "--jobs", 0)
    with pytest.raises(RuntimeError, match="The run 'plain' with seed 3 failed. See .*output.txt"):
        climb(ladder, "--output_dir", tmp_path, "--learning_rate", "-1")
    assert "error: --learning_rate must be positive" in (tmp_path / "plain-3" / "output.txt").read_text()


@pytest.mark.parametrize("path", sorted((SCRIPTS / "ladders").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_rungs_make_sense(path):
    ladder = yaml.safe_load(path.read_text())
    assert ladder["rungs"]
    for flags in ladder["rungs"].values():
        flags = ladder["common"] | flags
        recipe = flags.pop("config")
        assert arguments_from_recipe(DCGANTrainingArguments, recipe, flags).eval_steps
