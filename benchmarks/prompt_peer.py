"""dynamicprompts in a process of its own: ``python benchmarks/prompt_peer.py PROMPT``.

Reads one JSON object a line (``{"mode": "combinatorial"|"random", "count": N}``) and answers with one: CPU
seconds, and how many of the texts differ. Imports the library and the standard library only, so that it may be
another interpreter than ours.
"""

from __future__ import annotations

import json
import sys
import time


def serve(text: str) -> int:
    """Serve until the input ends."""

    def say(what: dict[str, object]) -> None:
        print(json.dumps(what), flush=True)

    try:
        from importlib.metadata import version

        from dynamicprompts.generators import CombinatorialPromptGenerator, RandomPromptGenerator

        say({"version": version("dynamicprompts")})
    except Exception as error:  # whatever keeps it from starting is the answer
        say({"error": f"dynamicprompts: {type(error).__name__}: {error}".splitlines()[0]})
        return 1
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["mode"] == "combinatorial":
            generator = CombinatorialPromptGenerator()
        else:
            generator = RandomPromptGenerator(seed=1)
        begun = time.process_time()
        made = generator.generate(text, asked["count"])
        say({"seconds": time.process_time() - begun, "distinct": len(set(made))})
    return 0


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1]))
