"""What can go wrong, as a tree.

XraySegError
├── ReadError         a file cannot be read as a radiograph or mask
│   ├── NotARadiograph       it holds something else; listed with what it is
│   └── NotAChestRadiograph  its header says that it is another kind of image
├── DatasetError      images and masks for training or evaluation do not fit together
├── TrainingError     a training run cannot go on
├── WeightsError      weights are missing, altered or of another kind
├── EngineError       the engine asked for cannot run here
├── ClusterError      a cluster cannot be had, or cannot go on
└── OutputError       a result cannot be written

Every message names the file or option, says what is wrong with it, and what to do.
"""


class XraySegError(Exception):
    """Base of all errors that xray_seg raises on purpose."""


class ReadError(XraySegError):
    """A file cannot be read as a radiograph or mask."""


class NotARadiograph(ReadError):
    """A file holds something that is no image format known here."""


class NotAChestRadiograph(ReadError):
    """A file's header says that it holds another image than a frontal chest radiograph."""


class DatasetError(XraySegError):
    """Images and masks for training or evaluation do not fit together."""


class TrainingError(XraySegError):
    """A training run cannot go on."""


class WeightsError(XraySegError):
    """Weights are missing, altered or of another kind."""


class EngineError(XraySegError):
    """The engine asked for cannot run here."""


class ClusterError(XraySegError):
    """A cluster cannot be had, or cannot go on."""


class OutputError(XraySegError):
    """A result cannot be written."""
