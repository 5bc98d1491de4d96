"""What becomes of a frame: every picture of it, where it is published and how it is written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple


class Plane(NamedTuple):
    """How the values of an (H, W) picture are told: its caption, and their unit, both noted in OpenEXR files.

    span: of the report's scale, logarithmic where it doesn't begin at 0. levels: what the values 0, 1, ...
    stand for, none where they are amounts.
    """

    about: str
    unit: str = ""
    span: tuple[float, float] = (0.0, 1.0)
    levels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Product:
    """One kind of picture.

    name: of the folder of its files; suffix: theirs. attribute: of HdrFrame, the picture itself; or of
    network.contract.Estimate, for a plane as the network gives it. encoding: of its sensor_msgs/msg/Image,
    where no parameter NAME_encoding says another. topic: relative to the node's namespace, "" if there is
    none. live: whether the node gives it to whoever subscribes, else only where a setting asks for it.
    offline: whether `rehdr reconstruct` writes it, else only where an option asks for it. plane: of those
    that are (H, W), not RGB (H, W, 3).
    """

    name: str
    attribute: str
    encoding: str
    suffix: str
    topic: str = ""
    live: bool = True
    offline: bool = True
    plane: Plane | None = None

    def file(self, index: int) -> str:
        """In the folder of results."""
        return f"{self.name}/{index:06d}{self.suffix}"


CAUSES = ("measured", "carried by events", "filled", "lost")
"""By value of the cause: the frame shows it; events since it was exposed; its surroundings; nothing."""
_SIGMA = Plane("one sigma of log2 luminance", "stops", (1 / 64, 4.0))
_CAUSE = Plane(
    "what a pixel rests on: measured where the frame shows it; where the frame clips, carried on by the "
    "events since it was last exposed, or filled from its surroundings, or nothing is known: lost",
    levels=CAUSES,
)

PRODUCTS = (
    Product("hdr", "radiance", "32FC3", ".exr", "hdr/image_raw"),
    Product("tonemapped", "tonemapped", "rgb8", ".png", "tonemapped/image_raw"),
    Product("ldr", "ldr", "rgb8", ".png", live=False),
    Product("events", "event_image", "rgb8", ".png", "event_image/image_raw", live=False),
    Product("uncertainty", "uncertainty", "32FC1", ".exr", "hdr/uncertainty", offline=False, plane=_SIGMA),
    Product("cause", "cause", "mono8", ".png", "hdr/cause", offline=False, plane=_CAUSE),
)
NAMED = {product.name: product for product in PRODUCTS}

CAMERA_INFOS = tuple(f"{each.name}/camera_info" for each in PRODUCTS if each.live and each.offline)
"""The topics of the CameraInfo, beside the images that are always made."""

_ESTIMATED = " and no ".join(each.name for each in PRODUCTS if not each.offline)
NO_ESTIMATE = f"the weights give no {_ESTIMATED}: use others, such as rehdr_t"


def written(uncertainty: bool) -> tuple[Product, ...]:
    """Those of a folder of results; uncertainty: those that tell it, too."""
    return tuple(product for product in PRODUCTS if product.offline or uncertainty)


def published(products: Iterable[Product]) -> tuple[Product, ...]:
    """Those that have a topic."""
    return tuple(product for product in products if product.topic)
