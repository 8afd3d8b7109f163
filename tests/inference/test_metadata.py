"""Tests of format, quality and metadata of upscaled photographs, each file written and read."""

import io
import struct

import numpy as np
import PIL.Image
import PIL.TiffImagePlugin
import pytest
from PIL.ExifTags import GPS, IFD, Base

from dcgan_hf.inference.arguments import UpscalingArguments
from dcgan_hf.inference.exif_bytes import describe_upright
from dcgan_hf.inference.upscale import upscale

from ..models.test_super_resolution import profile_of


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6" exif:PixelXDimension="40"/>Zo\xc3\xab</x:xmpmeta>'
FORMATS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "tif": "TIFF", "avif": "AVIF"}


def exif_of(orientation=6):
    """EXIF as cameras write it, with a thumbnail, a place and notes of the maker."""
    exif = PIL.Image.Exif()
    exif[Base.Make], exif[Base.Orientation] = "Maker", orientation
    inner = exif.get_ifd(IFD.Exif)
    inner[Base.DateTimeOriginal], inner[Base.ExifImageWidth], inner[Base.ExifImageHeight] = "2026:01:02", 40, 30
    inner[Base.MakerNote] = bytes(range(100))
    exif.get_ifd(IFD.GPSInfo)[GPS.GPSLatitudeRef] = "N"
    content = exif.tobytes()[6:]
    # Pillow writes no thumbnail: a second directory, and two bytes that it describes.
    first = struct.unpack(">I", content[4:8])[0]
    link = first + 2 + 12 * struct.unpack(">H", content[first : first + 2])[0]
    start = len(content)
    content = content[:link] + struct.pack(">I", start) + content[link + 4 :]
    entries = struct.pack(">HHIIHHII", 0x0201, 4, 1, start + 30, 0x0202, 4, 1, 4)
    return content + struct.pack(">H", 2) + entries + bytes(4) + b"tiny"


def enlarge(pipe, path, **options):
    done = upscale(pipe, [path], UpscalingArguments(output_dir=str(path.parent / "out"), **options))
    assert not done.unreadable
    (result,) = [file for file in (path.parent / "out").iterdir() if file.suffix not in (".jsonl", ".json")]
    return PIL.Image.open(result)


@pytest.mark.parametrize("ending", FORMATS)
def test_each_format_keeps_what_the_file_says(pipe, photo, tmp_path, ending):
    path = tmp_path / f"my photo é.{ending}"
    profile = profile_of(b"RGB ")
    options = {"exif": PIL.Image.Exif(), "dpi": (300, 200), "icc_profile": profile}
    if ending == "tif":
        options["exif"].load(b"Exif\0\0" + exif_of(1))
        for tag in (Base.Orientation, 0x0201, 0x0202):
            options["exif"].pop(tag, None)
        options["exif"][700] = XMP
    else:
        options["exif"] = b"Exif\0\0" + exif_of()
        options["xmp"] = XMP
    photo.save(path, **options)
    result = enlarge(pipe, path)
    assert result.format == FORMATS[ending] and result.filename.endswith(path.name)
    assert result.size == (60, 80)  # of a TIFF file, XMP says so
    exif = result.getexif()
    assert exif[Base.Make] == "Maker" and exif.get(Base.Orientation, 1) == 1
    inner = exif.get_ifd(IFD.Exif)
    assert inner[Base.DateTimeOriginal] == "2026:01:02" and inner[Base.MakerNote] == bytes(range(100))
    if ending != "tif":
        assert (inner[Base.ExifImageWidth], inner[Base.ExifImageHeight]) == result.size
    assert exif.get_ifd(IFD.GPSInfo)[GPS.GPSLatitudeRef] == "N"
    assert not exif.get_ifd(IFD.IFD1) and b"tiny" not in path.parent.joinpath("out", path.name).read_bytes()
    if ending != "png" or "xmp" in PIL.Image.open(path).info:  # Pillow does not write XMP to PNG files
        assert b'tiff:Orientation="6"' not in result.info["xmp"] and b"Zo\xc3\xab" in result.info["xmp"]
        assert f'PixelXDimension="{result.width}"'.encode() in result.info["xmp"]
    assert result.info["icc_profile"] == profile
    if ending not in ("webp", "avif"):
        turned = ending != "tif"  # Pillow turns TIFF files itself, and leaves this as it is
        assert result.info["dpi"] == pytest.approx((200, 300) if turned else (300, 200), abs=0.1)


