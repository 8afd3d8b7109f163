"""Tests of the sizes of upscaled images."""

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcgan_hf.inference.arguments import UpscalingArguments
from dcgan_hf.inference.output_size import enlarge, plan_size
from dcgan_hf.inference.upscale import upscale


def make(pipe, image, **wanted):
    return enlarge(pipe, [image], UpscalingArguments(**wanted))[0]


def test_the_factor_of_the_model_is_the_default(pipe, photo):
    assert np.array_equal(make(pipe, photo), pipe(photo).images[0])
    assert np.array_equal(make(pipe, photo, outscale=2), pipe(photo).images[0])
    assert np.array_equal(make(pipe, photo, width=80), pipe(photo).images[0])


def test_any_size_is_exact(pipe, photo):
    once, twice = pipe(photo).images[0], pipe(pipe(photo).images[0]).images[0]
    lanczos = PIL.Image.Resampling.LANCZOS
    for wanted, source, size in (
        ({"outscale": 1.5}, once, (60, 45)),
        ({"width": 61}, once, (61, 46)),
        ({"height": 31}, once, (41, 31)),
        ({"outscale": 3}, twice, (120, 90)),
        ({"outscale": 4}, twice, (160, 120)),
        ({"outscale": 0.5}, photo, (20, 15)),  # without the model
        ({"width": 40}, photo, (40, 30)),
    ):
        assert np.array_equal(make(pipe, photo, **wanted), source.resize(size, lanczos)), wanted


def test_the_self_ensemble_is_that_of_the_pipeline(pipe, photo):
    large = make(pipe, photo, self_ensemble=True)
    assert np.array_equal(large, pipe(photo, self_ensemble=True).images[0])
    assert not np.array_equal(large, make(pipe, photo))


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "I;16"])
def test_modes_and_profiles_stay(pipe, photo, mode):
    image = PIL.Image.fromarray(np.full((9, 9), 40_000, np.uint16)) if mode == "I;16" else photo.convert(mode)
    for outscale in (0.7, 1, 1.5, 3):
        image.info = {"dpi": (300, 200), "junk": 1}
        large = make(pipe, image, outscale=outscale)
        assert large.mode == mode and large.info == {"dpi": (300, 200)}


@given(
    size=st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    scale_factor=st.sampled_from([2, 3, 4, 8]),
    wanted=st.one_of(
        st.builds(dict, outscale=st.floats(0.01, 16)),
        st.builds(dict, width=st.integers(1, 20_000)),
        st.builds(dict, height=st.integers(1, 20_000)),
    ),
)
def test_the_model_makes_no_less_and_no_more_than_it_must(size, scale_factor, wanted):
    try:
        plan = plan_size(size, scale_factor, UpscalingArguments(**wanted))
    except ValueError as error:
        assert "at most" in str(error)
        return
    assert min(plan.size) >= 1
    assert plan.size[0] == wanted.get("width", plan.size[0]) and plan.size[1] == wanted.get("height", plan.size[1])
    made = [side * scale_factor**plan.num_passes for side in size]
    assert made[0] >= plan.size[0] and made[1] >= plan.size[1]
    if plan.num_passes:
        assert made[0] // scale_factor < plan.size[0] or made[1] // scale_factor < plan.size[1]
    assert plan.num_pixels == sum(size[0] * size[1] * scale_factor ** (2 * i) for i in range(plan.num_passes))


def test_sizes_out_of_range(pipe, photo, tmp_path):
    photo.save(tmp_path / "photo.png")
    photo.resize((400, 300)).save(tmp_path / "larger.png")
    args = UpscalingArguments(output_dir=str(tmp_path / "out"), width=1000)
    done = upscale(pipe, [tmp_path], args)
    assert PIL.Image.open(tmp_path / "out" / "larger.png").size == (1000, 750)
    assert done.unreadable == [
        f"{tmp_path / 'photo.png'} (a result of 1000 x 750 pixels is 25 times as large, and at most 16 times is possible)"
    ]
    with pytest.raises(ValueError, match="the network would make 40000 x 40000 pixels, and at most 1,074 megapixels"):
        plan_size((10_000, 10_000), 2, UpscalingArguments(outscale=3))
    with pytest.raises(ValueError, match="`outscale` and `width` exclude each other"):
        UpscalingArguments(outscale=2, width=100)
    with pytest.raises(ValueError, match=r"`outscale` must lie in \(0, 16\], got 17"):
        UpscalingArguments(outscale=17)


def test_sizes_do_not_mix_in_a_folder(pipe, photo, tmp_path):
    photo.save(tmp_path / "photo.png")
    out = str(tmp_path / "out")
    upscale(pipe, [tmp_path / "photo.png"], UpscalingArguments(output_dir=out))
    with pytest.raises(ValueError, match=r"made with {'outscale': None}, but the settings are now {'outscale': 1.5}"):
        upscale(pipe, [tmp_path / "photo.png"], UpscalingArguments(output_dir=out, outscale=1.5))
    # Names with a suffix tell them apart.
    args = UpscalingArguments(output_dir=out, outscale=1.5, suffix="_x1.5")
    assert upscale(pipe, [tmp_path / "photo.png"], args).num_made == 1
    assert PIL.Image.open(tmp_path / "out" / "photo_x1.5.png").size == (60, 45)
