#!/usr/bin/env bash
# numba 0.68.1: two processes that fill one on-disk cache (`cache=True`) can leave an index that gives the machine code of
# one signature for another.
#
# Seen with librosa 0.11.0, whose functions are compiled at first use for several types: where two programs used it for
# the first time at once, the functions then read float64 samples with code for float32, and processes ended with a
# segmentation fault, also all later ones, until the cache was deleted. That is not shown here.
#
# Shown, with the class that writes the cache: each writer reads the index, takes the lowest free file number, and writes
# the index before the data; nothing is locked. Two writers who both read the index first take the same number, and the
# signature that the index keeps may be that of the writer whose data were replaced. Writes to a single file are atomic,
# so no file is damaged, and no error is raised.
#
# Expected output:
#   numba 0.68.1
#   index: {'float64': 'f.1.nbc'}
#   load float64: code for float32
#   load float32: None
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numba==0.68.1 2>/dev/null
cat > "$folder/two_writers.py" <<'PY'
import sys
import threading

import numba
from numba.core.caching import IndexDataCacheFile

folder = sys.argv[1]
read = threading.Barrier(2)  # both have read the index
turns = {name: threading.Event() for name in ("first index", "second index", "second data")}


class Writer(IndexDataCacheFile):
    """The class of numba; only the order of its steps is fixed."""

    def __init__(self, waits_for):
        super().__init__(folder, "f", "stamp of the source file")
        self.waits_for = waits_for

    def _load_index(self):
        overloads = super()._load_index()
        read.wait()
        return overloads

    def _step(self, kind, work):
        before, after = self.waits_for[kind]
        if before:
            turns[before].wait()
        work()
        if after:
            turns[after].set()

    def _save_index(self, overloads):
        self._step("index", lambda: super(Writer, self)._save_index(overloads))

    def _save_data(self, name, data):
        self._step("data", lambda: super(Writer, self)._save_data(name, data))


first = Writer({"index": (None, "first index"), "data": ("second data", None)})
second = Writer({"index": ("first index", "second index"), "data": ("second index", "second data")})
threads = [
    threading.Thread(target=writer.save, args=(signature, f"code for {signature}"))
    for writer, signature in ((first, "float32"), (second, "float64"))
]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
reader = IndexDataCacheFile(folder, "f", "stamp of the source file")
print("numba", numba.__version__)
print("index:", reader._load_index())
for signature in ("float64", "float32"):
    print(f"load {signature}: {reader.load(signature)}")
PY
mkdir "$folder/cache"
"$folder/venv/bin/python" "$folder/two_writers.py" "$folder/cache" | tee "$folder/output"
sed -n '/^# Expected output:/,/^set /p' "$0" | sed -n 's/^#   //p' | diff - "$folder/output"
echo "as expected"
