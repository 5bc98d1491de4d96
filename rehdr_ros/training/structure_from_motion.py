"""Camera poses from images alone, by COLMAP."""

import tempfile
from pathlib import Path

import cv2
import numpy as np

from rehdr_ros.errors import InputError
from rehdr_ros.simulation.panels import Pose

_FEATURES = 600  # SIFT, of an image, the strongest
_OVERLAP = 4  # images after each one with which it is matched
_FIRST_INLIERS, _FIRST_ANGLE = 30, 4.0  # of the first pair; degrees
_INLIERS = 15  # of each other image
_LEAST_IMAGES = 3  # of a model


def camera_poses(images: list[np.ndarray], focal: float, seed: int = 0) -> dict[int, Pose]:
    """By number of the image, in a frame and scale of their own: the largest model, empty without one.

    images: (H, W) uint8, in order, of a pinhole camera with that focal length, px, and its principal point in
    the middle; at most a few times 0.1 megapixels, for which COLMAP's least numbers of inliers are lowered.
    Raises InputError where pycolmap is not installed.
    """
    pycolmap = require_pycolmap()
    height, width = images[0].shape
    names = [f"{number:06d}.png" for number in range(len(images))]
    with tempfile.TemporaryDirectory() as folder:
        for name, image in zip(names, images, strict=True):
            cv2.imwrite(str(Path(folder, name)), image)
        database = Path(folder, "database.db")
        # COLMAP's first pixel begins at 0.
        intrinsics = f"{focal},{focal},{width / 2},{height / 2}"
        reader = pycolmap.ImageReaderOptions(camera_model="PINHOLE", camera_params=intrinsics)
        extraction, matching = pycolmap.FeatureExtractionOptions(), pycolmap.FeatureMatchingOptions()
        extraction.num_threads = matching.num_threads = 1
        extraction.use_gpu = matching.use_gpu = False
        extraction.sift.max_num_features = _FEATURES
        extraction.sift.first_octave = 0  # not doubled in size: a third of the time
        pycolmap.set_random_seed(seed)
        single = pycolmap.CameraMode.SINGLE
        pycolmap.extract_features(database, folder, names, single, reader, extraction)
        pairing = pycolmap.SequentialPairingOptions(overlap=_OVERLAP, quadratic_overlap=False, num_threads=1)
        pycolmap.match_sequential(database, matching, pairing)
        models = pycolmap.incremental_mapping(database, folder, folder, _mapping(pycolmap, seed))
    model = max(models.values(), key=lambda model: model.num_reg_images(), default=None)
    return {} if model is None else dict(sorted(_pose(model.images[k]) for k in model.reg_image_ids()))


def require_pycolmap():
    """The module. Raises InputError where it is not installed."""
    try:
        import pycolmap
    except ImportError:
        raise InputError("pycolmap is missing: pip install 'rehdr_ros[odometry]' or pycolmap") from None
    pycolmap.logging.minloglevel = pycolmap.logging.ERROR
    return pycolmap


def _mapping(pycolmap, seed: int):
    options = pycolmap.IncrementalPipelineOptions(num_threads=1, random_seed=seed, extract_colors=False)
    options.min_model_size = _LEAST_IMAGES
    options.ba_refine_focal_length = options.ba_refine_extra_params = False  # the camera is calibrated
    mapper = options.mapper
    mapper.abs_pose_refine_focal_length = mapper.abs_pose_refine_extra_params = False
    mapper.init_min_num_inliers, mapper.init_min_tri_angle = _FIRST_INLIERS, _FIRST_ANGLE
    mapper.abs_pose_min_num_inliers = _INLIERS
    return options


def _pose(image) -> tuple[int, Pose]:
    rotation = image.cam_from_world().rotation.matrix().T
    return int(Path(image.name).stem), Pose(rotation, image.projection_center())
