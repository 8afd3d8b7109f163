"""Commands in processes of their own, forked from a server that has imported the package, so that they start at once."""

import multiprocessing
import os
import socket
import sys
import tempfile
from multiprocessing.connection import wait
from pathlib import Path

from dcgan_hf.cli.main import main


_SERVER = multiprocessing.get_context("forkserver")
_TRAINERS = ["dcgan_hf.training.generation", "dcgan_hf.training.super_resolution"]
_SERVER.set_forkserver_preload(["dcgan_hf.cli.main", "dcgan_hf.inference.pipelines", *_TRAINERS])


def run_elsewhere(*words, processes=1):
    """Runs a command in several connected processes, as torchrun does, and returns what they wrote."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    connection = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "WORLD_SIZE": processes,
        "LOCAL_WORLD_SIZE": processes,
    }
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "output.txt"
        running, ended = [], []
        try:
            for rank in range(processes):
                environment = connection | {"RANK": rank, "LOCAL_RANK": rank} if processes > 1 else {}
                environment = os.environ | {name: str(value) for name, value in environment.items()}
                arguments = (list(map(str, words)), environment, os.getcwd(), output)
                running.append(_SERVER.Process(target=_run, args=arguments))
                running[-1].start()
            while len(ended) < processes and not any(process.exitcode for process in ended):
                wait([process.sentinel for process in running if process not in ended])
                ended = [process for process in running if process.exitcode is not None]
        finally:
            for process in running:
                process.kill()
                process.join()
        assert not any(process.exitcode for process in ended), output.read_text()
        return output.read_text()


def _run(words, environment, folder, output):
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(file, stream.fileno())
    sys.exit(main(words))
