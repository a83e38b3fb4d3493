"""The outage, re-enacted: the same Redis, the same load, the same tight machine, kept in the old way and by redkeep.

stage.py     the Redis, the machine's bound, the S3 server
bound.py     a memory control group, and what it swaps to
old.py       save points, and a cron that copies, gzips, encrypts and uploads
ours.py      redkeep: AOF on, save points off, backups, rewrites and tidies by its own schedule
watching.py  the load, a look at the server each second, and what kill -9 costs at the end
report.py    docs/reenactment.md
chart.py     docs/images/reenactment.svg
"""
