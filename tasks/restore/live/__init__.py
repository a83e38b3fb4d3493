"""Into a running server, over replication, without a file on its host: our side plays the primary.

The order is the one that is durable, each step of it seen to matter on Redis 6.2, 7.0, 8.2 and Valkey 9:

1. everything is checked before anything is changed (fit.py);
2. settings are borrowed: a one-time password, so that nobody else gets the data, and how the server loads (loan.py);
3. `REPLICAOF` to us: one handshake, one transfer (primary.py, wire.py), and the link is kept alive after it;
4. the key counts are compared with the manifest while it is a replica: it drops no expired key before it is promoted;
5. the AOF rewrite (AOF off: a BGSAVE) is awaited while it is still a replica. Promoted first, a crash was seen to lose
   the restored data and an acknowledged write;
6. only then `REPLICAOF NO ONE`, and the settings are given back; on every outcome (course.py).
"""

from tasks.restore.live.course import Address, Course, Seen
from tasks.restore.live.fit import Fit, fit

__all__ = ["Address", "Course", "Fit", "Seen", "fit"]
