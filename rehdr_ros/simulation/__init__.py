"""Simulation: scene radiance and camera motion -> LDR frames, events and true HDR."""

from rehdr_ros.simulation.sensors import EventCameraConfig
from rehdr_ros.simulation.simulator import Sample, SimulationConfig, simulate, truth_at

__all__ = ["EventCameraConfig", "Sample", "SimulationConfig", "simulate", "truth_at"]
