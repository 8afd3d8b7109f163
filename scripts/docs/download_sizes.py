#!/usr/bin/env python
# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Measures the download of an installation, dependencies included, and notes it in `docs/figures/install.json`:

    python scripts/docs/download_sizes.py cuda torch==2.13.0
    python scripts/docs/download_sizes.py cpu torch==2.13.0+cpu
    python scripts/docs/download_sizes.py package ".[train]" --without torch
"""

import argparse
import json
import shlex
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any


FILE = Path(__file__).parents[2] / "docs" / "figures" / "install.json"


def size_of(url: str) -> int:
    """Bytes of a file, which is not read."""
    with urllib.request.urlopen(urllib.request.Request(url, method="HEAD")) as response:
        return int(response.headers["Content-Length"])


def resolve(requirements: list[str]) -> dict[str, Any]:
    """Packages that pip would install into an empty environment, by name."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet", "--report", "-"]
    report = json.loads(subprocess.check_output([*command, *requirements]))
    return {package["metadata"]["name"].lower(): package["download_info"] for package in report["install"]}


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description="Measures the download of an installation.")
    parser.add_argument("name", help="Key in install.json.")
    parser.add_argument("requirements", nargs="+", help="What pip installs.")
    parser.add_argument("--without", nargs="+", default=[], help="Requirements not to count, and what they need.")
    args = parser.parse_args(argv)
    packages = resolve(args.requirements)
    for name in resolve(args.without) if args.without else ():
        packages.pop(name, None)
    # Folders, such as a checkout, are not downloaded.
    sizes = {name: size_of(info["url"]) for name, info in packages.items() if "archive_info" in info}
    content = json.loads(FILE.read_text()) if FILE.is_file() else {}
    content[args.name] = {
        "command": shlex.join(["python", "scripts/docs/download_sizes.py", *argv]),
        "bytes": sum(sizes.values()),
        "packages": sizes,
    }
    FILE.write_text(json.dumps(content, indent=2) + "\n")
    print(f"{args.name}: {sum(sizes.values()) / 1e6:,.0f} MB in {len(sizes)} files")


if __name__ == "__main__":
    main(sys.argv[1:])
