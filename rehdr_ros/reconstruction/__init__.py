"""What happens to one frame: synchronisation, the stateful network, tone mapping. No ROS."""

from rehdr_ros.reconstruction.config import PipelineConfig
from rehdr_ros.reconstruction.frame_info import Fault, FrameInfo
from rehdr_ros.reconstruction.hdr_frame import HdrFrame
from rehdr_ros.reconstruction.pipeline import HdrPipeline

__all__ = ["Fault", "FrameInfo", "HdrFrame", "HdrPipeline", "PipelineConfig"]
