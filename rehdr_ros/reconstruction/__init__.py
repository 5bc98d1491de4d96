"""What happens to one frame: synchronisation, the stateful network, tone mapping. No ROS."""

from rehdr_ros.reconstruction.config import PipelineConfig
from rehdr_ros.reconstruction.pipeline import FrameInfo, HdrFrame, HdrPipeline
from rehdr_ros.reconstruction.reconstructor import Fault

__all__ = ["Fault", "FrameInfo", "HdrFrame", "HdrPipeline", "PipelineConfig"]
