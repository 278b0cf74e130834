import hashlib
import hmac

import pytest
from calcohort.dicom.pseudonymise import file_label, keyed_hash, keyed_uid
from calcohort.outcomes import UserError
from pydicom.uid import UID


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


def test_a_uid_becomes_a_valid_one_that_key_and_uid_alone_decide():
    uid = keyed_uid(b"a", "1.2.840.1")
    assert UID(uid).is_valid
    assert uid.startswith("2.25.")
    assert uid == keyed_uid(b"a", "1.2.840.1")
    assert len({uid, keyed_uid(b"b", "1.2.840.1"), keyed_uid(b"a", "1.2.840.2")}) == 3


@pytest.mark.parametrize("name", ["I10", "IM-0001-0023.dcm", "1-013.dcm", "CT000081.DCM", "7"])
def test_running_numbers_are_told(name):
    assert file_label(name, 13, 134) == f"file 13 of 134 ({name})"


@pytest.mark.parametrize(
    "name",
    ["Doe_1.dcm", "DOE_500213", "MRN42.dcm", "424242", "IM-0001-0135", "1.2.840.113.5", "x.dcm"],
)
def test_other_names_are_not(name):
    assert file_label(name, 13, 134) == "file 13 of 134"
