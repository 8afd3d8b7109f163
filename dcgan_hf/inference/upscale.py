# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Upscaling of image files and folders, on one process or several."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import PIL.Image

from ..files import remove_parts
from ..pipeline_dcgan_super_resolution import DCGANSuperResolutionPipeline
from ..processes import gather, is_main_process, num_processes, process_index, wait_for_everyone
from .arguments import UpscalingArguments
from .folder import claimed_folder
from .image_files import check_results, find_images
from .image_formats import name_of_result
from .image_reading import FileFacts, Plan, UnsuitableImageError, plan_image, read_image
from .image_writing import write_image
from .output_size import enlarge
from .pipelines import weights_fingerprint
from .upscaling_progress import PixelBar, ready_to_enlarge
from .upscaling_records import UpscalingRecords, state_of


logger = logging.getLogger(__name__)

# Images that are read, upscaled and written together have no more pixels, unless a single one has.
MAX_PIXELS_AT_ONCE = 2**20


@dataclass
class Upscaled:
    """
    Result of [`upscale`] and [`upscale_videos`].

    Args:
        folder (`Path`):
            Folder of the upscaled images or videos.
        num_images (`int`):
            Number of upscaled images, or videos, for the given inputs.
        num_made (`int`):
            Number of those that are new.
        unreadable (`list[str]`):
            Files that cannot be read, or neither upscaled nor saved, with the reason.
    """

    folder: Path
    num_images: int
    num_made: int
    unreadable: list[str]


@dataclass
class Job:
    """Result to make, of an image or a video."""

    source: Path
    result: Path
    state: list[Any]  # of the source, before it is read


@dataclass
class _ImageJob(Job):
    plan: Plan


def upscale(pipe: DCGANSuperResolutionPipeline, inputs: Iterable[str | Path], args: UpscalingArguments) -> Upscaled:
    r"""
    Upscales files, and all images in folders and their subfolders. Results keep name, format and metadata of their
    sources. An existing result is kept unless its source has changed, so an interrupted call can be repeated and resumes
    where it stopped. Unreadable files are skipped. Results of earlier calls in the same folder are not upscaled again.

    Args:
        pipe ([`DCGANSuperResolutionPipeline`]):
            The model.
        inputs (`Iterable[str | Path]`):
            Image files, folders, and patterns such as `"photos/**/*.jpg"`. Files in a folder keep their relative paths.
        args ([`UpscalingArguments`]):
            Folder, names, size and format of the upscaled images, tile size and batch size.

    Returns:
        [`Upscaled`]: the folder, the number of images, and the files that were skipped.

    Raises:
        ValueError: if an input does not exist or has no images, if two of them would be written to the same file, if a
            file would be overwritten, or if the folder contains images made with other settings.

    Example:

    ```python
    >>> from dcgan_hf import DCGANSuperResolutionPipeline
    >>> from dcgan_hf.inference.arguments import UpscalingArguments
    >>> from dcgan_hf.inference.upscale import upscale

    >>> pipe = DCGANSuperResolutionPipeline.from_pretrained("dcgan-photos-x2")
    >>> upscale(pipe, ["photo.jpg", "holidays"], UpscalingArguments(output_dir="large", outscale=1.5))
    ```
    """
    folder = Path(args.output_dir)
    records = UpscalingRecords(folder, args.suffix)
    places, unusable = find_images(inputs, folder, records.own_files())
    jobs, unsuitable = _plan(places, pipe, args)
    missing = jobs_to_do(jobs, records, places, args.overwrite)
    with claimed_folder(folder, records.settings_name, settings_of(pipe, args)):
        records.join()
        unsuitable += _upscale_missing(pipe, missing, records, args)
    for reason in unsuitable if is_main_process() else ():
        logger.warning(f"Skipped: {reason}")
    num_made = len(missing) + len(places) - len(jobs) - len(unsuitable)
    return Upscaled(folder, len(places) - len(unsuitable), num_made, unusable + unsuitable)


AnyJob = TypeVar("AnyJob", bound=Job)


def check_not_planned(source: Path, result: Path, jobs: Mapping[Path, Job]) -> None:
    """Raises a `ValueError` if another source has the same result. Jobs are given by their results."""
    if result in jobs:
        raise ValueError(f"`inputs`: {jobs[result].source} and {source} would both be written to {result}.")


def jobs_to_do(
    jobs: list[AnyJob], records: UpscalingRecords, sources: Iterable[Path], overwrite: bool
) -> list[AnyJob]:
    """Returns the jobs without a complete result of their source. Raises a `ValueError` if one would replace a source or,
    without `overwrite`, a file that this command did not make."""
    missing = [job for job in jobs if not records.is_done(job.result, job.state)]
    replaceable = {job.result for job in missing if records.may_replace(job.result)}
    check_results({job.result: job.source for job in missing}, replaceable, sources, overwrite)
    return missing