def test_exif_is_changed_only_where_it_must(photo):
    before = exif_of()
    after = describe_upright(before, (70_000, 60))
    assert len(after) == len(before)
    changed = [i for i, (a, b) in enumerate(zip(before, after)) if a != b]
    assert 4 < len(changed) < 30  # orientation, sizes with their types, the link, the thumbnail
    exif = PIL.Image.Exif()
    exif.load(b"Exif\0\0" + after)
    assert exif[Base.Orientation] == 1 and exif.get_ifd(IFD.Exif)[Base.ExifImageWidth] == 70_000
    assert not exif.get_ifd(IFD.IFD1) and b"tiny" not in after
    for end in range(len(before)):  # cut off anywhere: whole, or refused
        try:
            assert len(describe_upright(before[:end], (8, 8))) == end
        except ValueError:
            pass


def test_captions_comments_and_texts(pipe, photo, tmp_path):
    iptc = b"Photoshop 3.0\08BIM\x04\x04\0\0\0\0\0\x08\x1c\x02\x19\0\x03sea"
    segment = b"\xff\xed" + struct.pack(">H", len(iptc) + 2) + iptc
    (tmp_path / "a").mkdir()
    photo.save(tmp_path / "a" / "a.JPG", extra=segment, comment=b"by me")
    result = enlarge(pipe, tmp_path / "a" / "a.JPG")
    assert result.info["comment"] == b"by me" and ("APP13", iptc) in result.applist
    chunks = PIL.PngImagePlugin.PngInfo()
    chunks.add_text("parameters", "steps: 4")
    chunks.add_itxt("Title", "Zoë", "nl", "Titel")
    chunks.add(b"gAMA", struct.pack(">I", 45455))
    chunks.add(b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + XMP)
    (tmp_path / "b").mkdir()
    photo.save(tmp_path / "b" / "b.png", pnginfo=chunks)
    result = enlarge(pipe, tmp_path / "b" / "b.png")
    result.load()
    assert result.text["parameters"] == "steps: 4" and result.text["Title"] == "Zoë"
    assert result.text["Title"].lang == "nl" and result.info["gamma"] == 0.45455
    assert result.size == (60, 80)  # XMP said so
    assert b'tiff:Orientation="1"' in result.info["xmp"]


def test_what_a_format_does_not_hold_is_told(pipe, photo, tmp_path, caplog):
    chunks = PIL.PngImagePlugin.PngInfo()
    chunks.add_text("Title", "Sea")
    photo.save(tmp_path / "text.png", pnginfo=chunks)
    photo.save(tmp_path / "long.webp", exif=exif_of(1) + bytes(70_000))
    photo.save(tmp_path / "damaged.jpg", exif=b"Exif\0\0damaged")
    args = UpscalingArguments(output_dir=str(tmp_path / "out"), image_format="jpeg")
    assert upscale(pipe, [tmp_path], args).num_made == 3
    for told in (
        "text.png: JPEG does not hold its texts",
        "long.webp: its EXIF is too long for JPEG and is left out",
        "damaged.jpg: its EXIF is damaged and is left out",
    ):
        assert told in caplog.text
    assert not PIL.Image.open(tmp_path / "out" / "long.jpg").getexif()


