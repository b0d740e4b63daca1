"""The jobs of a study at work: as many at once as there are processors, each a process after another."""

import contextlib
import datetime
import os
import shlex
import shutil
import signal
import subprocess
import threading
import time
from statistics import fmean

from minigan import __version__
from minigan.environment import processor_name, processors
from minigan.errors import MiniganError
from minigan.training.lock import locked
from minigan_kernels.engines import requested_threads

from .jobs import Job, commands

LOOK_EVERY = 0.1  # seconds between two looks at the processes
LAST_LINES = 10  # of a failed job's log, that are shown
IN_USE = "in use: a study, or a job that one left behind, runs there"
LIMITS = "MINIGAN_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"


def run_jobs(jobs: list[Job], workers: int | None, say) -> bool:
    """Run what is left of `jobs`, `workers` at once, by default one a processor; False if it was stopped.

    Ctrl-C and SIGTERM stop the processes, which save what they have; a second time kills them. A job
    that fails is told with its last lines, and the others go on. MiniganError if another study runs in
    the folder, or it cannot be written.
    """
    left = [job for job in jobs if job.evaluation() is None]
    if not left:
        return True
    out, cores = jobs[0].out, requested_threads() or processors()
    workers = min(workers or cores, len(left))
    try:
        out.mkdir(parents=True, exist_ok=True)
        with locked(out / ".lock", lambda pid: f"{out} is {IN_USE}") as lock, _signals() as received:
            return Pool(jobs, left, workers, max(cores // workers, 1), lock, say).run(received)
    except OSError as error:
        raise MiniganError(f"cannot write to {out}: {error.strerror or error}") from error


class Pool:
    """The jobs that wait and those that run, on `threads` threads each. Their processes inherit `lock`, so
    that it is held until the last has ended, even if the study itself was killed."""

    def __init__(self, jobs, waiting, workers, threads, lock, say):
        self.jobs, self.waiting, self.running = jobs, waiting, []
        self.workers, self.threads, self.lock, self.say = workers, threads, lock, say
        self.times = [(job, job.record().get("seconds", 0)) for job in jobs if job not in waiting]

    def run(self, received: list) -> bool:
        """Until no job is left, or all have stopped as a signal was received; True if none is left."""
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        self.say(
            f"{len(self.waiting)} of {len(self.jobs)} jobs to do in {self.jobs[0].out}, "
            f"{self.workers} at once on {threads} each"
        )
        passed_on = 0
        try:
            while self.running or (self.waiting and not received):
                while self.waiting and not received and len(self.running) < self.workers:
                    self.begin(self.waiting.pop(0))
                while passed_on < len(received):
                    self.stop(at_once=passed_on > 0)
                    passed_on += 1
                for worker in self.running[:]:
                    if worker.over(stopping=bool(received)):
                        self.running.remove(worker)
                        self.end(worker)
                time.sleep(LOOK_EVERY)
        finally:
            for worker in self.running:  # none, unless something went wrong here
                worker.stop()
                worker.process.wait()
        return not received

    def begin(self, job):
        """Start a worker on the job, and say so."""
        self.say(f"begun    {job}")
        self.running.append(Worker(job, self.threads, self.lock))

    def stop(self, at_once):
        """Have all workers save what they have and end, or end at once."""
        if not at_once:
            self.say(
                "stopping, as soon as all have saved what they have; Ctrl-C again does not wait for that"
            )
        for worker in self.running:
            worker.stop(at_once)

    def end(self, worker):
        """Say what came of a worker's job."""
        self.say(f"{worker.outcome:8} {worker.job}, {clock(worker.seconds)}{self.outlook(worker)}")

    def outlook(self, worker):
        """What is said behind that: why it failed, or how long the rest will take."""
        if worker.outcome == "FAILED":
            return f": {worker.failure}\n" + "\n".join(f"         {line}" for line in worker.last_lines())
        if worker.outcome == "stopped":
            return ""
        self.times.append((worker.job, worker.seconds))
        return f"; {len(self.times)} of {len(self.jobs)} done, about {clock(self.seconds_left())} left"

    def seconds_left(self) -> float:
        """How long the rest takes, by the jobs of its rows that are done, or if none is, by all that are."""

        def expected(job):
            own = [seconds for other, seconds in self.times if other.row == job.row]
            return fmean(own or [seconds for _, seconds in self.times])

        waiting = [expected(job) - job.record().get("seconds", 0) for job in self.waiting]
        running = [expected(worker.job) - worker.seconds for worker in self.running]
        return sum(max(seconds, 0) for seconds in waiting + running) / self.workers


class Worker:
    """A job that runs: one process after another, until `over`; then `outcome` is done, stopped or FAILED."""

    def __init__(self, job, threads, lock):
        self.job, self.threads, self.lock = job, threads, lock
        self.began, self.before = time.monotonic(), job.record().get("seconds", 0)
        self.outcome, self.failure, self.process = "", "", None
        self.prepare()
        self.commands = commands(job)
        self.go_on()

    def prepare(self):
        """The folder and the record, as a process may find them."""
        if self.job.row.command:
            self.job.folder.mkdir(exist_ok=True)
        elif self.job.record() and not self.job.checkpoints.steps():
            shutil.rmtree(self.job.folder, ignore_errors=True)  # killed before there was anything to keep
        self.job.note(
            row=self.job.row.name, seed=self.job.seed, training=self.job.row.training(), failed=False
        )

    def go_on(self):
        """Start the next process, or end if there is none."""
        command = next(self.commands, None)
        if command is None:
            self.end("done")
            return
        with open(self.job.file(".log"), "ab") as log:
            log.write(f"$ {shlex.join(command)}\n".encode("utf-8", "surrogateescape"))
            log.flush()
            try:
                self.process = subprocess.Popen(
                    command,
                    env=os.environ | dict.fromkeys(LIMITS, str(self.threads)) | {"PYTHONIOENCODING": "utf-8"},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # so that a terminal's Ctrl-C reaches it through us alone
                    pass_fds=() if self.lock is None else (self.lock.fileno(),),
                )
            except OSError as error:
                self.end("FAILED", f"cannot start {command[0]}: {error.strerror}")

    def over(self, stopping: bool) -> bool:
        """Whether the job has ended; if only one of its processes has, the next one is started."""
        if not self.outcome and self.process.poll() is not None:
            code = self.process.returncode
            if code == 0 and not stopping:
                self.go_on()
            elif code == 0:
                self.end("done" if next(self.commands, None) is None else "stopped")
            elif stopping:
                self.end("stopped")
            else:
                self.end("FAILED", f"exit code {code}; the end of {self.job.file('.log')}:")
        return bool(self.outcome)

    def end(self, outcome, failure=""):
        """Write down what came of the job: "done", "stopped" or "FAILED"."""
        self.outcome, self.failure = outcome, failure
        done = {"evaluated": self.job.judged()} if outcome == "done" else {}
        self.job.note(
            **done,
            failed=outcome == "FAILED",
            seconds=round(self.seconds, 1),
            threads=self.threads,
            machine=processor_name(),
            minigan=__version__,
            date=datetime.date.today().isoformat(),
        )

    def stop(self, at_once=False):
        """Interrupt the process, which saves what it has, or kill it."""
        if not self.outcome:
            self.process.kill() if at_once else self.process.send_signal(signal.SIGINT)

    @property
    def seconds(self) -> float:
        """How long the job took until now, in all studies that went on with it."""
        return self.before + time.monotonic() - self.began

    def last_lines(self):
        """The last lines that the last process printed."""
        log = self.job.file(".log").read_text(errors="replace", encoding="utf-8")
        printed = log.rpartition("\n$ ")[2] if "\n$ " in log else log  # by the last process
        return [line for line in printed.splitlines()[1:] if line.strip()][-LAST_LINES:]


def clock(seconds: float) -> str:
    """Hours, minutes and seconds."""
    return str(datetime.timedelta(seconds=round(seconds)))


@contextlib.contextmanager
def _signals():
    """A list that every Ctrl-C and SIGTERM is put in. Only the main thread can receive them."""
    received = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    numbers = signal.SIGINT, signal.SIGTERM
    before = [signal.signal(number, lambda number, frame: received.append(number)) for number in numbers]
    try:
        yield received
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
