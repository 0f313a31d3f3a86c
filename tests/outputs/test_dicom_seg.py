"""DICOM SEG of generated radiographs, read back by highdicom and pydicom."""

import os
from datetime import UTC, datetime

import numpy as np
import pydicom
import pytest
from pydicom import uid

from helpers.coco import chest, segmentation
from helpers.dicom import COMPRESSED, FILES, make
from helpers.dicom_seg import WHOSE, masks_in
from helpers.outputs import save_outputs
from xray_seg.errors import OutputError, ReadError
from xray_seg.labels import ORGANS, RIGHT_LEFT_LABELS
from xray_seg.models.model_folder import load_model
from xray_seg.outputs import check_kinds, dicom_seg, dicom_segments
from xray_seg.postprocessing.laterality import split_sides
from xray_seg.readers import read
from xray_seg.segmentation import Segmentation

LABELS = chest(3, 80)[:60]
PIXELS = np.add.outer(np.arange(60), 3 * np.arange(80)).astype(np.uint16)


def segment(path, labels=LABELS):
    """A segmentation of a radiograph with the given labels."""
    return Segmentation(read(path), labels, np.zeros((4, 4, 4), np.float32), load_model())


def written(folder, path, sides=False, labels=LABELS):
    save = save_outputs(folder, "ward/x", ["dicom-seg"], "", segment(path, labels), sides)
    assert save.paths == [folder / "seg" / "ward" / "x.dcm"]
    return save.paths[0]


def check(path, source, sides=False, labels=LABELS):
    shown = split_sides(labels) if sides else labels
    found = masks_in(path, source)
    assert list(found) == [
        part.name for part in (RIGHT_LEFT_LABELS.structures if sides else ORGANS)
    ]
    for part in RIGHT_LEFT_LABELS.structures if sides else ORGANS:
        assert np.array_equal(found[part.name], shown == part.label)


@pytest.mark.parametrize("sides", [False, True])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_masks_are_read_back(tmp_path, sides, photometric):
    radiograph = make(
        tmp_path / "radiograph", PIXELS, PhotometricInterpretation=photometric, **WHOSE
    )
    path = written(tmp_path, radiograph, sides)
    check(path, radiograph, sides)
    assert pydicom.dcmread(path).SegmentationType == "BINARY"


@pytest.mark.parametrize("kind", COMPRESSED)
def test_masks_of_compressed_radiographs_are_read_back(tmp_path, kind):
    syntax, encode, bits = COMPRESSED[kind]
    pixels = PIXELS.astype(f"u{bits // 8}")
    radiograph = make(tmp_path / "radiograph", pixels, syntax, encode(pixels), **WHOSE)
    check(written(tmp_path, radiograph), radiograph)


def test_frames_are_the_masks_when_read_by_pydicom(tmp_path):
    radiograph = make(tmp_path / "radiograph", PIXELS, **WHOSE)
    dataset = pydicom.dcmread(written(tmp_path, radiograph, sides=True))
    frames = dataset.pixel_array
    numbers = [
        frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        for frame in dataset.PerFrameFunctionalGroupsSequence
    ]
    assert numbers == [1, 2, 3, 4, 5]
    for number, frame in zip(numbers, frames, strict=True):
        assert np.array_equal(
            frame, split_sides(LABELS) == RIGHT_LEFT_LABELS.structures[number - 1].label
        )


def test_it_belongs_to_the_patient_and_study_and_refers_to_the_radiograph(tmp_path):
    radiograph = make(tmp_path / "radiograph", PIXELS, **WHOSE)
    source = pydicom.dcmread(radiograph)
    dataset = pydicom.dcmread(written(tmp_path, radiograph))
    kept = [name for name in WHOSE if name.startswith(("Patient", "Study", "Accession"))]
    assert len(kept) == 9
    for name in kept:
        assert dataset[name].value == source[name].value, name
    assert dataset.SOPClassUID == uid.SegmentationStorage
    assert dataset.SeriesInstanceUID != source.SeriesInstanceUID
    assert dataset.SOPInstanceUID != source.SOPInstanceUID
    (series,) = dataset.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == source.SeriesInstanceUID
    (whole,) = series.ReferencedInstanceSequence
    referred = [whole]
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        (derived,) = frame.DerivationImageSequence
        (item,) = derived.SourceImageSequence
        assert item.SpatialLocationsPreserved == "YES"
        assert "ReferencedFrameNumber" not in item
        referred.append(item)
    for item in referred:
        assert item.ReferencedSOPClassUID == uid.DigitalXRayImageStorageForPresentation
        assert item.ReferencedSOPInstanceUID == source.SOPInstanceUID


