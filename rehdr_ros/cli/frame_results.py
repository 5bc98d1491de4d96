"""What a folder of results tells of one frame."""

from typing import Any

import numpy as np

from rehdr_ros.reconstruction import HdrFrame, HdrPipeline


def pictures(frame: HdrFrame, pipeline: HdrPipeline) -> dict[str, np.ndarray]:
    """By kind, uint8 (H, W, 3): the result tone mapped, what came in, and its events."""
    ldr = frame.image if frame.image.ndim == 3 else np.repeat(frame.image[..., None], 3, 2)
    if ldr.dtype != np.uint8:
        scaled = np.nan_to_num(ldr.astype(np.float32) / np.float32(pipeline.white(ldr.dtype)))
        ldr = (scaled.clip(0, 1) * 255 + 0.5).astype(np.uint8)
    return {"tonemapped": frame.tonemapped, "ldr": ldr, "events": frame.event_image}


def row_of(frame: HdrFrame) -> dict[str, Any]:
    """Of frames.csv; times in ms."""
    info = frame.info
    stages = {f"{name}_ms": round(seconds * 1e3, 3) for name, seconds in info.durations.items()}
    return {
        "index": info.index,
        "stamp_ns": frame.stamp_ns,
        "events": info.events,
        "clipped_fraction": round(info.clipped_fraction, 6),
        "tonemapped_clipped_fraction": round(info.tonemapped_clipped_fraction, 6),
        "dropped_events": info.dropped_events,
        "late_events": info.late_events,
        "lost_packets": info.lost_packets,
        "skipped_frames": info.skipped_frames,
        "state_age": round(info.state_age, 6),
        "event_latency": round(info.event_latency, 6),
        **{name: round(value, 6) for name, value in info.event_fit._asdict().items()},
        "reset_reason": info.reset_reason,
        **stages,
    }
