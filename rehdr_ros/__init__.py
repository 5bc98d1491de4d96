"""HDR video from an ordinary camera and an event camera."""

from pkgutil import extend_path

# The messages (rehdr_ros.msg) are generated, and may be installed in another folder than this one.
__path__ = extend_path(__path__, __name__)
__version__ = "0.1.0"
