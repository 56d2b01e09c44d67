"""A logger plugin of Snakemake's: one line for each job that ends (see `charlens.runs.console`).

`logger: charlens` in a profile turns it on. A dry run, errors and warnings look as they do without
it, and so does a run with --verbose or --printshellcmds.
"""

import logging
import sys
import threading

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from charlens.runs.console import Run

PULSE = 60  # seconds of silence until the running jobs are named
REMARKS = ("Nothing to be done", "Complete log")  # of Snakemake's, that a user wants to see


class LogHandler(LogHandlerBase):
    """Hands the events of a run to a `Run`, and writes its lines."""

    writes_to_stream = True
    writes_to_file = has_filter = has_formatter = needs_rulegraph = False

    def __post_init__(self) -> None:
        wishes = self.common_settings
        self.run, self.spoken = Run(), threading.Event()
        self.stream = sys.stdout if wishes.stdout else sys.stderr
        self.as_without = wishes.dryrun or wishes.verbose or wishes.printshellcmds

    def emit(self, record: logging.LogRecord) -> None:
        """Write what there is to say of an event."""
        event = getattr(record, "event", None)
        if self.as_without:
            blank = [""] if event == LogEvent.JOB_INFO else []
            self.say(*blank, self.format(record))
        elif event == LogEvent.RUN_INFO:
            self.say(self.run.plan(record.stats))
            threading.Thread(target=self.name_running_jobs, daemon=True).start()
        elif event == LogEvent.RESOURCES_INFO:
            self.run.cores = getattr(record, "cores", self.run.cores)
        elif event == LogEvent.JOB_INFO:
            about = (record.rule_name, record.wildcards, record.output, record.log)
            self.run.start(record.jobid, *about)
        elif event == LogEvent.JOB_FINISHED:
            self.say(*self.run.finish(record.job_id))
        elif record.levelno > logging.INFO or record.getMessage().startswith(REMARKS):
            if event == LogEvent.JOB_ERROR:
                self.run.fail(record.jobid)
            self.say(self.format(record))

    def say(self, *lines: str | None) -> None:
        """Write lines. (Snakemake's formatter gives None, or "None", where there is none.)"""
        for line in lines:
            if line not in (None, "None"):
                print(line, file=self.stream, flush=True)
                self.spoken.set()

    def name_running_jobs(self) -> None:
        """Name the running jobs whenever nothing has been said for a while."""
        while True:
            if not self.spoken.wait(PULSE):
                self.say(*self.run.pulse())
            self.spoken.clear()
