"""Groups of units on several workers, each with one group at a time; the dead are replaced."""

import concurrent.futures
import dataclasses

from ...errors import UserError

__all__ = ["Remote"]

_MAX_DEATHS = 3


@dataclasses.dataclass(eq=False)
class _Slot:
    """A worker's place: it outlives the worker."""

    index: int
    handle: object = None
    group: tuple | None = None  # (x, first, count) last submitted
    future: object = None  # None: idle
    deaths: int = 0  # since the last finished group


class Remote:
    """An executor of workers that are started when they are first needed.

    Parameters
    ----------
    start : callable
        ``start(index)`` returns a worker: ``submit(group)`` returns a
        :class:`concurrent.futures.Future` of the answer, ``close(idle)`` ends it, at once if it is
        not idle, ``dead`` is the exception that tells of its death.
    capacity : int
        Number of workers.
    notice : callable
        Told in one sentence when a worker died.
    stop : callable
        Called at the end, after all workers are closed.
    """

    def __init__(self, start, capacity, notice, stop=lambda: None):
        self.capacity = capacity
        self._start, self._notice, self._stop = start, notice, stop
        self._slots = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        alive = [slot for slot in self._slots if slot.handle is not None]
        with concurrent.futures.ThreadPoolExecutor(self.capacity) as threads:  # a second or two
            list(threads.map(lambda slot: slot.handle.close(idle=slot.future is None), alive))
        self._stop()

    def submit(self, x, first, count):
        """Hand a group to an idle worker, if possible to the one that last computed this x."""
        idle = [slot for slot in self._slots if slot.future is None]
        if not idle:
            idle = [_Slot(len(self._slots))]
            self._slots += idle
        # A step of a static sweep is compiled for its x.
        slot = next((s for s in idle if s.group and s.group[0] == x), idle[0])
        slot.group = x, first, count
        self._send(slot)

    def collect(self):
        """((x, first, count), Outcome) of the next group that is finished.

        Raises
        ------
        UserError
            When a worker dies again and again.
        Exception
            What the experiment's code raised.
        """
        while True:
            flying = {slot.future: slot for slot in self._slots if slot.future is not None}
            done, _ = concurrent.futures.wait(
                flying, return_when=concurrent.futures.FIRST_COMPLETED
            )
            future = done.pop()
            slot = flying[future]
            try:
                answer = future.result()
            except slot.handle.dead as error:
                self._replace(slot, error)
                self._send(slot)
                continue
            slot.future, slot.deaths = None, 0
            if isinstance(answer, BaseException):
                raise answer
            return slot.group, answer

    def _send(self, slot):
        while True:
            if slot.handle is None:
                slot.handle = self._start(slot.index)
            try:
                slot.future = slot.handle.submit(slot.group)
                return
            except slot.handle.dead as error:  # it died while it was idle
                self._replace(slot, error)

    def _replace(self, slot, error):
        """Put a dead worker away; its group goes to the next one in its place."""
        slot.handle.close(idle=False)
        slot.handle = slot.future = None
        slot.deaths += 1
        if slot.deaths == _MAX_DEATHS:
            said = (str(error).strip().splitlines() or [""])[-1][:200]
            raise UserError(
                f"a worker died {_MAX_DEATHS} times in a row before it finished anything ({said}); "
                "give fewer workers if memory is short; a script must start runs under "
                "if __name__ == '__main__'; what was finished before is kept"
            ) from error
        self._notice(f"worker {slot.index + 1} died; a new one computes its units again")
