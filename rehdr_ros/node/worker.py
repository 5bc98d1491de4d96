"""The thread that runs the network and publishes, so that no callback ever waits for it."""

import threading
import time
from collections import Counter
from collections.abc import Callable

from rehdr_ros.node.complaints import Complaints
from rehdr_ros.reconstruction import HdrFrame, HdrPipeline

_POLL_SECONDS = 0.02  # how often it looks for frames whose events are overdue


class Worker:
    """Takes frames from the pipeline and hands them to `publish`, until `stop`.

    now: the time for the event timeout, s, or None for the monotonic clock's. tally counts lost_frames: those whose
    reconstruction or publication failed.
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
        self._wake = threading.Event()
        self._running = True
        self._thread = threading.Thread(target=self._work, name="rehdr worker", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Something arrived."""
        self._wake.set()

    def stop(self, seconds: float | None = None) -> bool:
        """End after the frame in progress; False where that takes longer than `seconds`."""
        self._running = False
        self._wake.set()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while self._running:
            self._wake.wait(_POLL_SECONDS)
            self._wake.clear()
            now = self._now()
            try:
                for frame in self._pipeline.take(now=time.monotonic() if now is None else now):
                    self._publish_safely(frame)
                    if not self._running:
                        return
            except Exception as error:  # the stream goes on, whatever one frame did
                self._tally["lost_frames"] += 1
                lost = self._tally["lost_frames"]
                self._complaints.error("reconstruction", f"lost a frame ({lost} so far): {error!r}")
                self._pipeline.reset("error")

    def _publish_safely(self, frame: HdrFrame) -> None:
        """DDS may refuse under flood, which is no fault of the stream."""
        try:
            self._publish(frame)
        except Exception as error:
            self._tally["lost_frames"] += 1
            lost = self._tally["lost_frames"]
            self._complaints.warn("publication", f"could not publish a frame ({lost} lost so far): {error!r}")
