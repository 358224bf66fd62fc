"""The two sides of a comparison: programs that play scenarios and print traces.

A side is called with files and prints their traces; with several files each trace comes after a line "=== FILE".
A scenario that a program does not play to its end has a trace that says so, and is never equal to a real one."""
import concurrent.futures
import os
import shlex
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
ORACLE = os.path.join(HERE, "oracle", "run.sh")
SKIPPED = 77  # exit status of a runner that does not have what a scenario needs


def split(output, files):
    """The traces in the output of one call, by file."""
    if len(files) == 1 and not output.startswith("=== "):
        return {files[0]: output}
    traces, current = {}, None
    for line in output.splitlines(True):
        if line.startswith("=== "):
            current = line[4:].rstrip("\n")
            traces[current] = ""
        elif current is not None:
            traces[current] += line
    return traces


class Side:
    """command: words of a shell; batch: files a call; timeout: seconds a file."""

    def __init__(self, command, batch=1, timeout=60, jobs=1, env=None):
        self.command = shlex.split(command)
        self.batch, self.timeout, self.jobs = batch, timeout, jobs
        self.env = dict(os.environ, **(env or {}))

    def call(self, files):
        """Plays files in one call. Gives {file: trace}."""
        try:
            answer = subprocess.run(self.command + files, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                    timeout=self.timeout * len(files), env=self.env, check=False)
            output, status = answer.stdout.decode("utf-8", "replace"), answer.returncode
        except subprocess.TimeoutExpired as late:
            output, status = (late.stdout or b"").decode("utf-8", "replace"), "timed out"
        traces = split(output, files)
        for file in files:
            if len(files) == 1 and status != 0:
                traces[file] = traces.get(file, "") + "(status %s)\n" % status
            traces.setdefault(file, "(no trace, status %s)\n" % status)
        return traces

    def play(self, files):
        """Plays files in batches, some at the same time. Gives {file: trace}."""
        files = list(files)
        chunks = [files[i:i + self.batch] for i in range(0, len(files), self.batch)]
        traces = {}
        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            for part in pool.map(self.call, chunks):
                traces.update(part)
        return traces
