"""The process of one side: it takes steps when it is told to, and blocks while it is not.

    python serve.py SIDE_FILE

A process to itself, so that no side's threads spin while another is timed, and that its peak memory
is its own. Started by paths, not by module names, so that PyTorch's process never imports minigan.
Requests and replies are pickles on stdin and stdout; `processes.py` is the other end.

A side is a file with

about()         its versions and its number of threads
prepare(job)    an endless iterator: each `next` is one step, and gives its result: an array, or losses by
                name, as numbers or as what has `item()`
variants(job)   the ways of doing the job to choose the quickest from; without it there is one way
"""

import os
import pickle
import runpy
import signal
import sys
import time
import traceback


class Served:
    """What can be asked for, by name."""

    def __init__(self, side):
        self.side = side

    def about(self):
        return self.side["about"]()

    def variants(self, job):
        return self.side["variants"](job) if "variants" in self.side else [{}]

    def prepare(self, job):
        self.steps = self.side["prepare"](job)

    def take(self, n):
        """The results of the next `n` steps."""
        return [as_numpy(read(next(self.steps))) for _ in range(n)]

    def time(self, warm_up, seconds, least, bundle):
        """Seconds of a step: the mean of a bundle of them, at least `least` times, until `seconds` are over.

        What is taken in the first `warm_up` seconds is not counted: it wakes the threads, and lets those
        of the side before fall asleep.
        """
        clock = time.perf_counter
        end = clock() + warm_up
        self.take_bundle(bundle)
        while clock() < end:
            self.take_bundle(bundle)
        times, end = [], clock() + seconds
        while len(times) < least or clock() < end:
            start = clock()
            self.take_bundle(bundle)
            times.append((clock() - start) / bundle)
        return times

    def take_bundle(self, n):
        """n steps, of which only the last one's losses are waited for."""
        for _ in range(n):
            result = next(self.steps)
        read(result)

    def peak_memory(self):
        """The most bytes of memory that this process has held; None where that is not told."""
        try:
            # ru_maxrss would begin at our parent's size
            with open("/proc/self/status", encoding="utf-8") as status:
                return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
        except OSError:
            pass
        try:
            import resource
        except ImportError:
            return None
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def read(result):
    """Losses, by name, as numbers: this waits for the device. Anything else as it is."""
    if not isinstance(result, dict):
        return result
    return {name: loss.item() if hasattr(loss, "item") else loss for name, loss in result.items()}


def as_numpy(result):
    """A tensor as an array: whoever unpickles it need not have the tensor's library."""
    return result.numpy() if hasattr(result, "numpy") else result


def main(side_file):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's; it ends this process
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no reply
    served = Served(runpy.run_path(side_file))
    while True:
        try:
            name, arguments = pickle.load(sys.stdin.buffer)
        except EOFError:  # the parent is gone
            return
        try:
            reply = "result", getattr(served, name)(*arguments)
        except Exception:
            reply = "error", traceback.format_exc()
        pickle.dump(reply, replies)
        replies.flush()


if __name__ == "__main__":
    main(sys.argv[1])
