"""Write docs/phantom.png: a phantom, and beside it the same with its predicted masks."""

from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np

from xray_seg import Radiograph, Segmenter
from xray_seg.data.phantom import make_phantom

phantom = make_phantom(seed=3)
result = Segmenter()(Radiograph(phantom.radiograph))
without_masks = replace(result, labels=np.zeros_like(result.labels))
pair = np.hstack([without_masks.overlay(1024), result.overlay(1024)])
small = pair[::2, ::2]
target = Path(__file__).with_name("phantom.png")
target.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(small), level=9))
