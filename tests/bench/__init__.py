"""Speed and memory, measured side by side in one go. Ratios count; seconds are this machine's today.

bed.py           a Redis full of a site's data, an S3 server, a worker
foreground.py    the site: an open-loop client in a process of its own
priority.py      who goes first on a machine that plays several
cost.py          seconds, CPU seconds and memory of a piece of work
table.py         docs/benchmarks.md, a section for each part

tools.py         what people use today, and how it finds the S3 server
ways.py race.py  every way of making a backup, and how they fared
worker.py        how soon a run begins, how much memory it takes
recovery.py      restores beside stock tools and the server's own load
tidy.py          removing keys beside the usual way
reenact/         the outage, the old way and ours: make reenact
"""