def settings_of(pipe: DCGANSuperResolutionPipeline, args: UpscalingArguments) -> dict[str, Any]:
    """Returns the settings that all results in a folder share."""
    return {
        "weights": weights_fingerprint(pipe.generator),
        "image_format": args.image_format,
        **{name: getattr(args, name) for name in ("outscale", "width", "height")},
        # None as in folders of before.
        "self_ensemble": args.self_ensemble or None,
        "dtype": args.dtype,
    }


def _plan(
    places: dict[Path, Path], pipe: DCGANSuperResolutionPipeline, args: UpscalingArguments
) -> tuple[list[_ImageJob], list[str]]:
    """Plans a result for each image, and returns the reasons why others cannot have one."""

    def look(path: Path) -> Plan | str:
        try:
            return plan_image(path, str(path), pipe.generator.config, args)
        except UnsuitableImageError as error:
            return str(error)

    with ThreadPoolExecutor(4) as pool:
        plans = list(pool.map(look, places))
    jobs: dict[Path, _ImageJob] = {}
    for (path, place), plan in zip(places.items(), plans):
        if isinstance(plan, str):
            continue
        result = Path(args.output_dir) / place.with_name(name_of_result(place.name, plan.file_format, args.suffix))
        check_not_planned(path, result, jobs)
        jobs[result] = _ImageJob(path, result, state_of(path), plan)
    return list(jobs.values()), [plan for plan in plans if isinstance(plan, str)]


def _upscale_missing(
    pipe: DCGANSuperResolutionPipeline, missing: list[_ImageJob], records: UpscalingRecords, args: UpscalingArguments
) -> list[str]:
    """Makes images, and returns the reasons why some cannot be made."""
    if is_main_process():
        for folder in {job.result.parent for job in missing}:
            remove_parts(folder)
        for job in missing:
            for loss in job.plan.losses:
                logger.warning(f"{job.source}: {loss}")
    wait_for_everyone()
    num_pixels = sum(job.plan.size.num_pixels for job in missing)
    enlarging = ready_to_enlarge(pipe, len(missing), num_pixels, args)
    progress_bar, failures = PixelBar(num_pixels), []
    try:
        with ThreadPoolExecutor(4) as pool:
            for jobs in _chunks(missing[process_index() :: num_processes()], args.batch_size):
                failures += _make(enlarging, jobs, records, pool, args, progress_bar)
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(
            "Stopped. Finished images are complete: repeat the command to continue."
        ) from interrupt
    finally:
        progress_bar.close()
    return gather(failures)


def _make(
    pipe: DCGANSuperResolutionPipeline,
    jobs: list[_ImageJob],
    records: UpscalingRecords,
    pool: Executor,
    args: UpscalingArguments,
    progress_bar: PixelBar,
) -> list[str]:
    """Makes images that are in memory together. Returns the reasons why some cannot be made."""
    images, read, failures = [], [], []
    for job, result in zip(jobs, pool.map(_read, jobs)):
        if isinstance(result, str):
            failures.append(result)
            progress_bar.update(job.plan.size.num_pixels)
        else:
            images.append(result[0])
            read.append((job, result[1]))
    if not read:
        return failures
    del result  # the list alone holds the images, and is emptied
    large = enlarge(pipe, images, args, progress_bar.update)
    records.claim((job.result, job.state) for job, _ in read)

    def write(image: PIL.Image.Image, job: _ImageJob, facts: FileFacts) -> str | None:
        return write_image(image, facts, job.result, job.plan.file_format, str(job.source))

    written = list(pool.map(write, large, *zip(*read)))
    records.complete((job.result, job.state) for (job, _), failure in zip(read, written) if failure is None)
    return failures + [failure for failure in written if failure is not None]


def _chunks(jobs: list[_ImageJob], batch_size: int) -> Iterator[list[_ImageJob]]:
    """Yields groups of images that are in memory together."""
    chunk: list[_ImageJob] = []
    for job in jobs:
        num_pixels = sum(max(one.plan.source_pixels, one.plan.size.num_pixels) for one in [*chunk, job])
        if chunk and (len(chunk) == batch_size or num_pixels > MAX_PIXELS_AT_ONCE):
            yield chunk
            chunk = []
        chunk.append(job)
    if chunk:
        yield chunk


def _read(job: _ImageJob) -> tuple[PIL.Image.Image, FileFacts] | str:
    """Returns a source, or the reason why it cannot be read."""
    try:
        return read_image(job.source, str(job.source), job.plan.file_format)
    except UnsuitableImageError as error:
        return str(error)
