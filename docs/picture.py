"""Draw what a span sounded like before and after: `python docs/picture.py BEFORE AFTER START END OUT.png`."""

import sys
from pathlib import Path

import vampcli
from vampcli import picture

before, after = map(vampcli.read, sys.argv[1:3])
start, end = (round(float(seconds) * after.sample_rate) for seconds in sys.argv[3:5])
title = f"{Path(sys.argv[1]).name}: {sys.argv[3]} to {sys.argv[4]} s"
picture.save(
    picture.draw(before=before, after=after, spans=[(start, end)], title=title), Path(sys.argv[5]), overwrite=True
)
