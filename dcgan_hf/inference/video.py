# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Upscaling of videos, frame by frame."""

import logging
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path

import PIL.Image
from tqdm.auto import tqdm

from ..files import remove_parts, replacing
from ..pipeline_dcgan_super_resolution import DCGANSuperResolutionPipeline
from ..processes import bar_options, num_processes
from .arguments import UpscalingArguments
from .folder import claimed_folder
from .image_files import find_videos
from .output_size import SizePlan, enlarge, plan_size
from .upscale import MAX_PIXELS_AT_ONCE, Job, Upscaled, check_not_planned, jobs_to_do, settings_of
from .upscaling_progress import ready_to_enlarge
from .upscaling_records import UpscalingRecords, state_of
from .video_files import MAX_SIDE, VideoError, VideoFacts, frame_writer, look_at_video, read_frames, suffix_of_result


logger = logging.getLogger(__name__)


@dataclass
class _VideoJob(Job):
    facts: VideoFacts
    plan: SizePlan


def upscale_videos(
    pipe: DCGANSuperResolutionPipeline, inputs: Iterable[str | Path], args: UpscalingArguments
) -> Upscaled:
    r"""
    Upscales videos frame by frame. Results are H.264 with the sound, subtitles, metadata and frame rate of their sources.
    An existing result is kept unless its source has changed, so an interrupted call can be repeated: the video under way
    begins anew. Unsuitable files are skipped.

    Args:
        pipe ([`DCGANSuperResolutionPipeline`]):
            The model.
        inputs (`Iterable[str | Path]`):
            Video files, folders, and patterns such as `"films/**/*.mp4"`. Files in a folder keep their relative paths.
        args ([`UpscalingArguments`]):
            Folder, names and size of the results, tile size and batch size, with `video=True`.

    Returns:
        [`Upscaled`]: the folder, the number of videos, and the files that were skipped.

    Raises:
        ModuleNotFoundError: if the package imageio-ffmpeg is not installed.
        ValueError: if an input does not exist or has no videos, if a file would be overwritten, if the folder contains
            results made with other settings, or if several processes are connected.

    Example:

    ```python
    >>> from dcgan_hf import DCGANSuperResolutionPipeline
    >>> from dcgan_hf.inference.arguments import UpscalingArguments
    >>> from dcgan_hf.inference.video import upscale_videos

    >>> pipe = DCGANSuperResolutionPipeline.from_pretrained("dcgan-photos-x2")
    >>> upscale_videos(pipe, ["film.mp4"], UpscalingArguments(output_dir="large", video=True))
    ```
    """
    if num_processes() > 1:
        raise ValueError(
            f"`video` works in one process, not in {num_processes()}: films differ too much in length to divide them."
            " Start a command for each device, with a folder of its own."
        )
    folder = Path(args.output_dir)
    records = UpscalingRecords(folder, args.suffix, is_whole=Path.is_file)  # renamed when they are complete
    places, _ = find_videos(inputs, folder, records.own_files())
    jobs, failures = _plan(places, pipe, args)
    missing = jobs_to_do(jobs, records, places, args.overwrite)
    for reason in failures:  # told now: the others may take hours
        logger.warning(f"Skipped: {reason}")
    num_failed = len(failures)
    with claimed_folder(folder, records.settings_name, settings_of(pipe, args)):
        records.join()
        failures += _upscale_missing(pipe, missing, records, args)
    num_made = len(missing) - len(failures) + num_failed
    return Upscaled(folder, len(places) - len(failures), num_made, failures)


def _plan(
    places: dict[Path, Path], pipe: DCGANSuperResolutionPipeline, args: UpscalingArguments
) -> tuple[list[_VideoJob], list[str]]:
    """Plans a result for each video, and returns the reasons why others cannot have one."""
    jobs: dict[Path, _VideoJob] = {}
    unsuitable = []
    for path, place in places.items():
        result = Path(args.output_dir) / place.with_name(f"{place.stem}{args.suffix or ''}{suffix_of_result(path)}")
        check_not_planned(path, result, jobs)
        try:
            facts = look_at_video(path)
            plan = plan_size(facts.size, pipe.generator.config.scale_factor, args)
            if max(plan.size) > MAX_SIDE:
                raise ValueError(f"{plan.size[0]} x {plan.size[1]} pixels are too many for H.264")
            if pipe.generator.config.num_channels == 1 and not facts.is_grey:
                raise ValueError(
                    "colour video, but the model upscales only grey ones. Convert it with ffmpeg -c:v ffv1 -pix_fmt gray"
                )
            jobs[result] = _VideoJob(path, result, state_of(path), facts, plan)
        except ValueError as error:
            unsuitable.append(f"{path} ({error})")
    return list(jobs.values()), unsuitable


def _upscale_missing(
    pipe: DCGANSuperResolutionPipeline, missing: list[_VideoJob], records: UpscalingRecords, args: UpscalingArguments
) -> list[str]:
    """Makes videos, and returns the reasons why some cannot be made."""
    for folder in {job.result.parent for job in missing}:
        remove_parts(folder)
    for job in missing:
        for loss in job.facts.losses:
            logger.warning(f"{job.source}: {loss}")
    num_frames = sum(job.facts.num_frames for job in missing)
    num_pixels = sum(job.facts.num_frames * job.plan.num_pixels for job in missing)
    pipe = ready_to_enlarge(pipe, num_frames, num_pixels, args, unit="frame")
    failures = []
    options = bar_options() if missing else {"disable": True}
    with tqdm(total=num_frames, unit=" frames", **options) as progress_bar:
        for job in missing:
            records.claim([(job.result, job.state)])
            try:
                _make(pipe, job, args, progress_bar)
                records.complete([(job.result, job.state)])
            except VideoError as error:
                failures.append(f"{job.source} ({error})")
                logger.warning(f"Skipped: {failures[-1]}")
            except KeyboardInterrupt as interrupt:
                raise KeyboardInterrupt(
                    "Stopped. Finished videos are complete. Repeat the command to continue: the one under way begins"
                    " anew."
                ) from interrupt
    return failures


def _make(pipe: DCGANSuperResolutionPipeline, job: _VideoJob, args: UpscalingArguments, progress_bar: tqdm) -> None:
    """Makes a video. Few frames are in memory together."""
    facts, mode = job.facts, "L" if job.facts.is_grey else "RGB"
    num_pixels = max(facts.size[0] * facts.size[1], job.plan.size[0] * job.plan.size[1])
    num_together = max(1, min(args.batch_size, MAX_PIXELS_AT_ONCE // num_pixels))
    with closing(read_frames(job.source, facts)) as frames, replacing(job.result, keeps_suffix=False) as temporary:
        with frame_writer(temporary, job.source, facts, job.plan.size) as write:
            # Still pictures, and frames repeated for a constant rate, pass the network once.
            runs = ((frame, sum(1 for _ in same)) for frame, same in groupby(frames))
            while together := list(islice(runs, num_together)):
                images = [PIL.Image.frombytes(mode, facts.size, frame) for frame, _ in together]
                for image, (_, times) in zip(enlarge(pipe, images, args), together):
                    content = image.tobytes()
                    for _ in range(times):
                        write(content)
                    progress_bar.update(times)
