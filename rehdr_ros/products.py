"""What becomes of a frame: every picture of it, where it is published and how it is kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Product:
    """One kind of picture.

    name: of the folder of its files; suffix: theirs. attribute: of HdrFrame, the picture itself. encoding: of its
    sensor_msgs/msg/Image, where no parameter NAME_encoding says another. topic: relative to the node's namespace, "" if
    there is none. live: whether the node gives it to whoever subscribes, else only where a setting asks for it.
    offline: whether `rehdr reconstruct` writes it, else only where an option asks for it.
    """

    name: str
    attribute: str
    encoding: str
    suffix: str
    topic: str = ""
    live: bool = True
    offline: bool = True

    @property
    def is_plane(self) -> bool:
        """Whether it is (H, W), not RGB (H, W, 3)."""
        return self.encoding in ("mono8", "32FC1")

    def file(self, index: int) -> str:
        """In the folder of results."""
        return f"{self.name}/{index:06d}{self.suffix}"


PRODUCTS = (
    Product("hdr", "radiance", "32FC3", ".exr", "hdr/image_raw"),
    Product("tonemapped", "tonemapped", "rgb8", ".png", "tonemapped/image_raw"),
    Product("ldr", "ldr", "rgb8", ".png", live=False),
    Product("events", "event_image", "rgb8", ".png", "event_image/image_raw", live=False),
    Product("uncertainty", "uncertainty", "32FC1", ".exr", "hdr/uncertainty", offline=False),
    Product("cause", "cause", "mono8", ".png", "hdr/cause", offline=False),
)
NAMED = {product.name: product for product in PRODUCTS}

CAUSES = ("measured", "carried by events", "filled", "lost")
"""By value of the cause: the frame shows it; events since it was exposed; its surroundings; nothing."""

NO_UNCERTAINTY = "weights of relative radiance give no uncertainty and no cause: use others, such as rehdr_t"


def written(uncertainty: bool) -> tuple[Product, ...]:
    """Those of a folder of results; uncertainty: those that tell it, too."""
    return tuple(product for product in PRODUCTS if product.offline or uncertainty)


def published(products: Iterable[Product]) -> tuple[Product, ...]:
    """Those that have a topic."""
    return tuple(product for product in products if product.topic)
