"""Frames as videos: tone mapped for every player, or in HDR10 for displays that can show it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import Colorspace

from rehdr_ros.errors import InputError
from rehdr_ros.recordings.images import require_rgb
from rehdr_ros.recordings.results.pq import encode_pq, to_bt2020, to_yuv420p10

_MASTERING_PEAK = 4000  # cd/m2, as of the monitors that films are graded on
# SMPTE ST 2086 in the units of HEVC's SEI message: chromaticities in 0.00002, luminances in 0.0001 cd/m2.
_MASTERING = f"G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)L({_MASTERING_PEAK * 10_000},1)"

H264 = "libx264", "yuv420p"  # encoder and format of its pictures
HEVC = "libx265", "yuv420p10le"

_CRF = "0"  # in the dark 8-bit frames' noise is more than 2 % of what is there; larger values smooth it away


class _Writer:
    """Opens the stream at the first frame, which gives the size; an odd width or height, or one below
    `_least`, is padded by repeating the last column or row. A context manager."""

    _least = 2  # px
    _format, _options = "mp4", {}

    def __init__(self, path: str | Path, fps: float) -> None:
        self._container = av.open(str(path), "w", format=self._format, options=self._options)
        self._rate = Fraction(fps).limit_denominator(1001) or Fraction(fps).limit_denominator(10**6)
        self._stream = None

    def __enter__(self):
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        if kind is None:  # else the file can't be finished; FFmpeg may crash on more after a failed write
            self.close()

    def write(self, rgb: np.ndarray) -> None:
        """Add a frame (H, W, 3). Raises ValueError for another shape or dtype and for a change of size."""
        require_rgb(rgb, self._dtype)
        height, width = rgb.shape[:2]
        more = [max(n + n % 2, self._least) - n for n in (height, width)]
        padded = np.pad(rgb, ((0, more[0]), (0, more[1]), (0, 0)), mode="edge")
        if self._stream is None:
            self._stream = self._open(self._container, self._rate)
            self._stream.height, self._stream.width = padded.shape[:2]
        elif (self._stream.height, self._stream.width) != padded.shape[:2]:
            raise ValueError(f"the video is {self._stream.width}x{self._stream.height}, not {width}x{height}")
        self._container.mux(self._stream.encode(self._picture(padded)))

    def close(self) -> None:
        """Finish the file."""
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))
        self._container.close()


class VideoWriter(_Writer):
    """Writes uint8 RGB frames to an H.264 video (yuv420p, BT.709).

    The encoder is x264 as the PyAV wheels bring it, which is licensed under the GPL.
    """

    _dtype = np.uint8

    def _open(self, container: av.container.OutputContainer, rate: Fraction) -> av.VideoStream:
        # x264's rate control by macroblock tree gives other files from run to run on processors with AVX-512.
        encoder, stream_format = H264
        stream = container.add_stream(encoder, rate, options={"x264-params": "mbtree=0"})
        stream.pix_fmt = stream_format
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = 1, 1, 1, 1
        return stream

    def _picture(self, rgb: np.ndarray) -> av.VideoFrame:
        picture = av.VideoFrame.from_ndarray(rgb, "rgb24")
        return picture.reformat(format=H264[1], dst_colorspace=Colorspace.ITU709)


class AnimationWriter(_Writer):
    """Writes uint8 RGB frames to an animated picture (WebP), for pages and READMEs, which take no video."""

    _dtype = np.uint8
    _format, _options = "webp", {"loop": "0"}  # for ever

    def _open(self, container: av.container.OutputContainer, rate: Fraction) -> av.VideoStream:
        options = {"quality": "60", "compression_level": "4"}
        stream = container.add_stream("libwebp_anim", rate, options=options)
        stream.pix_fmt = "yuv420p"
        return stream

    def _picture(self, rgb: np.ndarray) -> av.VideoFrame:
        return av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format="yuv420p")


class HdrVideoWriter(_Writer):
    """Writes radiance, float32 linear RGB with BT.709 primaries, to HDR10 video: HEVC Main 10, BT.2020, PQ.

    white: cd/m2 of radiance 1.0; by default that of diffuse white in ITU-R BT.2408. What is above 4000 cd/m2,
    the peak of the mastering display that the metadata names (SMPTE ST 2086), is clipped. light: MaxCLL and
    MaxFALL of the content in cd/m2 (`LightLevels`). The encoder is x265 as the PyAV wheels bring it, GPL too.
    """

    _dtype = np.float32
    _least = 16  # of x265

    def __init__(
        self, path: str | Path, fps: float, white: float = 203.0, light: tuple[int, int] = (0, 0)
    ) -> None:
        super().__init__(path, fps)
        self._white, self._light = white, light

    def _open(self, container: av.container.OutputContainer, rate: Fraction) -> av.VideoStream:
        metadata = {
            "colorprim": "bt2020",
            "transfer": "smpte2084",
            "colormatrix": "bt2020nc",
            "range": "limited",
            "chromaloc": "1",  # in the middle of the four pixels
            "hdr10": "1",
            "repeat-headers": "1",
            "bframes": "0",  # with fewer frames than its delay x265 gives times that are not set
            "master-display": _MASTERING,
            "max-cll": "{},{}".format(*self._light),
            "log-level": "error",
        }
        parameters = ":".join(f"{name}={value}" for name, value in metadata.items())
        options = {"preset": "fast", "crf": _CRF, "x265-params": parameters}
        encoder, stream_format = HEVC
        stream = container.add_stream(encoder, rate, options=options)
        stream.pix_fmt = stream_format
        stream.codec_tag = "hvc1"  # without it players of Apple don't open the file
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = 9, 16, 9, 1
        return stream

    def _picture(self, rgb: np.ndarray) -> av.VideoFrame:
        light = display_light(rgb, self._white)
        height, width = rgb.shape[:2]
        samples = to_yuv420p10(encode_pq(light)).reshape(-1)
        picture = av.VideoFrame(width, height, HEVC[1])
        parts = np.split(samples, [height * width, height * width * 5 // 4])
        for plane, part in zip(picture.planes, parts, strict=True):  # PyAV before 18 takes no such array
            rows = np.frombuffer(plane, "<u2").reshape(plane.height, -1)
            rows[:, : plane.width] = part.reshape(plane.height, -1)
        return picture


def require_encoders(hdr: bool) -> None:
    """Raise InputError where this PyAV can't write videos; hdr: those of HdrVideoWriter, too."""
    for encoder, picture_format in (H264, HEVC) if hdr else (H264,):
        try:
            formats = av.Codec(encoder, "w").video_formats or []
        except ValueError:  # there is none of that name
            formats = []
        if picture_format not in [each.name for each in formats]:
            raise InputError(
                f"{'--hdr-video' if picture_format == HEVC[1] else 'video.mp4'} needs an FFmpeg that encodes "
                f"{picture_format} by {encoder}, and PyAV {av.__version__} here has none: install PyPI's av"
            )


class LightLevels:
    """MaxCLL and MaxFALL of a sequence (CTA-861.3): the brightest channel of any pixel, and the highest mean
    over a frame of its pixels' brightest channels, in whole cd/m2."""

    def __init__(self, white: float = 203.0) -> None:
        self._white = white
        self._brightest = self._mean = 0.0

    def add(self, radiance: np.ndarray) -> None:
        """A frame, as for HdrVideoWriter."""
        brightest = display_light(radiance, self._white).max(2)
        self._brightest = max(self._brightest, float(brightest.max()))
        self._mean = max(self._mean, float(brightest.mean()))

    @property
    def value(self) -> tuple[int, int]:
        return round(self._brightest), round(self._mean)


def display_light(radiance: np.ndarray, white: float) -> np.ndarray:
    """Radiance with BT.709 primaries -> what a display shall show, linear RGB of BT.2020 in cd/m2."""
    return np.clip(to_bt2020(radiance) * np.float32(white), 0, _MASTERING_PEAK)
