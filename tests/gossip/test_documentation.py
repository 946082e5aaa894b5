"""docs/gossip.md: its example runs as it stands, and its table of constants is the code's."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from random import Random

from gossip.swim.profile import LAN, SHOAL, Profile

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "gossip.md").read_text()


def test_the_example_runs() -> None:
    example = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert example is not None
    # Any port: somebody else may run the example on this machine right now.
    text = example[1].replace("17946", str(20000 + Random(os.urandom(8)).randrange(12000)))
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "b sees: a joined",
        "answered: 1",
        "members: [('a', 'web', 'ALIVE'), ('b', 'db', 'ALIVE')]",
        "b hears: b'hello'",
        "a asks: b'XXX'",
        "b sees: a left",
    ]


def test_the_table_of_constants_is_the_codes() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|", TEXT, re.MULTILINE)
    told = {name: (memberlist.strip(), ours.strip()) for name, memberlist, ours in rows}
    assert told == {
        field.name: (str(getattr(LAN, field.name)), str(getattr(SHOAL, field.name))) for field in fields(Profile)
    }
