# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Image files of folders and archives: what is used, and what is left out for which reason."""

import logging
import os
import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import PIL.features
import PIL.Image
import PIL.ImageFile

from ..model_folder import (
    ANIMATION_FILE,
    ARGUMENTS_FILE,
    COMPARISON_FILE,
    EXPLANATION_FILE,
    GENERATION_FILE,
    GRID_FILE,
    IMAGES_FOLDER,
    REPORT_FOLDER,
    REPORTS,
    SAMPLE_NAME,
    SAMPLES_FOLDER,
    UPSCALING_FILE,
)


METADATA_FILES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
STYLEGAN_FILE = "dataset.json"
LISTS = "lists of images"
ARCHIVES = (".zip", ".npz", ".npy")

# Usual extensions, which need no look into the file. A set of 200,000 images is listed in seconds.
_IMAGES = {".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".jp2", ".tga"}
_IMAGES |= {".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".heic", ".heif"}
# Images that Pillow does not know, or of which it would read the small preview.
_UNREADABLE = dict.fromkeys(
    (".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".raf", ".pef", ".srw"), "raw files of cameras"
)
_UNREADABLE |= {".svg": "vector graphics", ".jxl": "JPEG XL"}
# Previews and remains of operating systems.
_SYSTEM_FOLDERS = {"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information"}
_MODEL_FILES = {"model_index.json", ARGUMENTS_FILE}
# Files by which the folders of `generate`, `upscale` and `explain` are known.
_OUTPUT_FILES = {GENERATION_FILE, UPSCALING_FILE, EXPLANATION_FILE}
_PICTURES_OF_REPORTS = "|".join(pictures for _, pictures in REPORTS.values())
# Pictures of a run in its folder, which may be that of the training images.
_PICTURES_OF_A_RUN = re.compile(
    rf"{SAMPLES_FOLDER}/{SAMPLE_NAME}|{GRID_FILE}|{COMPARISON_FILE}|{IMAGES_FOLDER}/seed-\d+\.png|{ANIMATION_FILE}"
    rf"|{REPORT_FOLDER}/({_PICTURES_OF_REPORTS})"
)
_TEXTS = (".txt", ".json", ".jsonl", ".csv", ".tsv", ".caption", ".md", ".xml", ".yaml", ".yml", ".html")
_HIDDEN = "hidden files"
HEIC = "HEIC needs `pip install pillow-heif`"
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
_CUT_NAMES = 3  # of files in a message
_PAGED = (".gif", ".tif", ".tiff", ".webp", ".apng")
# Pages are counted in so many files at most: it means opening them.
_MAX_COUNTED = 1000
# More bytes than any image that Pillow decodes: a compressed file that declares so many is a bomb.
MAX_FILE_BYTES = 2**29
# Errors of files and archives that are damaged, encrypted or out of reach.
DAMAGES = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError)

logger = logging.getLogger(__name__)

try:
    from pillow_heif import register_heif_opener
except ImportError:
    CAN_READ_HEIC = False
else:
    register_heif_opener()
    CAN_READ_HEIC = True


@dataclass
class FileListing:
    """
    Files of a folder or an archive.

    Args:
        source (`str`):
            The folder or the archive.
        open (`Callable[[str], IO[bytes]]`):
            Opens a file by its name.
        images (`list[str]`):
            Names of the image files, relative to the source, with slashes, sorted.
        unusable (`dict[str, list[str]]`):
            Image files that are left out, by reason.
        others (`dict[str, list[str]]`):
            Other files, by kind.
    """

    source: str
    open: Callable[[str], IO[bytes]]
    images: list[str] = field(default_factory=list)
    unusable: dict[str, list[str]] = field(default_factory=dict)
    others: dict[str, list[str]] = field(default_factory=dict)

    def of_kind(self, kind: str) -> list[str]:
        """Returns the other files of a kind."""
        return self.others.get(kind, [])

    def leave_out(self, reason: str, names: list[str]) -> None:
        """Leaves images out."""
        self.images = sorted({*self.images} - {*names})
        self.unusable.setdefault(reason, []).extend(names)

    def set_aside(self, kind: str, name: str) -> None:
        """Notes a file that is not used: as an image that is left out for this reason, or as no image."""
        is_image = os.path.splitext(name)[1].lower() in _IMAGES
        (self.unusable if is_image else self.others).setdefault(kind, []).append(name)

    def read(self, name: str) -> bytes:
        """Returns the content of a file of at most `MAX_FILE_BYTES`. Raises a `ValueError` if it cannot be read."""
        try:
            with self.open(name) as file:
                content = file.read(MAX_FILE_BYTES + 1)
        except DAMAGES as error:
            raise ValueError(f"{name!r} in {self.source!r} cannot be read: {error}") from error
        if len(content) > MAX_FILE_BYTES:
            raise ValueError(f"{name!r} in {self.source!r} has more than {MAX_FILE_BYTES:,} bytes.")
        return content

    def add(self, name: str) -> None:
        """Sorts a file in by its extension, or else by its content."""
        base = name.rpartition("/")[2]
        extension = os.path.splitext(base)[1].lower()
        if any(part in _SYSTEM_FOLDERS or part.startswith(".") for part in name.split("/") if part not in (".", "..")):
            self.set_aside(_HIDDEN, name)
        elif extension in (".heic", ".heif") and not CAN_READ_HEIC:
            self.unusable.setdefault(HEIC, []).append(name)
        elif extension == ".avif" and not PIL.features.check("avif"):
            self.unusable.setdefault("AVIF cannot be read by this build of Pillow", []).append(name)
        elif extension in _UNREADABLE:
            self.unusable.setdefault(_UNREADABLE[extension], []).append(name)
        elif extension in _IMAGES:
            self.images.append(name)
        elif base in (*METADATA_FILES, STYLEGAN_FILE):
            self.others.setdefault(LISTS, []).append(name)
        elif extension in ARCHIVES:
            self.others.setdefault("archives", []).append(name)
        else:
            self._add_by_content(name, extension)

    def _add_by_content(self, name: str, extension: str) -> None:
        try:
            with self.open(name) as file:
                head = file.read(16)
                if is_heic(head) and not CAN_READ_HEIC:
                    self.unusable.setdefault(HEIC, []).append(name)
                    return
                # Captions beside images can be many: Pillow need not try all its formats on them.
                is_text = all(32 <= byte < 127 or byte in b"\t\n\r" for byte in head)
                is_image = not is_text and _is_image(file)
        except DAMAGES:
            self.others.setdefault("files that cannot be opened", []).append(name)
            return
        if is_image:
            self.images.append(name)
        else:
            kind = "empty files" if not head else "texts" if extension in _TEXTS else "other files"
            self.others.setdefault(kind, []).append(name)

    def describe_unusable(self) -> list[str]:
        """Returns a line for each reason to leave image files out."""
        return [f"Left out: {reason}: {len(names):,} ({first_of(names)})" for reason, names in self.unusable.items()]

    def describe_others(self) -> list[str]:
        """Returns a line for each kind of other files."""
        kinds = {kind: names for kind, names in self.others.items() if kind not in (_HIDDEN, LISTS)}
        return [f"Not images: {kind}: {len(names):,} ({first_of(names)})" for kind, names in kinds.items()]

    def describe_pages(self) -> list[str]:
        """Returns a line if images have several pages, of which the first is used. Only some files are opened."""
        several = []
        for name in [name for name in self.images if name.lower().endswith(_PAGED)][:_MAX_COUNTED]:
            try:
                with self.open(name) as file, PIL.Image.open(file) as image:
                    if getattr(image, "n_frames", 1) > 1:
                        several.append(f"{name}: {image.n_frames}")  # type: ignore[attr-defined]
            except Exception:  # Pillow raises many types; the decoder reports them
                continue
        if not several:
            return []
        return [f"Images of several pages, of which the first is used: {len(several):,} ({first_of(several)})"]


def first_of(names: list[str]) -> str:
    """Returns the first names, on one line."""
    shown = ", ".join(repr(name)[1:-1] for name in sorted(names)[:_CUT_NAMES])
    return f"{shown}, ..." if len(names) > _CUT_NAMES else shown


def is_heic(head: bytes) -> bool:
    """Returns whether a file that begins with these bytes, at least 12, is in the format HEIC."""
    return head[4:8] == b"ftyp" and head[8:12] in _HEIC_BRANDS


def _is_image(file: IO[bytes]) -> bool:
    """Returns whether Pillow knows the format of a file, and can decode it."""
    file.seek(0)
    try:
        with PIL.Image.open(file) as image:
            return not isinstance(image, PIL.ImageFile.StubImageFile)
    except PIL.Image.DecompressionBombError:
        return True  # the decoder reports it
    except Exception:  # damaged files raise many types
        return False


def list_folder(folder: Path) -> FileListing:
    """Lists the files of a folder and its subfolders. Links are followed, but no folder is entered twice."""
    listing = FileListing(str(folder), lambda name: open(folder / name, "rb"))
    waiting, seen = [""], {_identity(os.stat(folder))}
    is_run = any((folder / name).is_file() for name in _MODEL_FILES)
    while waiting:
        parent = waiting.pop()
        try:
            with os.scandir(folder / parent) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            if not parent:
                raise ValueError(f"`dataset_name={folder}` cannot be read: {error.strerror}.") from error
            logger.warning(f"{folder / parent} cannot be read, and is left out: {error.strerror}")
            listing.others.setdefault("folders that cannot be read", []).append(parent)
            continue
        # Pictures that this program made are not training images, unless the folder itself is asked for.
        kind = _kind_of_output({entry.name for entry in entries})
        if parent and kind is not None:
            listing.others.setdefault(kind, []).append(parent)
            continue
        for entry in entries:
            name = parent + entry.name
            # Of a link, also one that leads in a circle or to a place without permission.
            is_dir = os.path.isdir(entry) if entry.is_symlink() else entry.is_dir()
            if is_dir:
                identity = _identity(entry.stat())
                if entry.name.startswith(".") or entry.name in _SYSTEM_FOLDERS:
                    listing.others.setdefault(_HIDDEN, []).append(name)
                elif identity in seen:
                    listing.others.setdefault("links to folders listed already", []).append(name)
                else:
                    seen.add(identity)
                    waiting.append(f"{name}/")
            elif not _is_utf8(name):
                listing.set_aside("names that are not UTF-8", name)
            elif is_run and _PICTURES_OF_A_RUN.fullmatch(name):
                listing.set_aside("pictures of the run in this folder", name)
            elif os.path.isfile(entry) if entry.is_symlink() else entry.is_file():
                listing.add(name)
            else:
                listing.set_aside("broken links and devices", name)
    listing.images.sort()
    return listing


def _kind_of_output(names: set[str]) -> str | None:
    """Returns the kind of a folder that this program wrote, by the files in it; `None` for another one."""
    if names & _MODEL_FILES:
        return "folders of models"
    is_output = names & _OUTPUT_FILES or any(
        page in names and any(re.fullmatch(pictures, name) for name in names)
        for page, (_, pictures) in REPORTS.items()  # of `evaluate`
    )
    return "folders that this program wrote" if is_output else None


def _identity(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def open_zip(path: str | Path) -> zipfile.ZipFile:
    """Opens a zip archive. Its names have slashes, also those of a Windows program that wrote backslashes."""
    archive = zipfile.ZipFile(path)
    for info in archive.infolist():
        name = info.filename.replace("\\", "/")
        if name not in archive.NameToInfo:
            info.filename = name
            archive.NameToInfo[name] = info
    return archive


def list_zip(path: Path) -> FileListing:
    """Lists the files of a zip archive, which is never extracted. Raises a `ValueError` if it is damaged."""
    try:
        archive = open_zip(path)
    except (*DAMAGES, ValueError) as error:
        raise ValueError(f"`dataset_name={path}` is not a whole zip archive: {error}.") from error
    listing = FileListing(str(path), archive.open)
    for info in archive.infolist():
        if info.is_dir():
            continue
        if info.file_size > MAX_FILE_BYTES:
            listing.unusable.setdefault(f"more than {MAX_FILE_BYTES:,} bytes", []).append(info.filename)
        elif info.flag_bits & 1:
            listing.unusable.setdefault("encrypted", []).append(info.filename)
        else:
            listing.add(info.filename)
    listing.images = sorted(set(listing.images))
    return listing
