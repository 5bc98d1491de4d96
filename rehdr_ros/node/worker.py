"""Threads that run the network, make outputs between the frames and publish: no callback waits for them."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from queue import Queue

from rehdr_ros.node.complaints import Complaints
from rehdr_ros.reconstruction import HdrFrame, HdrPipeline

_POLL_SECONDS = 0.02  # how often it looks for frames whose events are overdue
_OUTPUT_POLL_SECONDS = 0.005  # and for outputs between the frames
_OUTPUT_REST_SECONDS = 0.001  # between two looks, however many packets come
_WAITING = 1  # frames between the two threads; more would only grow old


class Worker:
    """Takes frames from the pipeline and hands them to `publish`, in order, until `stop`.

    `publish` runs beside the network's next frame. Where it is the slower one the network waits for it, so
    frames are skipped in the pipeline, by its policy, and none grows old on the way out.
    With output_rate a third thread makes the outputs between the frames, beside the network.
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
        self._running = True
        self._done: Queue[HdrFrame | None] = Queue(_WAITING)  # None: no more
        targets = {"network": self._reconstruct_all, "publisher": self._publish_all}
        if pipeline.config.output_rate:
            targets |= {"network": self._update_all, "outputs": self._output_all}
        self._wakes = {name: threading.Event() for name in targets}
        self._threads = [
            threading.Thread(target=target, name=f"rehdr {name}", daemon=True)
            for name, target in targets.items()
        ]
        try:
            for thread in self._threads:
                thread.start()
        except RuntimeError:  # the system has no more threads
            self._running = False
            raise

    def wake(self) -> None:
        """Something arrived."""
        for wake in self._wakes.values():
            wake.set()

    def stop(self, seconds: float | None = None) -> bool:
        """End after the frame in progress is published; False where that takes longer than `seconds`."""
        self._running = False
        self.wake()
        deadline = None if seconds is None else time.monotonic() + seconds
        for thread in self._threads:
            thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _reconstruct_all(self) -> None:
        try:
            self._repeat("network", partial(self._take, self._pipeline.take), _POLL_SECONDS)
        finally:
            self._done.put(None)

    def _update_all(self) -> None:
        self._repeat("network", self._pipeline.update, _POLL_SECONDS)

    def _output_all(self) -> None:
        try:
            take = partial(self._take, self._pipeline.take_outputs)
            self._repeat("outputs", take, _OUTPUT_POLL_SECONDS, _OUTPUT_REST_SECONDS)
        finally:
            self._done.put(None)

    def _repeat(self, name: str, work: Callable[[float], bool], poll: float, rest: float = 0.0) -> None:
        """Whenever something arrived, and every `poll` s, until nothing is left; each frame at its own time.

        A frame may take long, and with an old time those that came meanwhile would be ahead of the clock.
        """
        wake = self._wakes[name]
        while self._running:
            wake.wait(poll)
            wake.clear()
            try:
                while self._running and work(self._time()):
                    pass
            except Exception as error:  # the stream goes on, whatever one frame did
                lost = self._lose_frame()
                self._complaints.error("reconstruction", f"lost a frame ({lost} so far): {error!r}")
                self._pipeline.reset("error")
            if rest:
                time.sleep(rest)

    def _time(self) -> float:
        now = self._now()
        return time.monotonic() if now is None else now

    def _take(self, frames: Callable[[float], Iterator[HdrFrame]], now: float) -> bool:
        """Hand on the first that may go; whether there was one."""
        frame = next(frames(now), None)
        if frame is not None:
            self._done.put(frame)
        return frame is not None

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
