"""The luminance of linear RGB, by one definition everywhere."""

import numpy as np

BT709 = np.array([0.2126, 0.7152, 0.0722], np.float32)
