# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Opening of datasets by name: built-in ones, folders, files, and repositories on the Hub."""

import glob
import logging
import os
import re
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any, TypeAlias

import datasets
import numpy as np
import PIL.Image
import pyarrow
from datasets.exceptions import DatasetGenerationError
from huggingface_hub import DatasetCard

from ..model_folder import ARGUMENTS_FILE
from .array_files import open_arrays
from .file_listing import ARCHIVES, FileListing, first_of, list_folder, list_zip
from .idx import idx_files, open_idx
from .image_files import SPLIT_WORDS, open_image_files, places_of
from .preparation import open_split
from .procedural_faces import load_procedural_faces


AnyDataset: TypeAlias = datasets.Dataset | datasets.IterableDataset

# scikit-learn's files, by split.
_PHOTOS = {"train": "flower.jpg", "test": "china.jpg"}
BUILT_IN = ("digits", "photos", "procedural_faces")
BUILDERS = {".parquet": "parquet", ".arrow": "arrow", ".tar": "webdataset"}
_SHARD = re.compile(rf"({'|'.join(SPLIT_WORDS)})(?:[-._]?\d.*)?")


logger = logging.getLogger(__name__)


def open_dataset(
    dataset_name: str, config_name: str | None, split: str, cache_dir: str | None, streaming: bool
) -> tuple[AnyDataset, str | None]:
    r"""
    Opens a dataset.

    Args:
        dataset_name, config_name, split, cache_dir, streaming:
            See [`load_image_dataset`].

    Returns:
        `tuple[Dataset | IterableDataset, str | None]`: the dataset, and its repository if it comes from the Hub.

    Raises:
        ValueError: if the dataset or the split does not exist, or if a file is damaged.
    """
    path = Path(dataset_name).expanduser()
    extension = path.suffix.lower()
    if path.is_dir() and not os.access(path, os.R_OK | os.X_OK):
        raise ValueError(f"`dataset_name={dataset_name}` cannot be read: permission denied.")
    # Other programs, too, call a file state.json.
    is_saved = all((path / name).is_file() for name in ("state.json", "dataset_info.json"))
    is_saved = is_saved or (path / "dataset_dict.json").is_file()
    image_files = idx_files(path)
    is_file = extension in (*BUILDERS, *ARCHIVES) and not path.is_dir()
    if config_name is not None and (dataset_name in BUILT_IN or is_saved or image_files or is_file):
        raise ValueError(f"`dataset_config_name={config_name}`: {dataset_name!r} has no configurations.")
    if dataset_name in BUILT_IN:
        _check_not_hidden(path)
        return _open_built_in(dataset_name, split, cache_dir), None
    if is_saved:
        return _open_saved(path, split), None
    if image_files:
        return _open_idx(path, image_files, split, cache_dir), None
    if path.is_dir():
        return _open_folder(path, config_name, split, cache_dir, streaming), None
    if is_file:
        return _open_files(path, extension, split, cache_dir, streaming), None
    if path.exists() or dataset_name.startswith((".", "/", "~")) or dataset_name.count("/") > 1:
        extensions = ", ".join((*BUILDERS, *ARCHIVES))
        raise ValueError(f"`dataset_name={dataset_name}`: no such folder or {extensions} file.")
    try:
        dataset = _load(dataset_name, dataset_name, config_name, split, cache_dir, streaming)
    except (ConnectionError, FileNotFoundError) as error:
        raise ValueError(
            f"`dataset_name={dataset_name}` is not a local folder, and the Hub reports: {error}"
        ) from error
    return dataset, dataset_name


def _open_built_in(name: str, split: str, cache_dir: str | None) -> datasets.Dataset:
    if name == "procedural_faces":
        return load_procedural_faces(split, cache_dir)
    if name == "digits":
        if split != "train":
            raise ValueError(f"'digits' has no split {split!r}, only 'train'.")
        return _load_digits()
    if split not in _PHOTOS:
        raise ValueError(f"'photos' has no split {split!r}, only {list(_PHOTOS)}.")
    return _load_photo(split)


def _check_not_hidden(folder: Path) -> None:
    """Refuses a built-in name if a folder of images is called so. The folder of a model may be."""
    is_model = any((folder / name).exists() for name in ("model_index.json", ARGUMENTS_FILE))
    if folder.is_dir() and not is_model and list_folder(folder).images:
        raise ValueError(
            f"`dataset_name={folder}` is a built-in dataset, but there is also a folder of images called so. Write"
            f" `./{folder}` for the folder. For the built-in dataset, rename the folder or run elsewhere."
        )


def _open_saved(folder: Path, split: str) -> datasets.Dataset:
    try:
        dataset = datasets.load_from_disk(str(folder))
    except (pyarrow.ArrowException, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"`dataset_name={folder}`, a saved dataset, is damaged: {error}") from error
    if isinstance(dataset, datasets.DatasetDict):
        return open_split({name: len(part) for name, part in dataset.items()}, split, str(folder), dataset.__getitem__)
    if split not in ("train", str(dataset.split)):
        raise ValueError(f"{str(folder)!r} has no splits, so `dataset_split={split}` cannot be used.")
    return dataset


def _open_idx(folder: Path, image_files: list[Path], split: str, cache_dir: str | None) -> datasets.Dataset:
    dataset = open_idx(image_files, split, cache_dir)
    logger.info(f"{folder}: {len(dataset):,} images of IDX files are used")
    beside = list_folder(folder).images
    if beside:
        logger.warning(f"{folder}: left out: images beside IDX files: {len(beside):,} ({first_of(beside)})")
    return dataset


