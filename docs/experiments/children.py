"""What a child has goes back when it ends; until then it is missing from your RSS alone."""

import os
import signal
import time

from experiment import MIB, look


def child(then: str) -> None:
    ready, done = os.pipe()
    process = os.fork()
    if not process:
        rows = [bytes(3_000) for _ in range(14_000)]
        os.write(done, b"the result, which is small")
        if then == "stays":
            time.sleep(60)  # it lives on, until it is ended below
        os._exit(len(rows) == 0)
    assert os.read(ready, 100)
    if then == "ends":
        os.waitpid(process, 0)
    running.append(process)


running: list[int] = []
ended = look("a child that ends", lambda: child("ends"))
stays = look(
    "a child that waits for more",
    lambda: child("stays"),
    after=lambda: os.kill(running.pop(), signal.SIGKILL),
)

assert ended.end_bytes < 4 * MIB
assert stays.end_bytes > 30 * MIB
assert stays.rss_bytes < 4 * MIB
