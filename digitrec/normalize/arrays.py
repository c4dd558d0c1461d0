"""The arrays that the compiled functions hand on, and the places in what `find_ink` tells."""

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Signed = NDArray[np.int16]
Counts = NDArray[np.int32]
Soft = NDArray[np.float32]
Figures = NDArray[np.float64]

# Of a normalized scan, in pixels.
SIDE = 28

# Places in the figures that `find_ink` tells beside the ink.
FIGURES = 10
BLANK, LEFT, TOP, LEVEL, INVERTED, TOUCHES = range(6)
CONTRAST, SLOPE, PIECES, FRAME = range(6, FIGURES)
# Smaller scans have no room for slopes of light, and lines, beside a digit.
MIN_SIDE = 12
# Of larger scans, in pixels, a part tells as much of paper and ink as the whole.
LARGE = 2500