def _open_folder(
    folder: Path, config_name: str | None, split: str, cache_dir: str | None, streaming: bool
) -> AnyDataset:
    if not _has_configurations(folder):
        if config_name is not None:
            raise ValueError(f"`dataset_config_name={config_name}`: {str(folder)!r} has no configurations.")
        listing = list_folder(folder)
        tables = [name for name in listing.of_kind("other files") if Path(name).suffix.lower() in BUILDERS]
        # What is more counts, as in `datasets`: there may be a picture beside tables.
        if tables and len(tables) >= len(listing.images):
            return _open_tables(listing, tables, split, cache_dir, streaming)
        archives = listing.of_kind("archives")
        if len(archives) == 1 and not listing.images:
            path = folder / archives[0]
            return _open_files(path, path.suffix.lower(), split, cache_dir, streaming)
        if listing.images or listing.unusable or archives or not any(map(_is_table, listing.of_kind("texts"))):
            return open_image_files(listing, split, cache_dir)
    # Absolute: `datasets` mistakes a folder named "parquet" or "imagefolder" for one of its builders.
    return _load(str(folder), str(folder.absolute()), config_name, split, cache_dir, streaming)


def _open_tables(
    listing: FileListing, names: list[str], split: str, cache_dir: str | None, streaming: bool
) -> AnyDataset:
    """Opens the parquet, arrow or webdataset files of a folder: those of the most frequent kind."""
    extensions = [Path(name).suffix.lower() for name in names]
    extension = Counter(extensions).most_common(1)[0][0]
    used = sorted(name for name, own in zip(names, extensions) if own == extension)
    # `train-00000-of-00002.parquet` belongs to a split if all files are called so. Elsewhere words mean nothing.
    shards = [_SHARD.fullmatch(Path(name).stem.lower()) for name in used]
    splits: dict[str, list[str]] = {}
    for (name, (place, _)), shard in zip(places_of(used).items(), shards):
        splits.setdefault(SPLIT_WORDS[shard[1]] if shard and all(shards) else place, []).append(name)
    left_out = splits.pop("", []) + [name for name in names if name not in used] + listing.images
    left_out += listing.of_kind("archives")
    if len(splits) == 1 and split.split("[")[0] == "train":
        splits = {"train": used}
    log = logger.warning if left_out else logger.info
    log(
        f"{listing.source}: {extension} files: "
        + ", ".join(f"{len(own):,} for {word!r}" for word, own in splits.items())
        + (f"; left out: {len(left_out):,} ({first_of(left_out)})" if left_out else "")
    )
    folder = Path(listing.source).absolute()
    files = {word: [glob.escape(str(folder / name)) for name in own] for word, own in splits.items()}
    return _load(listing.source, BUILDERS[extension], None, split, cache_dir, streaming, data_files=files)


def _is_table(name: str) -> bool:
    return name.lower().endswith((".json", ".jsonl", ".csv"))


def _has_configurations(folder: Path) -> bool:
    """Returns whether the card of a dataset repository says which files belong to which split."""
    card = folder / "README.md"
    if not card.is_file():
        return False
    try:
        return isinstance(DatasetCard.load(card, ignore_metadata_errors=True).data.to_dict().get("configs"), list)
    except Exception:  # a text of the user, of any form
        return False


def _open_files(path: Path, extension: str, split: str, cache_dir: str | None, streaming: bool) -> AnyDataset:
    if extension in ARCHIVES:
        if not path.is_file():
            raise ValueError(f"`dataset_name={path}`: no such file.")
        if extension == ".zip":
            return open_image_files(list_zip(path), split, cache_dir)
        return open_arrays(path, split, cache_dir)
    # The name of an existing file is not a pattern.
    pattern = glob.escape(str(path)) if path.is_file() else str(path)
    if not glob.glob(pattern, recursive=True):
        raise ValueError(f"`dataset_name={path}`: no such file.")
    files = {"train": pattern}
    return _load(str(path), BUILDERS[extension], None, split, cache_dir, streaming, data_files=files)


def _load(
    name: str,
    path: str,
    config_name: str | None,
    split: str,
    cache_dir: str | None,
    streaming: bool,
    **options: Any,
) -> AnyDataset:
    """Calls `datasets`. Damaged files become a `ValueError` with the name of the dataset."""
    try:
        dataset = datasets.load_dataset(
            path, config_name, split=split, cache_dir=cache_dir, streaming=streaming, **options
        )
        # Streamed files may reveal their columns only when read.
        return dataset if dataset.features is not None else dataset._resolve_features()
    except DatasetGenerationError as error:
        raise ValueError(f"`dataset_name={name}` cannot be read: {error.__cause__ or error}") from error
    except (pyarrow.ArrowException, tarfile.TarError, EOFError) as error:
        raise ValueError(f"`dataset_name={name}` cannot be read: {error}") from error
    except ValueError as error:  # of the names of splits and configurations, and of cards
        raise ValueError(f"`dataset_name={name}`: {error}") from error


def _load_digits() -> datasets.Dataset:
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = [PIL.Image.fromarray((image / 16 * 255).round().astype(np.uint8)) for image in digits.images]
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=[str(i) for i in range(10)])}
    )
    info = datasets.DatasetInfo(
        features=features,
        homepage="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
        license="cc-by-4.0",
    )
    return datasets.Dataset.from_dict({"image": images, "label": digits.target.tolist()}, info=info)


def _load_photo(split: str) -> datasets.Dataset:
    from sklearn.datasets import load_sample_image

    image = PIL.Image.fromarray(load_sample_image(_PHOTOS[split]))
    info = datasets.DatasetInfo(features=datasets.Features({"image": datasets.Image()}), license="cc-by-2.0")
    return datasets.Dataset.from_dict({"image": [image]}, info=info)