def test_quality_is_that_of_the_source_or_better(pipe, photo, tmp_path):
    for name, options in (("fine.jpg", {"quality": 100}), ("coarse.jpg", {"quality": 30})):
        photo.save(tmp_path / name, **options)
    photo.convert("L").save(tmp_path / "grey.jpg", quality=100)
    photo.save(tmp_path / "exact.webp", lossless=True)
    photo.save(tmp_path / "lossy.webp", quality=80)
    photo.save(tmp_path / "packed.tiff", compression="tiff_lzw")
    photo.save(tmp_path / "plain.bmp")
    upscale(pipe, [tmp_path], UpscalingArguments(output_dir=str(tmp_path / "out")))
    results = {path.name: PIL.Image.open(path) for path in (tmp_path / "out").glob("*.*") if "json" not in path.suffix}
    assert results.keys() == {path.name for path in tmp_path.glob("*.*")}
    usual = io.BytesIO()
    photo.save(usual, "JPEG", quality=95)
    assert results["coarse.jpg"].quantization == PIL.Image.open(usual).quantization
    assert max(map(max, results["fine.jpg"].quantization.values())) == 1 == max(results["grey.jpg"].quantization[0])
    assert {layer[1:3] for layer in results["fine.jpg"].layer} == {(1, 1)}  # 4:4:4
    assert results["packed.tiff"].info["compression"] == "tiff_lzw"
    for name, is_lossy in (("exact.webp", False), ("packed.tiff", False), ("plain.bmp", False), ("lossy.webp", True)):
        expected = np.asarray(pipe(PIL.Image.open(tmp_path / name)).images[0], int)
        # In a batch, numbers are rounded differently.
        assert (np.abs(np.asarray(results[name], int) - expected).max() > 1) == is_lossy


def test_modes_of_every_kind(pipe, photo, tmp_path, caplog):
    grey = np.linspace(0, 65535, 600).astype(np.uint16).reshape(20, 30)
    images = {
        "bits.png": photo.convert("1"),
        "palette.png": photo.quantize(16),
        "deep.tif": PIL.Image.fromarray(grey),
        "deep.png": PIL.Image.fromarray(grey),
        "alpha.tif": photo.convert("LA"),
        "clear.webp": photo.convert("RGBA"),
        "ink.tif": photo.convert("CMYK"),
        "lab.tif": PIL.Image.new("LAB", (5, 5)),
        "dot.png": PIL.Image.new("RGB", (1, 1), "red"),
        "still.gif": photo.convert("P"),
    }
    for name, image in images.items():
        image.save(tmp_path / name)
    photo.save(tmp_path / "phone.jpg", "MPO", save_all=True, append_images=[photo])
    photo.save(tmp_path / "wrong.jpg", "PNG")
    hole = photo.quantize(16)
    hole.info["transparency"] = 3
    hole.save(tmp_path / "hole.png", transparency=3)
    done = upscale(pipe, [tmp_path], UpscalingArguments(output_dir=str(tmp_path / "out")))
    assert not done.unreadable
    made = {path.name: PIL.Image.open(path) for path in (tmp_path / "out").glob("*.*") if "json" not in path.suffix}
    modes = {name: image.mode for name, image in made.items()}
    assert modes == {
        "bits.png": "L",
        "palette.png": "RGB",
        "deep.tif": "I;16",
        "deep.png": "I;16",
        "alpha.tif": "LA",
        "clear.webp": "RGB",
        "ink.tif": "RGB",
        "lab.tif": "RGB",
        "dot.png": "RGB",
        "still.png": "RGB",
        "phone.jpg": "RGB",
        "wrong.png": "RGB",
        "hole.png": "RGBA",
    }
    assert made["dot.png"].size == (2, 2) and made["phone.jpg"].format == "JPEG"
    assert np.array_equal(made["deep.tif"], made["deep.png"]) and np.asarray(made["deep.png"]).max() > 60_000
    assert "still.gif: the result is a PNG, because it cannot be saved as GIF" in caplog.text
