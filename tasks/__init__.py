"""redkeep: a Celery worker suite that operates Redis persistence. The map, in reading order.

Vocabulary, no I/O
    errors/        every way a run can end badly: code, hint, whether trying again helps
    words.py       sizes, durations and moments as people read them
    names/         every key, queue, object key and id
    glob.py        Redis' own patterns, on bytes
    settings/      redkeep.toml, checked whole and early
    guard/         may this server fork now? pure, with every reason
    manifest/      what was saved, how it was sealed, where it lies; its presence is the commit
    facts.py       what is known of one key
    estimate.py    what a random sample says of the whole, and how far it may be off

Edges, each speaks to one outside thing
    control.py     the control Redis
    lease.py       one run at a time forks a target: token, fence, renewal
    slot.py        the one time a scheduled run stands for
    records/       run records: written, read, pruned
    roster.py      who works here, started with which settings
    alarms/        what is wrong with a target, and who was told
    alerts.py      webhook and heartbeat
    broker.py      Celery's Redis transport, and the beat that keeps a long run's message
    rights.py      what each task asks of a server's user
    schedule.py    what beat sends, and to which queue
    logs.py        text or JSON, with run, task and target in each line
    niceness.py    a worker leaves the processors to the server
    host.py        this machine: memory, swap, cgroups, disks
    server/        one Redis or Valkey under care
    discovery/     the Redis servers of this machine
    sample.py      a random sample of a server's keys
    aof.py         the files of a server's AOF
    pace.py        how fast a server may be worked on, by its own answer times
    checker.py     redis-check-rdb
    store/         an S3 bucket or a folder
    stream/        seal() and unseal(): the stages, and the sources a snapshot comes from
    keyring.py     private keys in files
    archive/       copies of what tidy removes: their format, shipped, and found again

The frame around every verb
    job/           record -> slot -> lease -> call -> classify
    gate.py        before every fork: the facts, the guard's verdict, recorded and obeyed

Verbs
    rewrite.py     guard, BGREWRITEAOF, followed and proven
    backup/        snapshot -> seal -> store -> manifest
    restore/       manifest -> fetch -> unseal -> verify -> promote
    verify.py      the same way down, nothing promoted; its verdict is kept
    drill/         a snapshot brought back into a throwaway server, and judged
    retention/     which backups go, and why: pure decide(), then remove
    tidy/          unneeded data out, by rules that explain themselves: pure choose(), then a sweep
    untidy.py      brings back what a tidy run archived
    memory/        where the bytes are, by sampling
    enforce/       the persistence settings, wanted against actual: the order that loses nothing
    catalog.py     which backups a store holds
    verdicts.py    what is known of a backup's worth
    holds.py       backups that are kept whatever the policy says
    inventory/     what a store holds of each target, kept small
    freshness.py   whether a target's data is safe: pure judge(), with reasons
    metrics.py     the same for Prometheus
    watch/         the look every few minutes: alarms, heartbeat, slots that were lost
    outcome.py     what a run has to show of itself, in lines
    status/        how everything stands: one picture for page, terminal and alarms
    check/         what every task needs, looked at piece by piece
    proposal.py    what a new installation is proposed to be: pure
    beginning.py   a new installation's files

Surfaces
    celery.py      the app and its tasks, one thin line each (its settings: celeryconfig.py beside this package)
    signals.py     what Celery tells us of runs and processes
    dashboard/     the page inside Flower
    cli/           the command `redkeep`
    demo/          everything at once on this machine
"""
