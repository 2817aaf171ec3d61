"""Fuzz the streaming runtime's two parsers, guided by the coverage of their code: Runtime API's answers, and events.

What held is the corpus of the next run, in .fuzz/; what did not is a file there:
`make fuzz ARGS="answers FILE"` tries it.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["streaming_runtime"]):
    from tests.unit.streaming_runtime.fuzzing import ANSWERS, EVENTS, try_answer, try_event

FOLDER = Path(".fuzz")
MOST_BYTES = 4096  # long enough for three answers, and short enough for 10,000 tries a second
UNIT_SECONDS = 20  # what takes longer is an endless loop


def main() -> None:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("what", choices=["answers", "events"])
    parser.add_argument("files", nargs="*", type=Path, help="try these alone, instead of new ones")
    parser.add_argument("--seconds", type=int, default=300, help="how long (300)")
    asked = parser.parse_args()
    seeds, try_one = _of_answers() if asked.what == "answers" else _of_events()
    corpus = FOLDER / asked.what
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    limits = [f"-max_total_time={asked.seconds}", f"-max_len={MOST_BYTES}", f"-timeout={UNIT_SECONDS}"]
    found = f"-artifact_prefix={FOLDER}/{asked.what}-"
    atheris.Setup([sys.argv[0], *limits, found, *map(str, asked.files or [corpus])], try_one)
    atheris.Fuzz()


def _of_answers() -> tuple[list[bytes], Callable[[bytes], None]]:
    loop = asyncio.new_event_loop()
    return ANSWERS, lambda data: loop.run_until_complete(try_answer(data))


def _of_events() -> tuple[list[bytes], Callable[[bytes], None]]:
    return [json.dumps(event).encode() for event in EVENTS], try_event


if __name__ == "__main__":
    main()
