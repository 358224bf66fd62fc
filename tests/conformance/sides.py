"""The two sides of a comparison: programs that play scenarios and print traces.

A side is called with files and prints their traces; with several files each trace comes after a line "=== FILE".
A scenario that a program does not play to its end has a trace whose last line is "(status N) WHY"; it is never equal to
a real one."""
import concurrent.futures
import os
import re
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


def skipped(trace):
    """Did the runner say that it cannot play this?"""
    return re.search(r"^\(status %d\)" % SKIPPED, trace, re.MULTILINE) is not None


def scenarios(root):
    """Files of the scenarios below a folder."""
    return sorted(os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names
                  if name.endswith(".jsonl"))


class Side:
    """command: words of a shell; batch: files a call; timeout: seconds a file."""

    def __init__(self, command, batch=1, timeout=60, jobs=1, env=None):
        self.command = shlex.split(command)
        self.batch, self.timeout, self.jobs = batch, timeout, jobs
        self.env = dict(os.environ, **(env or {}))

    def call(self, files):
        """Plays files in one call. Gives {file: trace}."""
        try:
            answer = subprocess.run(self.command + files, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                    timeout=self.timeout * len(files), env=self.env, check=False)
            output, status, why = answer.stdout, answer.returncode, answer.stderr.decode("utf-8", "replace")
        except subprocess.TimeoutExpired as late:
            output, status, why = late.stdout or b"", 124, "timed out"
        except OSError as error:
            output, status, why = b"", 127, str(error)
        traces = split(output.decode("utf-8", "replace"), files)
        for file in files:
            # Of many files, one call has one status: it says something only of those that have no trace.
            if status != 0 and (len(files) == 1 or not traces.get(file)):
                traces[file] = traces.get(file, "") + "(status %d) %s\n" % (status, (why.strip().splitlines() or [""])[-1])
            traces.setdefault(file, "")
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
