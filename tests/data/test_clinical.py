"""Clinical tables of JSRT: on rows in their format, and on the real tables where present."""

import csv

import pytest

from xray_seg.data.clinical import Patient, read_clinical
from xray_seg.errors import DatasetError

NODULES = "\r".join(
    [
        "JPCLN001.IMG\t5\t15\t53\tmale\t1634\t692\tmalignant\tl.upper\tlobe(S1+2)\tlung cancer\t",
        "JPCLN002.IMG\t1\t30\t?\tfemale\t10\t20\tbenign\tr.middl\te lobe\tpulmonary he\tmatoma",
        "JPCLN003.IMG\t3\t9\t71\tfemale\t1\t2\tbenign\tleft lu\tng\tinflammatory\tmass",
        "JPCLN004.IMG\t3\t9\t71\tmale\t1\t2\tbenign\tr.lower\tlobe\tlung cancer(\tadenocarcinoma)",
        "JPCLN005.IMG\t2\t8\t40\tmale\t1\t2\tmalignant\tr.upper\tlobe\tmetastasis o\tf colon mass",
        "",
    ]
)
PLAIN = "JPCNN001.IMG 30  female   non-nodule\rJPCNN002.IMG ?   male     non-nodule\r"


def _write(folder, nodules=NODULES, plain=PLAIN, encoding="ascii"):
    (folder / "CLNDAT_EN.txt").write_bytes(nodules.encode(encoding))
    (folder / "cnndat_en.TXT").write_bytes(plain.encode(encoding))
    return folder


def test_a_row_of_the_nodule_table_is_parsed_completely(tmp_path):
    assert read_clinical(_write(tmp_path))["JPCLN001"] == Patient(
        "JPCLN001",
        age=53,
        sex="male",
        nodule=True,
        subtlety=5,
        size=15,
        centre=(1634, 692),
        malignant=True,
        side="left",
        lobe="upper",
        location="l.upper lobe(s1+2)",
        diagnosis="lung cancer",
    )


def test_words_split_by_a_tab_are_joined_and_whole_words_stay_separate(tmp_path):
    patients = read_clinical(_write(tmp_path))
    assert patients["JPCLN002"].location == "r.middle lobe"
    assert patients["JPCLN002"].lobe == "middle"
    assert patients["JPCLN002"].diagnosis == "pulmonary hematoma"
    assert patients["JPCLN003"].location == "left lung"
    assert patients["JPCLN003"].side == "left"
    assert patients["JPCLN003"].lobe is None
    assert patients["JPCLN003"].diagnosis == "inflammatory mass"
    assert patients["JPCLN004"].diagnosis == "lung cancer(adenocarcinoma)"
    assert patients["JPCLN005"].diagnosis == "metastasis of colon mass"


def test_radiographs_without_a_nodule_state_age_and_sex_only(tmp_path):
    patients = read_clinical(_write(tmp_path))
    assert patients["JPCNN001"] == Patient("JPCNN001", 30, "female", nodule=False)
    assert patients["JPCNN002"].age is None
    assert patients["JPCLN002"].age is None


def test_full_width_letters_and_shift_jis_are_read_as_ascii(tmp_path):
    wide = str.maketrans({chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)})
    row = NODULES.split("\r", maxsplit=1)[0]
    ideographic_space = "\u3000"
    plain = ideographic_space.join(["JPCNN001.IMG", "30", "女性", "non-nodule"]).translate(wide)
    here = read_clinical(_write(tmp_path, row.translate(wide), plain, "cp932"))
    assert here["JPCNN001"] == Patient("JPCNN001", 30, "female", nodule=False)
    other = tmp_path / "plain"
    other.mkdir()
    assert here["JPCLN001"] == read_clinical(_write(other))["JPCLN001"]


def test_japanese_words_are_translated(tmp_path):
    row = "JPCLN001.IMG\t5\t15\t53\t男\t1634\t692\t悪性\t左上葉\t\t肺癌\t"
    patient = read_clinical(_write(tmp_path, row, encoding="utf-8"))["JPCLN001"]
    assert (patient.sex, patient.malignant, patient.side) == ("male", True, "left")
    assert patient.lobe == "upper"


def test_tables_without_nodules_may_be_separated_by_tabs(tmp_path):
    row = "JPCNN001.IMG\t30\tfemale\tnon-nodule"
    patient = read_clinical(_write(tmp_path, row))["JPCNN001"]
    assert (patient.age, patient.sex, patient.nodule) == (30, "female", False)


@pytest.mark.parametrize(
    "row",
    [
        "something else\t1\t2",
        "JPCLN001.IMG\t5\t15",
        "JPCLN001.IMG\tfive\t15\t53\tmale\t1\t2\tbenign\tl.upper\tlobe\tx\t",
        "JPCLN001.IMG\t5\t15\t53\tmaybe\t1\t2\tbenign\tl.upper\tlobe\tx\t",
        "JPCNN001.IMG 30",
    ],
)
def test_a_row_that_cannot_be_parsed_is_reported_with_its_file(tmp_path, row):
    good = NODULES.split("\r", maxsplit=1)[0]
    with pytest.raises(DatasetError, match=r"CLNDAT_EN\.txt: row 2 "):
        read_clinical(_write(tmp_path, f"{good}\r{row}"))


def test_a_folder_without_tables_is_an_error(tmp_path):
    with pytest.raises(DatasetError, match="no clinical table"):
        read_clinical(tmp_path)


def test_every_row_of_the_real_tables_agrees_with_the_cleaned_version(jsrt):
    if not (jsrt / "clinical").is_dir():
        pytest.skip("the clinical tables are not there")
    patients = read_clinical(jsrt / "clinical")
    with (jsrt / "clinical" / "derived.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(patients) == len(rows)
    for row in rows:
        patient = patients[row["file"].removesuffix(".png")]
        assert ("?" if patient.age is None else str(patient.age)) == row["age"]
        assert patient.sex == row["sex"].lower()
        if patient.nodule:
            assert patient.location == row["location"].lower()
            # The cleaned version lacks a blank in one row.
            diagnosis = row["diagnosis"].lower().replace("canceror", "cancer or")
            assert patient.diagnosis == diagnosis
            assert str(patient.subtlety) == row["subtlety"]
            assert patient.malignant == (row["class"] == "malignant")
