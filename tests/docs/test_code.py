"""Every Python block of README and docs runs when it is copied alone into an empty folder."""

import PIL.Image
import pytest

from dcgan_hf import DCGANPipeline

from .pages import DOCS, PAGES, blocks_of, shrink


# Its code is looked at more closely in test_extend.py.
EXTEND = DOCS / "guides" / "extend.md"
BLOCKS = [block for page in PAGES if page != EXTEND for block in blocks_of(page, "python", "py")]


def run(block):
    """Runs a block in a namespace of its own and returns that."""
    names = {"__name__": "__main__"}
    exec(compile(shrink(block.code), str(block), "exec"), names)
    return names


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_python_block_runs_alone(block, folder_for):
    folder_for(block)
    run(block)


def test_no_block_is_long():
    assert len(BLOCKS) >= 20
    for page in PAGES:
        for block in blocks_of(page, "python"):
            assert len(block.code.splitlines()) <= 30, block


def test_the_first_page(folder_for):
    """What README promises is there after its code ran: grids of 16 images."""
    sampling, training = (block for block in BLOCKS if block.page.name == "README.md")
    folder = folder_for(sampling)
    names = run(sampling)
    assert len(names["images"]) == 16
    assert PIL.Image.open(folder / "digits.png").size == (4 * 32, 4 * 32)
    run(training)
    assert PIL.Image.open(folder / "faces.png").size == (4 * 64, 4 * 64)
    assert len(DCGANPipeline.from_pretrained(folder / "dcgan-faces")(batch_size=2).images) == 2