def test_segments_are_coded_with_organ_and_side(tmp_path):
    radiograph = make(tmp_path / "radiograph", PIXELS, **WHOSE)

    def coded(sides):
        for each in pydicom.dcmread(written(tmp_path, radiograph, sides)).SegmentSequence:
            (kind,) = each.SegmentedPropertyTypeCodeSequence
            (category,) = each.SegmentedPropertyCategoryCodeSequence
            assert (category.CodeValue, category.CodingSchemeDesignator) == ("91723000", "SCT")
            assert kind.CodingSchemeDesignator == "SCT"
            more = kind.get("SegmentedPropertyTypeModifierCodeSequence", [])
            yield each.SegmentLabel, kind.CodeValue, *[side.CodeValue for side in more]

    lung, heart, clavicle = "39607008", "80891009", "51299004"
    right, left, both = "24028007", "7771000", "51440002"
    assert list(coded(False)) == [
        ("clavicles", clavicle, both),
        ("heart", heart),
        ("lungs", lung, both),
    ]
    assert list(coded(True)) == [
        ("right clavicle", clavicle, right),
        ("heart", heart),
        ("right lung", lung, right),
        ("left clavicle", clavicle, left),
        ("left lung", lung, left),
    ]


def test_the_codes_are_those_of_the_standard():
    from pydicom.sr.codedict import codes

    known = (codes.cid4031.Clavicle, codes.cid4031.Heart, codes.cid7155.Lung)
    for organ, code in zip(ORGANS, known, strict=True):
        assert dicom_segments._ORGANS[organ] == (code.value, code.scheme_designator, code.meaning)
    sides = {"right": codes.cid244.Right, "left": codes.cid244.Left, "": codes.cid244.Bilateral}
    for side, code in sides.items():
        assert dicom_segments._SIDES[side] == (code.value, code.scheme_designator, code.meaning)


def test_it_identifies_the_algorithm_and_its_weights(tmp_path):
    radiograph = make(tmp_path / "radiograph", PIXELS, **WHOSE)
    dataset = pydicom.dcmread(written(tmp_path, radiograph))
    model = load_model()
    for each in dataset.SegmentSequence:
        assert (each.SegmentAlgorithmType, each.SegmentAlgorithmName) == ("AUTOMATIC", "xray-seg")
        (algorithm,) = each.SegmentationAlgorithmIdentificationSequence
        assert algorithm.AlgorithmName == "xray-seg"
        assert algorithm.AlgorithmVersion == dataset.SoftwareVersions
        assert model.sha256 in algorithm.AlgorithmParameters
    assert dataset.ManufacturerModelName == model.name


GEOMETRY = {"ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"}


@pytest.mark.parametrize("stated", [{}, {"FrameOfReferenceUID": "1.2.3.9"}], ids=str)
def test_no_geometry_is_invented(tmp_path, stated):
    radiograph = make(tmp_path / "radiograph", PIXELS, PixelSpacing=[0.2, 0.2], **stated, **WHOSE)
    path = written(tmp_path, radiograph)
    check(path, radiograph)
    dataset = pydicom.dcmread(path)
    assert not {element.keyword for element in dataset.iterall()} & GEOMETRY
    assert dataset.get("FrameOfReferenceUID") == stated.get("FrameOfReferenceUID")


def test_it_refers_to_the_first_of_several_frames(tmp_path):
    radiograph = make(
        tmp_path / "radiograph",
        np.concatenate([PIXELS, PIXELS + 7]),
        NumberOfFrames=2,
        Rows=60,
        SOPClassUID=uid.MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
        **WHOSE,
    )
    path = written(tmp_path, radiograph)
    check(path, radiograph)
    dataset = pydicom.dcmread(path)
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        (item,) = frame.DerivationImageSequence[0].SourceImageSequence
        assert item.ReferencedFrameNumber == 1


