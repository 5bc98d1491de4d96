"""What a folder of results tells of one frame."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from rehdr_ros.errors import InputError
from rehdr_ros.products import NO_ESTIMATE, Product
from rehdr_ros.reconstruction import HdrFrame, HdrPipeline

UNCERTAINTY_HELP = "write each pixel's uncertainty, in stops, and its cause, too"


def require_products(products: Iterable[Product], pipeline: HdrPipeline) -> None:
    """Raise InputError where the weights can't give them."""
    if pipeline.radiance == "relative" and not all(product.offline for product in products):
        raise InputError(f"--uncertainty: {NO_ESTIMATE}")


def pictures(frame: HdrFrame, products: Iterable[Product]) -> dict[Product, np.ndarray]:
    """For ResultWriter."""
    return {product: getattr(frame, product.attribute) for product in products}


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
