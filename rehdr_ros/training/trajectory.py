"""How far a camera's estimated way is from the true one, by evo."""

import numpy as np

from rehdr_ros.errors import InputError
from rehdr_ros.simulation.panels import Pose


def trajectory_error(found: dict[int, Pose], true: list[Pose]) -> float:
    """Root mean square of the distances after Sim(3) alignment, over the length of the whole true way.

    found: by number in `true`; NaN where they are too few to be aligned. Raises InputError where evo is not
    installed.
    """
    metrics, trajectory, GeometryException = require_evo()
    if len(found) < 3:
        return float("nan")
    reference = trajectory.PosePath3D(poses_se3=[_matrix(true[number]) for number in found])
    estimate = trajectory.PosePath3D(poses_se3=[_matrix(pose) for pose in found.values()])
    try:
        estimate.align(reference, correct_scale=True)
    except GeometryException:  # all in one place
        return float("nan")
    error = metrics.APE(metrics.PoseRelation.translation_part)
    error.process_data((reference, estimate))
    way = np.diff([pose.position for pose in true], axis=0)
    return error.get_statistic(metrics.StatisticsType.rmse) / np.linalg.norm(way, axis=1).sum()


def require_evo():
    """Its metrics, its trajectories and what alignment raises. Raises InputError where it is missing."""
    try:
        from evo.core import metrics, trajectory
        from evo.core.geometry import GeometryException
    except ImportError:
        raise InputError("evo is missing: pip install 'rehdr_ros[odometry]' or evo") from None
    return metrics, trajectory, GeometryException


def _matrix(pose: Pose) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = pose.rotation, pose.position
    return matrix