@pytest.mark.parametrize(
    "header",
    [
        {"PatientSex": "female"},
        {"StudyTime": "10:11:12"},
        {"PatientBirthDate": "unknown"},
        {"StudyDate": "", "ContentDate": "", "StudyTime": "", "ContentTime": ""},
        {"PixelSpacing": []},
        {"SOPClassUID": "1.2.826.0.1.99999.1"},
        {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "胸^ä"},
        {"SpecificCharacterSet": ["", "ISO 2022 IR 87"], "PatientName": "Yamada^Tarou=山田^太郎"},
        {"ImagePositionPatient": [0, 0, 0], "FrameOfReferenceUID": "1.2.3.9"},
        {"SeriesNumber": -3},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:.*:UserWarning:pydicom")
def test_nonstandard_headers(tmp_path, header):
    radiograph = make(tmp_path / "radiograph", PIXELS, **(WHOSE | header))
    path = written(tmp_path, radiograph)
    check(path, radiograph)
    if "PatientName" in header:
        assert pydicom.dcmread(path).PatientName == header["PatientName"]


def test_a_radiograph_without_patient(tmp_path):
    bare = {name: WHOSE[name] for name in ("StudyInstanceUID", "SeriesInstanceUID")}
    radiograph = make(tmp_path / "radiograph", PIXELS, **bare)
    os.utime(radiograph, (0, 0))
    path = written(tmp_path, radiograph)
    check(path, radiograph)
    dataset = pydicom.dcmread(path)
    assert (dataset.PatientID, dataset.PatientName, dataset.StudyDate) == ("", "", "")
    assert dataset.ContentDate == "19700101"  # of the file's modification time


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({}, ("20200304", "101500")),
        ({"ContentDate": "", "AcquisitionDate": "20200305"}, ("20200305", "000000")),
        (
            {"ContentDate": None, "SeriesDate": "20200306", "SeriesTime": "070809"},
            ("20200306", "070809"),
        ),
        ({"ContentDate": ""}, ("20200304", "101112")),  # of the study
        ({"ContentDate": "", "StudyDate": ""}, ("20240102", "030405")),  # of the file
    ],
)
def test_it_is_dated_as_the_radiograph_is(tmp_path, header, expected):
    """The same radiograph gives the same bytes on any day."""
    radiograph = make(tmp_path / "radiograph", PIXELS, **{**WHOSE, **header})
    moment = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()
    os.utime(radiograph, (moment, moment))
    dataset = pydicom.dcmread(written(tmp_path, radiograph))
    assert (dataset.ContentDate, dataset.ContentTime) == expected


@pytest.mark.parametrize("error", [OSError("the disk is full"), MemoryError()])
def test_an_error_of_the_machine_is_not_taken_for_one_of_the_header(tmp_path, monkeypatch, error):
    radiograph = make(tmp_path / "radiograph", PIXELS, **WHOSE)

    def fail(dataset):
        raise error

    monkeypatch.setattr(dicom_seg, "_encode", fail)
    with pytest.raises(type(error)):
        written(tmp_path, radiograph)


@pytest.mark.parametrize("sides", [False, True])
@pytest.mark.parametrize("organ", [None, 2])
def test_missing_structures_are_empty_segments(tmp_path, sides, organ):
    radiograph = make(tmp_path / "radiograph", PIXELS, **WHOSE)
    labels = np.where(organ == LABELS, 0, LABELS) if organ else np.zeros_like(LABELS)
    labels = labels.astype(np.uint8)
    check(written(tmp_path, radiograph, sides, labels), radiograph, sides, labels)


def test_the_same_radiograph_and_masks_give_the_same_bytes(tmp_path):
    radiograph = make(tmp_path / "radiograph", PIXELS, **WHOSE)
    one = written(tmp_path / "one", radiograph).read_bytes()
    assert written(tmp_path / "two", radiograph).read_bytes() == one


def test_other_masks_have_another_uid(tmp_path):
    radiograph = make(tmp_path / "radiograph", PIXELS, **WHOSE)
    other = make(tmp_path / "other", PIXELS, **WHOSE)
    datasets = [
        pydicom.dcmread(written(tmp_path / str(number), path, sides, labels))
        for number, (path, sides, labels) in enumerate(
            [
                (radiograph, False, LABELS),
                (radiograph, True, LABELS),
                (radiograph, False, LABELS[::-1].copy()),
                (other, False, LABELS),
            ]
        )
    ]
    assert len({each.SOPInstanceUID for each in datasets}) == 4
    assert all(uid.UID(each.SOPInstanceUID).is_valid for each in datasets)


