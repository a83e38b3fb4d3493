"""Celery's own settings for redkeep, nothing else: every attribute of this module is shown by `celery report`,
`inspect conf` and Flower. What can be set is set in redkeep.toml; what is here has its reason beside it.

Loaded by its path, beside the package, never by its name: a `celeryconfig.py` in the current directory would win.
"""

from kombu import Exchange, Queue

from tasks import broker, schedule, settings

_settings = settings.current()
_control = _settings.control

# -- where messages and results live ---------------------------------------------------------------------
broker_url = result_backend = broker.url(_control)
broker_transport_options = broker.transport_options(_control)
result_backend_transport_options = {"global_keyprefix": f"{_control.namespace}:celery:"}
result_expires = 7 * 86_400  # Flower and `celery result` still know last week's runs
result_extended = True  # name and arguments beside the result
redis_socket_keepalive = not broker_url.startswith("redis+socket:")  # redis-py's unix sockets do not know it
redis_backend_health_check_interval = 30  # a firewall that dropped an idle connection is noticed here, not in a run
broker_connection_retry_on_startup = True
broker_connection_max_retries = None  # a control Redis that is away for an hour is waited for
broker_heartbeat = 0  # the Redis transport has none

# -- what may travel ---------------------------------------------------------------------------------------
task_serializer = result_serializer = "json"
accept_content = ["json"]  # pickle would run whatever somebody writes into the broker

# -- queues ------------------------------------------------------------------------------------------------
task_queues = [Queue(name, Exchange(name), routing_key=name) for name in schedule.queues(_settings)]
task_default_queue = "housekeeping"
task_create_missing_queues = False  # a misspelled -Q is an error, not a queue that nobody fills
task_routes = (schedule.route,)  # `celery call` would send to the default queue

# -- how a worker works ------------------------------------------------------------------------------------
worker_concurrency = 1  # one kind of work, one at a time; more workers carry more targets
worker_prefetch_multiplier = 1  # what waits, waits in the queue, where another worker can take it
task_acks_late = True  # a dead worker's message is delivered again
task_acks_on_failure = task_acks_on_timeout = True  # a failure is recorded; trying again is ours to decide
task_reject_on_worker_lost = False  # would requeue without bound
task_retry_on_worker_lost = True  # a pool child killed by the kernel: else acknowledged, and the run lost
task_annotations = {
    # Each task's own default of three would end a run that waits for a lease; the frame has its bounds. The delay is
    # for a lost child, and stays well below the visibility timeout like every other.
    "*": {"max_retries": None, "default_retry_delay": _control.retry_delay},
}
worker_deduplicate_successful_tasks = True  # a message delivered again after its result is known does nothing
worker_cancel_long_running_tasks_on_connection_loss = False  # True lost the task on a broker restart
worker_soft_shutdown_timeout = 10  # with REMAP_SIGTERM=SIGQUIT: then the message goes back at once
worker_enable_soft_shutdown_on_idle = False
worker_max_tasks_per_child = 200  # what a library leaks does not add up
worker_send_task_events = task_send_sent_event = True  # Flower lives on these
task_track_started = True
task_soft_time_limit = _control.time_limit
task_time_limit = _control.time_limit + 60  # for a run that could not even stop
worker_hijack_root_logger = True
worker_redirect_stdouts = False

# -- beat ----------------------------------------------------------------------------------------------------
enable_utc = True
timezone = "UTC"
beat_schedule = schedule.beat_schedule(_settings)
beat_max_loop_interval = 30  # seconds; a clock set back is noticed
beat_enable_remote_control = True  # `inspect ping` reaches beat as well
task_publish_retry = True
task_publish_retry_policy = {
    "max_retries": None,  # a tick that falls into a blink of the broker is sent when it is back
    "interval_start": 0.1,
    "interval_step": 0.5,
    "interval_max": 5,
}

# -- Flower and remote control -----------------------------------------------------------------------------
control_queue_ttl = event_queue_ttl = 60.0  # seconds; reply and event queues of the dead do not stay (celery 6089)
event_queue_expires = 120.0

for _name in ("Exchange", "Queue", "broker", "schedule", "settings", "_settings", "_control"):
    del globals()[_name]
del _name
