"""Outputs of a small segmentation."""

ALL = "labels,organs,overlay,probabilities,rle,contours,chexmask,dicom-seg"
