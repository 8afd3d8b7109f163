# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Records of upscaled images in their folder: what is complete, and which files this command may replace."""

import json
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from ..files import flush, naming_a_full_disk, write_text
from ..model_folder import UPSCALING_FILE
from ..pictures import is_image
from ..processes import is_main_process, process_index, wait_for_everyone


class _Entry(NamedTuple):
    """State of the source of a result, and the size of its file, which is unknown until the file is complete."""

    source: list[Any]
    num_bytes: int | None


class UpscalingRecords:
    r"""
    Results in a folder. One process writes one file of records: a line before a result, which claims its name, and a line
    when the result is complete.

    Args:
        folder (`Path`):
            The folder.
        suffix (`str`, *optional*):
            Suffix of the results' names. Those with another one have other records and settings.
        is_whole (`Callable`, *optional*, defaults to [`is_image`]):
            Function that returns whether a file is there and undamaged.
    """

    def __init__(self, folder: Path, suffix: str | None, is_whole: Callable[[Path], bool] = is_image):
        self.folder = folder
        self.suffix = suffix or ""
        self.is_whole = is_whole
        settings = Path(UPSCALING_FILE)
        self.settings_name = f"{settings.stem}{self.suffix}{settings.suffix}"
        self.entries = self._read(re.escape(self.suffix))

    def _files(self, suffix: str) -> list[Path]:
        """Returns the files of records for suffixes of a pattern. The joined one, of the first process, is the first: it
        holds all older entries."""
        files = [
            path for path in self.folder.glob("upscaled*") if re.fullmatch(rf"upscaled{suffix}-\d+\.jsonl", path.name)
        ]
        return sorted(files, key=lambda path: (len(path.name), path.name))

    def _read(self, suffix: str) -> dict[Path, _Entry]:
        entries = {}
        for path in self._files(suffix):
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                with suppress(ValueError, TypeError):  # cut off by a kill or a full disk: the image is made again
                    result, source, *size = json.loads(line)
                    entries[self.folder / result] = _Entry(source, size[0] if size else None)
        return entries

    def own_files(self) -> list[Path]:
        """Returns the results and records of earlier calls, with any suffix. They are not inputs."""
        stem, ending = Path(UPSCALING_FILE).stem, Path(UPSCALING_FILE).suffix
        return [*self._read(".*"), *self._files(".*"), *self.folder.glob(f"{stem}*{ending}")]

    def is_done(self, result: Path, source: list[Any]) -> bool:
        """Returns whether a result is complete and made from the source in its state, see [`state_of`]."""
        entry = self.entries.get(result)
        return (
            entry is not None
            and entry.num_bytes is not None
            and entry.source == source
            and result.exists()
            and self.is_whole(result)
        )

    def may_replace(self, result: Path) -> bool:
        """Returns whether a file does not exist, or is as this command made it, or is damaged."""
        entry = self.entries.get(result)
        if not result.exists():
            return not result.is_symlink()
        if entry is None:
            return False
        return entry.num_bytes in (None, result.stat().st_size) or not self.is_whole(result)

    def join(self) -> None:
        """Merges the records of earlier calls: the newest entry of an image comes last, whichever process wrote it. All
        processes must call it."""
        if is_main_process():
            joined = self._file(0)
            write_text("".join(self._line(result, entry) for result, entry in self.entries.items()), joined)
            for path in self._files(re.escape(self.suffix)):
                if path != joined:
                    path.unlink()
        wait_for_everyone()

    def claim(self, pairs: Iterable[tuple[Path, list[Any]]]) -> None:
        """Notes results that are about to be made from sources in their states: without an entry, they would count as
        somebody else's. Files that are somebody else's are not claimed: they may outlive an interruption."""
        self._write(
            {result: _Entry(source, None) for result, source in pairs if self.may_replace(result)}, durable=True
        )

    def complete(self, pairs: Iterable[tuple[Path, list[Any]]]) -> None:
        """Notes that results are complete."""
        self._write({result: _Entry(source, result.stat().st_size) for result, source in pairs}, durable=False)

    def _write(self, entries: dict[Path, _Entry], durable: bool) -> None:
        own = self._file(process_index())
        with naming_a_full_disk(own):
            with own.open("a", encoding="utf-8") as file:
                file.writelines(self._line(result, entry) for result, entry in entries.items())
            if durable:
                flush(own)
        self.entries |= entries

    def _file(self, process: int) -> Path:
        return self.folder / f"upscaled{self.suffix}-{process}.jsonl"

    def _line(self, result: Path, entry: _Entry) -> str:
        return json.dumps([str(result.relative_to(self.folder)), *entry]) + "\n"


def state_of(source: Path) -> list[Any]:
    """Returns path, modification time and size of a source, to detect changes."""
    return [str(source.absolute()), source.stat().st_mtime_ns, source.stat().st_size]
