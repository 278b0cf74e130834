import hashlib
import hmac

import pytest
from calcohort.dicom.pseudonymise import clean, file_label, keyed_hash
from calcohort.outcomes import UserError


def test_hash_is_hmac_sha256_of_kind_and_identifier():
    expected = hmac.digest(b"key", b"patient\x00MRN 7", hashlib.sha256).hex()
    assert keyed_hash(b"key", "patient", " MRN 7 ") == expected


def test_hash_depends_on_key_kind_and_identifier():
    variants = [(b"a", "study", "1"), (b"b", "study", "1"), (b"a", "series", "1")]
    hashes = {keyed_hash(*variant) for variant in [*variants, (b"a", "study", "2")]}
    assert len(hashes) == 4


def test_nothing_to_hash_and_no_key():
    assert keyed_hash(b"a", "patient", "  ") is None
    with pytest.raises(UserError):
        keyed_hash(b"", "patient", "1")


def test_clean():
    text = "cannot read '/data/Doe Jane/x.dcm'\nof series 1.2.840.113619.2.55: length 12.5"
    assert clean("Error: /tmp/a-b/00012.dcm failed") == "Error: (path) failed"
    assert "1.2.840" not in clean(text)
    assert clean(text).endswith("length 12.5")


@pytest.mark.parametrize("name", ["I10", "IM-0001-0023.dcm", "1-013.dcm", "CT000081.DCM", "7"])
def test_neutral_names_are_told(name):
    assert file_label(name, 13, 134) == f"file 13 of 134 ({name})"


@pytest.mark.parametrize("name", ["Doe_Jane_1.dcm", "1.2.840.113.5", "12345678901.dcm", "x.dcm"])
def test_other_names_are_not(name):
    assert file_label(name, 13, 134) == "file 13 of 134"
