"""Numba kernels: arrays in, arrays out. They import nothing else of xray_seg.

Each public function checks its arguments, then calls a compiled kernel that trusts them. Kernels
release the GIL, so that reader and writer threads run in parallel with the engine.
"""

from ._types import Ints as Ints
from .components import Runs as Runs
from .components import connect as connect
from .components import find_runs as find_runs
from .components import neighbours as neighbours
from .components import paint_runs as paint_runs
from .components import relabelled as relabelled
from .contours import simplify as simplify
from .contours import trace as trace
from .covered import covered_runs as covered_runs
from .deflate import deflate as deflate
from .intensity import class_sums as class_sums
from .intensity import stretch as stretch
from .intensity import sum_runs as sum_runs
from .masks import merge_masks as merge_masks
from .moments import Moments as Moments
from .moments import moments as moments
from .moments import split_at as split_at
from .moments import split_pieces as split_pieces
from .outlines import box_sums as box_sums
from .outlines import margins as margins
from .outlines import outline_lengths as outline_lengths
from .overlay import blend as blend
from .raggedness import Raggedness as Raggedness
from .raggedness import raggedness as raggedness
from .resample import area_fractions as area_fractions
from .resample import area_mean as area_mean
from .resample import nearest as nearest
from .restore import most_probable as most_probable
from .restore import upsample_argmax as upsample_argmax
from .restore import upsample_plane as upsample_plane
from .runlengths import alternating_counts as alternating_counts
from .runlengths import coco_string as coco_string
from .runlengths import column_major_runs as column_major_runs
from .runlengths import row_major_runs as row_major_runs
from .runlengths import start_lengths as start_lengths
from .warp import warp as warp
