"""Hypothesis strategies for arrays."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

SIDES = st.integers(1, 14)


@st.composite
def label_maps(draw: st.DrawFn, labels: int = 3) -> np.ndarray:
    shape = draw(SIDES), draw(SIDES)
    return draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, labels)))
