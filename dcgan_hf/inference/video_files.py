# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Video files: a first look, and frames read from and written to them by ffmpeg, with the sound of their sources."""

# Pipes of our own instead of `imageio_ffmpeg.read_frames` and `write_frames`: those round the frame rate to two digits
# (29.97 instead of 30000/1001, which is half a second in a film), encode the sound anew, and hide ffmpeg's errors.
import logging
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import IO


logger = logging.getLogger(__name__)

MAX_SIDE = 16_384  # of libx264
# ffmpeg's names of the containers that hold the result: that of the source, or Matroska, which holds any sound.
_CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
_OTHER_CONTAINER = ".mkv"
_OTHERS = (".3gp", ".avi", ".flv", ".m2ts", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm", ".wmv")
VIDEO_SUFFIXES = (*_CONTAINERS, *_OTHERS)
# Files only, and no playlists, which may lead to other files and to the net. ffmpeg takes texts and images for videos.
_SAFE = ["-protocol_whitelist", "file,pipe", "-format_whitelist", "asf,avi,flv,matroska,mov,mpeg,mpegts,ogg"]
_MATRICES = ("bt709", "fcc", "bt470bg", "smpte170m", "smpte240m", "bt2020nc")  # that the scaler knows
_HD_HEIGHT = 720  # from here on, players take untagged colours for those of BT.709
_SCALER = "flags=bicubic+accurate_rnd+full_chroma_int"


class VideoError(ValueError):
    """Raised for a video that cannot be upscaled. The message does not name it."""


@dataclass
class VideoFacts:
    """
    Facts about a video, upright as players show it.

    Args:
        size (`tuple[int, int]`):
            Width and height.
        frame_rate (`Fraction`):
            Frames per second. A variable one is that of most frames.
        num_frames (`int`):
            Number of frames at this rate.
        is_grey (`bool`):
            Whether its pixels have no colours.
        pixel_aspect (`str`):
            Width to height of a pixel.
        is_interlaced (`bool`):
            Whether frames consist of two fields.
        colors (`dict[str, str]`):
            Range, matrix, primaries and transfer of the colours, in ffmpeg's words.
        losses (`list[str]`):
            What the video has and the result will not have.
        kept (`str`):
            Kinds of other streams that the result gets: ffmpeg's letters for sound, subtitles and attachments.
    """

    size: tuple[int, int]
    frame_rate: Fraction
    num_frames: int
    is_grey: bool
    pixel_aspect: str
    is_interlaced: bool
    colors: dict[str, str]
    losses: list[str]
    kept: str = ""

    @property
    def matrix(self) -> str:
        """Matrix of the result's colours: the source's or, if it says none, the one that players assume for its size."""
        named = self.colors["color_space"]
        return named if named in _MATRICES else "bt709" if self.size[1] >= _HD_HEIGHT else "smpte170m"

    @property
    def pixel_format(self) -> str:
        return "gray" if self.is_grey else "rgb24"


def suffix_of_result(source: Path) -> str:
    """Returns the suffix of a result, which chooses its container."""
    return source.suffix if source.suffix.lower() in _CONTAINERS else _OTHER_CONTAINER


def look_at_video(source: Path) -> VideoFacts:
    r"""
    Looks at a video: decodes its first frame, and reads the times of all.

    Args:
        source (`Path`):
            File.

    Raises:
        VideoError: if it is no video, is damaged, or has sound that the container of the result cannot hold.
    """
    if not source.is_file():
        raise VideoError("it is no file")
    if source.stat().st_size == 0:
        raise VideoError("it is empty")
    first = ["-map", "0:V:0", "-vf", "showinfo=checksum=0", "-frames:v", "1", "-f", "null", "-"]
    try:
        packets, errors = _run([*_input(source), "-map", "0:V:0", "-map", "0:a?", "-c", "copy", "-f", "framecrc", "-"])
        told = _run([*_input(source), *first], level="info")[1]
    except VideoError as error:
        raise VideoError(_reason(str(error))) from error
    cut = [line for line in errors.splitlines() if "partial file" in line or "ended prematurely" in line]
    if cut:
        raise VideoError(f"it is incomplete: {cut[0]}")
    frame = re.search(r"n: *0 .* fmt:(\w+) .*?sar:(\d+)/(\d+) s:(\d+)x(\d+) i:(\w)", told)
    colors = re.search(r"color_range:\S+ color_space:\S+ color_primaries:\S+ color_trc:\S+", told)
    rate = re.search(r"config in .*frame_rate: (\d+)/(\d+)", told)
    if frame is None or colors is None or rate is None:
        raise VideoError("it has no frames")
    pixels, aspect_width, aspect_height, width, height, fields = frame.groups()
    nominal = Fraction(int(rate[1]), int(rate[2])) if int(rate[2]) else Fraction(0)
    frame_rate, num_frames = _rate(packets, nominal)
    facts = VideoFacts(
        size=(int(width), int(height)),
        frame_rate=frame_rate,
        num_frames=num_frames,
        is_grey=pixels.startswith(("gray", "mono")),
        pixel_aspect=f"{aspect_width}/{aspect_height}" if int(aspect_width) else "1/1",
        is_interlaced=fields in "TB",
        colors=dict(item.split(":", 1) for item in colors[0].split()),
        losses=_losses(pixels),
    )
    _choose_streams(source, facts)
    return facts


def _reason(told: str) -> str:
    if "matches no streams" in told:
        return "it has no video stream"
    if "not on whitelist" in told:
        return "it is not a video of a known format"
    return f"it is damaged or no video: {told.split('; ')[0]}"


def _losses(pixels: str) -> list[str]:
    deep = re.search(r"(9|10|12|14|16)(le|be)$", pixels)
    losses = [f"8 of its {deep[1]} bits per colour are kept"] if deep else []
    if re.match(r"yuva|rgba|argb|abgr|bgra|gbrap|ya", pixels):
        losses.append("its transparent parts become opaque, because H.264 has no opacity")
    return losses


def _rate(packets: str, nominal: Fraction) -> tuple[Fraction, int]:
    """Returns frame rate and number of frames, from the times of the packets of the first stream."""
    lines = packets.splitlines()
    unit = next(Fraction(line.split()[-1]) for line in lines if line.startswith("#tb 0"))
    times = sorted(tuple(map(int, line.split(",")[2:4])) for line in lines if line.startswith("0,"))
    if not times:
        raise VideoError("it has no frames")
    steps = [later[0] - earlier[0] for earlier, later in zip(times, times[1:])]
    usual = Fraction(median(steps) if steps else times[0][1]) * unit
    # Of a variable rate, ffmpeg may return a huge one, of which all times are multiples.
    rate = nominal if not usual or 0 < nominal * usual < 1.5 else (1 / usual).limit_denominator(1001)
    if rate <= 0:
        raise VideoError("it has no frame rate")
    return rate, max(1, round((times[-1][0] + times[-1][1] - times[0][0]) * unit * rate))


def _choose_streams(source: Path, facts: VideoFacts) -> None:
    """Finds out which streams the container of the result can hold, by writing their beginning to nowhere."""
    container = _CONTAINERS[suffix_of_result(source).lower()]
    kinds = ("ast", "a") if container == "matroska" else ("as", "a")
    blank = ["-f", "lavfi", "-i", "color=size=16x16:duration=0.1"]
    for kept in kinds:
        facts.kept = kept
        words = [*blank, *_input(source), "-map", "0:v", *_copied(kept), "-c:v", "libx264", "-t", "1", "-f", container]
        try:
            _run([*words, "-y", os.devnull])
            return
        except VideoError as error:
            if kept == "a":
                raise VideoError(f"its sound cannot be copied to {suffix_of_result(source)}: {error}") from error
            facts.losses.append("its subtitles are left out, because they cannot be copied")


def _input(source: Path) -> list[str]:
    # As a `file:`, a name such as `concat:a` is not taken for a protocol, nor one with a hyphen for an option.
    return [*_SAFE, "-i", f"file:{source.absolute()}"]


def _copied(kept: str) -> list[str]:
    """Returns the options that copy streams of the second input, with everything it says about itself."""
    streams = [word for kind in kept for word in ("-map", f"1:{kind}?")]
    return [*streams, "-map_metadata", "1", "-map_chapters", "1", "-c", "copy"]


def read_frames(source: Path, facts: VideoFacts) -> Generator[bytes, None, None]:
    r"""
    Yields the pixels of each frame, upright, at a constant rate: where the source's is variable, frames are repeated, so
    that the sound stays in time.

    Args:
        source (`Path`):
            File.
        facts ([`VideoFacts`]):
            What [`look_at_video`] found.

    Raises:
        VideoError: if it cannot be read to its end.
    """
    filters = [f"scale=out_range=pc:{_SCALER}", f"format={facts.pixel_format}"]
    if facts.is_interlaced:
        filters.insert(0, "bwdif=mode=send_frame:deint=interlaced")
    if facts.colors["color_space"] == "unknown":
        filters.insert(0, f"setparams=colorspace={facts.matrix}")
    # ffmpeg turns the frames of phones by itself.
    words = [
        *_input(source),
        "-map",
        "0:V:0",
        "-vf",
        ",".join(filters),
        "-fps_mode",
        "cfr",
        "-r",
        str(facts.frame_rate),
    ]
    num_bytes = facts.size[0] * facts.size[1] * (1 if facts.is_grey else 3)
    with _running([*words, "-f", "rawvideo", "-"]) as (stream, told):
        while len(frame := stream.read(num_bytes)) == num_bytes:
            yield frame
    if told:
        logger.warning(f"{source}: damaged frames: {told[0]}")


@contextmanager
def frame_writer(
    path: Path, source: Path, facts: VideoFacts, size: tuple[int, int]
) -> Iterator[Callable[[bytes], object]]:
    r"""
    Context manager that writes a video with the sound, subtitles and metadata of its source.

    Args:
        path (`Path`):
            File to write.
        source (`Path`):
            The source, whose suffix chooses the container.
        facts ([`VideoFacts`]):
            What [`look_at_video`] found.
        size (`tuple[int, int]`):
            Width and height, even.

    Yields:
        `Callable`: function that writes the pixels of a frame.

    Raises:
        VideoError: if ffmpeg cannot write the file.
    """
    container = _CONTAINERS[suffix_of_result(source).lower()]
    raw = ["-f", "rawvideo", "-pixel_format", facts.pixel_format, "-video_size", f"{size[0]}x{size[1]}"]
    is_full = facts.colors["color_range"] == "pc"
    scale = f"scale=in_range=pc:out_range={'pc' if is_full else 'tv'}:out_color_matrix={facts.matrix}:{_SCALER}"
    tags = {
        "color_range": "pc" if is_full else "tv",
        "colorspace": facts.matrix,
        "color_primaries": facts.colors["color_primaries"],
        "color_trc": facts.colors["color_trc"],
    }
    # Tags on the frames, too: newer versions of ffmpeg take them from there.
    on_frames = {"color_range": "range"}
    known = {name: value for name, value in tags.items() if value not in ("unknown", "reserved")}
    params = ":".join(f"{on_frames.get(name, name)}={value}" for name, value in known.items())
    filters = f"{scale},format=yuv420p,setsar={facts.pixel_aspect},setparams={params}"
    # Matroska and QuickTime have any keys, such as the place that an iPhone notes.
    flags = {"mp4": "+faststart", "mov": "+faststart+use_metadata_tags", "matroska": ""}[container]
    words = [
        *(*raw, "-framerate", str(facts.frame_rate), "-i", "pipe:0", *_input(source)),
        *("-map", "0:v", *_copied(facts.kept)),
        # Hardly to be told from the frames themselves.
        *("-c:v", "libx264", "-preset", "medium", "-crf", "16", "-vf", filters),
        *(word for name, value in known.items() for word in (f"-{name}", value)),
        *(("-movflags", flags) if flags else ()),
        *("-f", container, "-y", f"file:{path.absolute()}"),
    ]
    with _running(words, writes=True) as (stream, _):
        yield stream.write


def _run(words: list[str], level: str = "error") -> tuple[str, str]:
    """Runs ffmpeg, and returns what it wrote to the standard output, and its messages."""
    with _running(words, level) as (stream, told):
        output = stream.read()
    return output.decode(errors="replace"), "\n".join(told)


@contextmanager
def _running(words: list[str], level: str = "error", writes: bool = False) -> Iterator[tuple[IO[bytes], list[str]]]:
    """Runs ffmpeg during the block, and kills it after an error. Yields its standard output or, to write, its standard
    input, and a list that is going to hold its messages."""
    from imageio_ffmpeg import get_ffmpeg_exe

    command = [get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-loglevel", f"level+{level}", *words]
    told: list[str] = []
    has_given_up = False
    with tempfile.TemporaryFile() as messages:  # a pipe could fill up
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if writes else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if writes else subprocess.PIPE,
            stderr=messages,
            # So that Ctrl-C reaches this program alone, which ends ffmpeg.
            start_new_session=True,
        )
        stream = process.stdin if writes else process.stdout
        assert stream is not None
        try:
            yield stream, told
            stream.close()
            process.wait()
        except BrokenPipeError:  # its messages say why
            has_given_up = True
            process.wait()
        finally:
            process.kill()
            process.wait()
            with suppress(BrokenPipeError):
                stream.close()
        messages.seek(0)
        lines = messages.read().decode(errors="replace").splitlines()
    told += [re.sub(r"^(\[[^]]*\] )+", "", line) for line in lines]
    if process.returncode or has_given_up:
        errors = [text for line, text in zip(lines, told) if re.search(r"\[(error|fatal)\]", line)]
        raise VideoError("; ".join(errors[:3]) or f"ffmpeg ended with status {process.returncode}")
