"""Progress on standard error: a bar with time left, for anything beyond two seconds."""

import sys
import time

__all__ = ["Progress"]

_PATIENCE_SECONDS = 2.0


class Progress:
    """Bars per point; silent when ``quiet`` or within the first two seconds."""

    def __init__(self, quiet=False):
        self.quiet = quiet
        self._start = time.monotonic()
        self._live, self._tasks = None, {}

    def point(self, name, done, total):
        """``done`` of ``total`` units of the point or run ``name``."""
        self._tasks[name] = (done, total)
        if self.quiet or time.monotonic() - self._start < _PATIENCE_SECONDS:
            return
        if self._live is None:
            from rich import progress
            from rich.console import Console

            self._live = progress.Progress(
                progress.TextColumn("{task.description}"), progress.BarColumn(),
                progress.MofNCompleteColumn(), progress.TimeElapsedColumn(),
                progress.TimeRemainingColumn(), console=Console(stderr=True), transient=True,
            )  # fmt: skip
            self._live.start()
            self._ids = {}
        for key, (n, size) in self._tasks.items():
            if key not in self._ids:
                self._ids[key] = self._live.add_task(
                    f"{key:g}" if isinstance(key, float) else str(key), total=size
                )
            self._live.update(self._ids[key], completed=n, total=size)
        self._tasks.clear()

    def note(self, text):
        """A sentence that the user should read."""
        if not self.quiet:
            print(text, file=sys.stderr)

    def close(self):
        """Take the bars away."""
        if self._live is not None:
            self._live.stop()
            self._live = None
