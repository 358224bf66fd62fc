"""What the lint scripts share: the files of the tree, and how findings are reported.

Every script is called with the root of the tree, prints one line a finding and a closing line
"NAME: N files, N findings", and ends with status 1 when there are findings."""
import os
import shutil
import subprocess
import sys

SKIPPED_FOLDERS = {".git", "build", "data", "install", "__pycache__", ".cache"}


def known_to_git(root):
    """What git tracks or would track; None where there is no git, or where root is not the top of a clone."""
    if not os.path.exists(os.path.join(root, ".git")) or shutil.which("git") is None:
        return None
    listing = subprocess.run(["git", "-C", root, "ls-files", "-z", "-co", "--exclude-standard"],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    if listing.returncode != 0:
        return None
    names = [name for name in listing.stdout.decode().split("\0") if name]
    return [name for name in names if os.path.isfile(os.path.join(root, name))]


def found_on_disk(root):
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS]
        found += [os.path.relpath(os.path.join(folder, name), root) for name in names]
    return found


def files(root, endings=()):
    """Paths of the source files relative to root, sorted."""
    names = known_to_git(root)
    if names is None:
        names = found_on_disk(root)
    return sorted(name for name in names if not endings or name.endswith(tuple(endings)))


def read(root, name):
    """The text of a file, or None when it is not text."""
    with open(os.path.join(root, name), "rb") as stream:
        content = stream.read()
    if b"\0" in content:
        return None
    return content.decode("utf-8", "replace")


def report(name, checked, findings):
    """Prints the findings and the closing line; returns the exit status."""
    for finding in findings:
        print(finding)
    print("%s: %d files, %d findings" % (name, checked, len(findings)))
    return 1 if findings else 0


def run(name, check):
    """main() of a lint script: check(root) gives (number of files, findings)."""
    if len(sys.argv) != 2:
        print("usage: %s.py ROOT" % name, file=sys.stderr)
        return 64
    checked, findings = check(sys.argv[1])
    return report(name, checked, findings)
