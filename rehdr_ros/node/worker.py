"""A thread that runs the network and one that publishes: no callback waits for either."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from queue import Queue

from rehdr_ros.node.complaints import Complaints
from rehdr_ros.reconstruction import HdrFrame, HdrPipeline

_POLL_SECONDS = 0.02  # how often it looks for frames whose events are overdue
_WAITING = 1  # frames between the two threads; more would only grow old


class Worker:
    """Takes frames from the pipeline and hands them to `publish`, in order, until `stop`.

    `publish` runs beside the network's next frame. Where it is the slower one the network waits for it, so
    frames are skipped in the pipeline, by its policy, and none grows old on the way out.
    now: the time for the event timeout, s, or None for the monotonic clock's. tally counts lost_frames: those
    whose reconstruction or publication failed.
    """

    def __init__(
        self,
        pipeline: HdrPipeline,
        publish: Callable[[HdrFrame], None],
        now: Callable[[], float | None],
        tally: Counter,
        complaints: Complaints,
    ):
        self._pipeline, self._publish, self._now = pipeline, publish, now
        self._tally, self._complaints = tally, complaints
        self._tally_lock = threading.Lock()  # both threads lose frames
        self._wake = threading.Event()
        self._running = True
        self._done: Queue[HdrFrame | None] = Queue(_WAITING)  # None: no more
        self._threads = [
            threading.Thread(target=target, name=f"rehdr {name}", daemon=True)
            for name, target in (("network", self._reconstruct_all), ("publisher", self._publish_all))
        ]
        try:
            for thread in self._threads:
                thread.start()
        except RuntimeError:  # the system has no more threads
            self._running = False
            raise

    def wake(self) -> None:
        """Something arrived."""
        self._wake.set()

    def stop(self, seconds: float | None = None) -> bool:
        """End after the frame in progress is published; False where that takes longer than `seconds`."""
        self._running = False
        self._wake.set()
        deadline = None if seconds is None else time.monotonic() + seconds
        for thread in self._threads:
            thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _reconstruct_all(self) -> None:
        try:
            while self._running:
                self._wake.wait(_POLL_SECONDS)
                self._wake.clear()
                now = self._now()
                self._reconstruct(time.monotonic() if now is None else now)
        finally:
            self._done.put(None)

    def _reconstruct(self, now: float) -> None:
        """All frames that may go."""
        try:
            for frame in self._pipeline.take(now=now):
                self._done.put(frame)
                if not self._running:
                    return
        except Exception as error:  # the stream goes on, whatever one frame did
            lost = self._lose_frame()
            self._complaints.error("reconstruction", f"lost a frame ({lost} so far): {error!r}")
            self._pipeline.reset("error")

    def _publish_all(self) -> None:
        while (frame := self._done.get()) is not None:
            try:
                self._publish(frame)
            except Exception as error:  # DDS may refuse under flood, which is no fault of the stream
                lost = self._lose_frame()
                text = f"could not publish a frame ({lost} lost so far): {error!r}"
                self._complaints.warn("publication", text)

    def _lose_frame(self) -> int:
        with self._tally_lock:
            self._tally["lost_frames"] += 1
            return self._tally["lost_frames"]
