#!/usr/bin/env python3
"""Each lint rule finds the violation made for it in a small tree, and nothing in a clean one."""
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
MARK = "TO" + "DO"
MACHINE_PATH = "/wo" + "rk/x"
TEMPORARY_PATH = "/t" + "mp/x"

CLEAN = {
    "runtime/include/troupe/a.h": "#ifndef A_H\n#define A_H\n#include <stdint.h>\nint32_t a(void);\n#endif\n",
    "runtime/core/a.c": '#include "runtime/core/b.h"\n#include <troupe/a.h>\n#include <uv.h>\n',
    "runtime/core/b.h": "#ifndef B_H\n#define B_H\nint b(void);\n#endif\n",
    "runtime/core/NOTES.md": "# Notes\n",
    "server/NOTES.md": "# Notes\n",
    "server/app.c": '#include "api/x/x.h"\n#include "runtime/core/b.h"\n',
    "server/json.c": "#include <cjson/cJSON.h>\n",
    "server/http/NOTES.md": "# Notes\n",
    "server/http/listener.c": '#include <microhttpd.h>\n#include "server/app.h"\n',
    "server/store/NOTES.md": "# Notes\n",
    "server/store/store.c": "#include <sqlite3.h>\n",
    "api/x/x.c": '#include "server/app.h"\n#include <troupe/a.h>\n',
    "tests/runtime/test_a.c": '#include <criterion/criterion.h>\n#include "runtime/core/b.h"\n',
    "tests/server/test_b.c": 'static char name[] = "%s";  /* for mkdtemp */\n' % TEMPORARY_PATH,
    "tests/conformance/runner/main.c": "#include <cJSON.h>\n",
    "a.sh": "#!/usr/bin/env bash\necho ok\n",
    "a.py": "print(1)\n",
    "a.json": "{}\n",
}

# (script, file, its text or None to remove it, what the script has to say)
VIOLATIONS = [
    ("layers", "runtime/core/c.c", '#include "server/json.h"\n', "includes server/json.h"),
    ("layers", "runtime/core/c.c", '#include "api/x/x.h"\n', "includes api/x/x.h"),
    ("layers", "runtime/core/c.c", "#include <microhttpd.h>\n", "may include microhttpd.h"),
    ("layers", "runtime/core/c.c", "#  include <cjson/cJSON.h>\n", "may include cJSON.h"),
    ("layers", "runtime/core/c.c", "#include <sqlite3.h>\n", "may include sqlite3.h"),
    ("layers", "runtime/core/c.c", "#include <criterion/criterion.h>\n", "may include criterion.h"),
    ("layers", "runtime/core/c.c", '#include "b.h"\n', "by their path from the root"),
    ("layers", "runtime/core/c.c", '#include "troupe/a.h"\n', "included as <troupe/...>"),
    ("layers", "runtime/include/troupe/c.h", '#include "runtime/core/b.h"\n', "includes runtime/core/b.h"),
    ("layers", "runtime/examples/c.c", '#include "runtime/core/b.h"\n', "includes runtime/core/b.h"),
    ("layers", "server/c.c", '#include "api/x/x.h"\n', "includes api/x/x.h"),
    ("layers", "server/c.c", "#include <microhttpd.h>\n", "may include microhttpd.h"),
    ("layers", "server/c.c", "#include <cJSON.h>\n", "may include cJSON.h"),
    ("layers", "server/http/c.c", "#include <sqlite3.h>\n", "may include sqlite3.h"),
    ("layers", "server/store/c.c", "#include <microhttpd.h>\n", "may include microhttpd.h"),
    ("layers", "api/x/c.c", "#include <microhttpd.h>\n", "may include microhttpd.h"),
    ("layers", "api/x/c.c", '#include "tests/support/plain.h"\n', "includes tests/support/plain.h"),
    ("layers", "tests/runtime/test_c.c", '#include "server/json.h"\n', "includes server/json.h"),
    ("layers", "tests/server/test_c.c", '#include "api/x/x.h"\n', "includes api/x/x.h"),
    ("layers", "tests/conformance/runner/c.c", '#include "server/json.h"\n', "includes server/json.h"),
    ("headers", "runtime/core/b.h", "size_t b(void);\n", "runtime/core/b.h: does not compile alone"),
    ("headers", "runtime/core/b.h", "struct b { int x; };\n", "redefinition"),
    ("words", "server/c.c", "/* %s */\n" % MARK, "marks unfinished work"),
    ("words", "server/c.c", 'open("%s");\n' % MACHINE_PATH, "path of one machine"),
    ("words", "server/c.c", 'open("%s");\n' % TEMPORARY_PATH, "temporary path"),
    ("words", "tests/server/test_c.c", 'open("%s");\n' % TEMPORARY_PATH, "temporary path"),
    ("notes", "server/store/NOTES.md", None, "server/store: has no NOTES.md"),
    ("notes", "runtime/core/NOTES.md", "line\n" * 121, "more than two pages"),
    ("notes", "runtime/core/NOTES.md", "", "is empty"),
    ("scripts", "a.sh", "#!/usr/bin/env bash\nif true; then\n", "a.sh"),
    ("scripts", "a.py", "def (:\n", "a.py:1"),
    ("scripts", "a.json", "{,}\n", "a.json"),
]


def write(root, name, text):
    path = os.path.join(root, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)
    os.chmod(path, 0o755 if name.endswith(".sh") else 0o644)


def lint(script, root):
    answer = subprocess.run([sys.executable, "-B", os.path.join(HERE, script + ".py"), root],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return answer.returncode, answer.stdout.decode("utf-8", "replace")


def expect(title, holds, output):
    """Prints a failure; returns whether it held."""
    if not holds:
        print("FAILED: %s, output:\n%s" % (title, output))
    return holds


def main():
    outcomes = []
    with tempfile.TemporaryDirectory() as root:
        for name, text in CLEAN.items():
            write(root, name, text)
        for script in ("layers", "headers", "words", "notes", "scripts"):
            status, output = lint(script, root)
            outcomes.append(expect(script + " finds nothing in a clean tree", status == 0, output))
        for script, name, text, said in VIOLATIONS:
            if text is None:
                os.remove(os.path.join(root, name))
            else:
                write(root, name, text)
            status, output = lint(script, root)
            outcomes.append(expect("%s of %s says '%s'" % (script, name, said), status == 1 and said in output, output))
            if name in CLEAN:
                write(root, name, CLEAN[name])
            else:
                os.remove(os.path.join(root, name))
    print("%d passed, %d failed" % (outcomes.count(True), outcomes.count(False)))
    return 0 if all(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
