# The node on the ROS image, as docs/install.md tells. Untested: nobody has built it yet.
#   docker build -t rehdr_ros .
#   docker run --rm -it --net=host --ipc=host rehdr_ros
ARG ROS_DISTRO=kilted
FROM ros:${ROS_DISTRO}-ros-base
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
SHELL ["/bin/bash", "-c"]
WORKDIR /workspace

# Of the package only what says what it needs, so that a change of the code installs nothing anew.
COPY package.xml src/rehdr_ros/
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-pip \
    && rosdep update --rosdistro "$ROS_DISTRO" \
    && rosdep install -y --from-paths src --ignore-src \
    && rm -rf /var/lib/apt/lists/*

# Nothing else lives in this Python (PEP 668). NumPy stays the one that ROS was built with.
RUN PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install --no-cache-dir --extra-index-url "$TORCH_INDEX" \
    av lz4 mcap OpenEXR openvino rosbags torch \
    "numpy==$(python3 -c 'import numpy; print(numpy.__version__)')"

COPY . src/rehdr_ros
RUN source "/opt/ros/$ROS_DISTRO/setup.bash" && colcon build --cmake-args -DBUILD_TESTING=OFF

RUN printf '#!/bin/bash\nsource /workspace/install/setup.bash\nexec "$@"\n' >/entrypoint && chmod +x /entrypoint
ENTRYPOINT ["/entrypoint"]
CMD ["ros2", "launch", "rehdr_ros", "rehdr.launch.py"]
