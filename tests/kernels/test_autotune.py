"""Tests of the choice of convolutions by measuring."""

import json

import pytest
import torch
from torch import nn

from dcgan_hf.kernels import autotune
from dcgan_hf.kernels.autotune import Timings, choose_precision, choose_ways, recorded_convolutions
from dcgan_hf.kernels.convolutions import ConvolutionShape


NETWORK = nn.Sequential(nn.Conv2d(3, 8, 4, 2, padding=1), nn.Conv2d(8, 16, 4, 2, padding=1), nn.Conv2d(16, 4, 1))


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setattr(autotune, "CACHE_FOLDER", tmp_path)
    return tmp_path


@pytest.fixture
def shapes():
    with recorded_convolutions() as shapes:
        NETWORK(torch.randn(1, 3, 16, 16))
    return shapes


def test_convolutions_of_a_network_are_recorded(shapes):
    assert [shape.in_channels for shape in shapes] == [3, 8, 16]
    assert [shape.size for shape in shapes] == [(16, 16), (8, 8), (4, 4)]


def test_every_way_of_a_convolution_is_timed_and_kept(shapes, cache):
    totals, ways = choose_ways(shapes, 4, ["no", "bf16"])
    assert totals.keys() == {"no", "bf16"} and all(seconds > 0 for seconds in totals.values())
    (path,) = cache.rglob("*.json")
    timings = json.loads(path.read_text())
    assert len(timings) == 6  # of three convolutions in two precisions
    for shape in shapes:
        for precision, dtype in (("no", torch.float32), ("bf16", torch.bfloat16)):
            seconds = timings[f"{shape}, batch 4, precision {precision}"]
            assert seconds.keys() == set(shape.ways(dtype))
            way = ways[precision].get(str(shape), "pytorch")
            assert seconds[way] <= min(seconds.values()) / 0.97


def test_what_is_known_is_not_measured_again(shapes, cache):
    choose_ways(shapes, 4, ["no"])
    (path,) = cache.rglob("*.json")
    known = {
        key: {way: 1.0 + (way == "pytorch") for way in ways} for key, ways in json.loads(path.read_text()).items()
    }
    path.write_text(json.dumps(known))
    totals, ways = choose_ways(shapes, 4, ["no"])
    assert totals == {"no": 2.0}  # of the two convolutions with a choice
    assert json.loads(path.read_text()) == known and "pytorch" not in ways["no"].values()


def test_a_way_that_has_come_or_gone_is_a_reason_to_measure(shapes):
    timings = Timings()
    assert timings.of(shapes[1], 4, "no", ["pytorch"]).keys() == {"pytorch"}
    assert timings.of(shapes[1], 4, "no", ["pytorch", "winograd_3"]).keys() == {"pytorch", "winograd_3"}


@pytest.mark.parametrize("content", ["", "{", "\x00"])
def test_damaged_measurements_are_made_again(shapes, cache, content):
    choose_ways(shapes, 4, ["no"])
    (path,) = cache.rglob("*.json")
    path.write_text(content)
    choose_ways(shapes, 4, ["no"])
    assert json.loads(path.read_text())


def test_a_cache_that_cannot_be_written_is_no_obstacle(shapes, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setattr(autotune, "CACHE_FOLDER", tmp_path / "file")
    assert choose_ways(shapes, 4, ["no"])[0]["no"] > 0


def test_measuring_leaves_random_numbers_as_they_are(shapes):
    torch.manual_seed(3)
    expected = torch.randn(2)
    torch.manual_seed(3)
    choose_ways(shapes, 4, ["no"])
    assert torch.equal(torch.randn(2), expected)


def test_bf16_must_be_clearly_faster():
    assert choose_precision({"no": 1.0}) == "no"
    assert choose_precision({"no": 1.0, "bf16": 0.99}) == "no"
    assert choose_precision({"no": 1.0, "bf16": 0.5}) == "bf16"
    assert choose_precision({"no": 1.0, "bf16": 2.0}) == "no"


def test_what_no_machine_does_better_is_left_to_pytorch():
    shape = ConvolutionShape(False, 16, 4, (1, 1), (1, 1), (0, 0), (4, 4))
    assert shape.ways(torch.float32) == ["pytorch"]