#: Types 1 and 2 of the modules that PS3.3, A.51 makes mandatory, and those of Derivation Image.
_NOT_EMPTY = """
    StudyInstanceUID SeriesInstanceUID Modality SeriesNumber Manufacturer ManufacturerModelName
    DeviceSerialNumber SoftwareVersions ImageType InstanceNumber ContentLabel SegmentationType
    SegmentSequence Rows Columns BitsAllocated BitsStored HighBit PixelRepresentation PixelData
    SamplesPerPixel PhotometricInterpretation LossyImageCompression NumberOfFrames ContentDate
    ContentTime PerFrameFunctionalGroupsSequence DimensionOrganizationSequence SOPClassUID
    DimensionIndexSequence SOPInstanceUID ReferencedSeriesSequence PresentationLUTShape
"""
_PRESENT = """
    PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime StudyID AccessionNumber
    ReferringPhysicianName ContentDescription ContentCreatorName SharedFunctionalGroupsSequence
"""


def test_attributes_that_the_standard_requires_are_present(tmp_path):
    radiograph = make(tmp_path / "radiograph", PIXELS, **WHOSE)
    dataset = pydicom.dcmread(written(tmp_path, radiograph))
    assert [name for name in _NOT_EMPTY.split() if dataset.get(name) in (None, "")] == []
    assert [name for name in _PRESENT.split() if name not in dataset] == []
    assert (dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit) == (1, 1, 0)
    assert dataset.file_meta.TransferSyntaxUID == uid.ExplicitVRLittleEndian


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_files_shipped_with_pydicom_get_a_seg_or_a_reason(tmp_path, path):
    try:
        radiograph = read(path)
    except ReadError:
        return
    labels = np.zeros(radiograph.shape, np.uint8)
    labels[1:4, 1:5], labels[:, :1] = 1, 2
    try:
        made = written(tmp_path, path, labels=labels)
    except OutputError as error:
        assert "the film's header has no " in str(error)  # noqa: PT017 - either is right
        return
    check(made, path, labels=labels)


def test_with_other_kinds_a_radiograph_in_another_format_gets_a_note(tmp_path):
    made = save_outputs(tmp_path, "x", ["labels", "dicom-seg"], ".tif", segmentation(LABELS))
    assert made.paths == [tmp_path / "labels" / "x.tif"]
    assert made.notes == ("no dicom-seg: the film is not a DICOM file",)


def test_without_other_kinds_another_format_is_an_error(tmp_path):
    with pytest.raises(OutputError, match="not a DICOM file"):
        save_outputs(tmp_path, "x", ["dicom-seg"], ".tif", segmentation(LABELS))


def test_missing_uids_are_named(tmp_path):
    radiograph = make(tmp_path / "radiograph", PIXELS)
    with pytest.raises(OutputError, match="no StudyInstanceUID, SeriesInstanceUID"):
        written(tmp_path, radiograph)


def test_a_source_that_was_removed_is_named(tmp_path):
    radiograph = make(tmp_path / "radiograph", PIXELS, **WHOSE)
    result = segment(radiograph)
    radiograph.unlink()
    with pytest.raises(OutputError, match="cannot be read again: No such file"):
        save_outputs(tmp_path, "x", ["dicom-seg"], ".tif", result)


def test_a_segmentation_saves_itself_as_dcm(tmp_path):
    radiograph = make(tmp_path / "radiograph", PIXELS, **WHOSE)
    segment(radiograph).save(tmp_path / "x.dcm", sides=True)
    check(tmp_path / "x.dcm", radiograph, sides=True)
    with pytest.raises(OutputError, match=r"y\.dcm: cannot be written: .*not a DICOM file"):
        segmentation(LABELS).save(tmp_path / "y.dcm")


def test_without_highdicom_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(dicom_seg, "find_spec", lambda name: None)
    with pytest.raises(OutputError, match=r"pip install 'xray-seg\[dicom-seg\]'"):
        check_kinds(["labels", "dicom-seg"])
    check_kinds(["labels"])


def test_warning_filters_are_restored(tmp_path):
    import warnings

    from xray_seg._util.warnings import warnings_ignored

    before = list(warnings.filters)
    source = make(tmp_path / "x.dcm", np.zeros((40, 30), np.uint8), **WHOSE) or tmp_path / "x.dcm"
    read(source)
    assert list(warnings.filters) == before
    with warnings_ignored("pydicom"):
        with warnings_ignored("pydicom", "highdicom"):
            assert len(warnings.filters) == len(before) + 2
        assert len(warnings.filters) == len(before) + 1
    assert list(warnings.filters) == before
