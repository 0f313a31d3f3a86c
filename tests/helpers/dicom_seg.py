"""DICOM SEG objects read back."""

from pathlib import Path

import numpy as np
import pydicom
from highdicom.seg import segread

WHOSE = {
    "StudyInstanceUID": "1.2.3.4",
    "SeriesInstanceUID": "1.2.3.4.5",
    "SeriesNumber": 7,
    "PatientID": "P1",
    "PatientName": "Film^One",
    "PatientBirthDate": "19500102",
    "PatientSex": "F",
    "PatientAge": "070Y",
    "AccessionNumber": "A1",
    "StudyDate": "20200304",
    "StudyTime": "101112",
    "ContentDate": "20200304",
    "ContentTime": "101500",
    "ImagerPixelSpacing": [0.2, 0.2],
}


def masks_in(path: Path, source: Path) -> dict[str, np.ndarray]:
    """Read masks by segment label with highdicom, for the one instance that they refer to."""
    found = segread(path)
    header = pydicom.dcmread(source, stop_before_pixels=True)
    if int(header.get("NumberOfFrames") or 1) > 1:
        pixels = found.get_pixels_by_source_frame(header.SOPInstanceUID, [1])
    else:
        pixels = found.get_pixels_by_source_instance([header.SOPInstanceUID])
    names = [found.get_segment_description(n).segment_label for n in found.segment_numbers]
    assert pixels.shape[0] == 1
    return {name: pixels[0, ..., index] for index, name in enumerate(names)}
