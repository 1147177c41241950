"""A process that tells a Dagster instance about publications while another one publishes them.

It reads one line of JSON from standard input (the ledger's URL, the environment, the instance's home) and goes on until that
input ends: when its starter has finished, or has died. Telling takes Dagster longer per version than publishing takes the
ledger, which is why it is done beside the stages and not between them.
"""

import json
import sys
import threading
from pathlib import Path

from spam_pipeline.orchestration.events import Teller
from spam_pipeline.orchestration.instance import open_instance
from spam_pipeline.protocol.ledger import Ledger

_LOOK_SECONDS = 0.5


def main() -> None:
    """Tell until standard input ends, then once more about what was published last."""
    what = json.loads(sys.stdin.readline())
    is_done = threading.Event()
    threading.Thread(target=_wait_for_the_end, args=(is_done,), daemon=True).start()
    ledger = Ledger(what["ledger"])
    with open_instance(Path(what["dagster_home"])) as instance:
        teller = Teller(instance, ledger, what["environment"])
        while not is_done.wait(_LOOK_SECONDS):
            teller.tell()
        teller.tell()
        teller.close()
    ledger.close()


def _wait_for_the_end(is_done: threading.Event) -> None:
    sys.stdin.read()
    is_done.set()


if __name__ == "__main__":
    main()
