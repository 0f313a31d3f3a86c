"""Array types that several kernels share."""

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
