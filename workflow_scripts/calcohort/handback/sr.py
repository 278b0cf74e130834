"""The measurements as a DICOM SR of template TID 1500 (Measurement Report, PS3.16)."""

from typing import Any

from highdicom.seg import Segmentation
from highdicom.sr import (
    AlgorithmIdentification,
    ComprehensiveSR,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    ReferencedSegment,
    SourceSeriesForSegmentation,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom import Dataset
from pydicom.sr.codedict import codes as dicom_codes

from calcohort.handback import codes
from calcohort.handback.identity import Identity
from calcohort.handback.seg import SEGMENT
from calcohort.handback.source import is_enhanced
from calcohort.measure.thresholds import RULES


def make_sr(
    images: list[Dataset],
    root_seg: Segmentation,
    calcium_seg: Segmentation | None,
    calcium: dict[str, Any],
    *,
    identity: Identity,
) -> ComprehensiveSR:
    """Make the report: a group for the root, and one for each threshold rule.

    Parameters
    ----------
    images : list of Dataset
        Headers of the source images that show the root, or of the enhanced CT that does.
    root_seg, calcium_seg : Segmentation
        The masks; None for a root without calcium.
    calcium : dict
        The record of `measure`, status ok.
    identity : Identity
        UIDs, time and version.

    Returns
    -------
    ComprehensiveSR
        Volumes in mm³, thresholds and luminance in HU, counts without unit. The group of the rule
        whose mask `calcium_seg` is refers to it. The image library lists single images; it has no
        place for frames.
    """
    groups = [_root_group(root_seg, calcium, identity)]
    groups += [_rule_group(calcium_seg, calcium, rule, identity) for rule in calcium["rules"]]
    device = DeviceObserverIdentifyingAttributes(
        uid=identity.uid("device"), name="Calcohort", model_name="Calcohort"
    )
    report = MeasurementReport(
        observation_context=ObservationContext(
            observer_device_context=ObserverContext(
                observer_type=dicom_codes.DCM.Device, observer_identifying_attributes=device
            )
        ),
        procedure_reported=codes.CT_OF_HEART,
        imaging_measurements=groups,
        title=codes.REPORT,
        referenced_images=None if is_enhanced(images[0]) else images,
    )
    made = ComprehensiveSR(
        evidence=[*images, *(seg for seg in (root_seg, calcium_seg) if seg is not None)],
        content=report,
        is_complete=True,
        is_verified=False,
        **identity.of_series("sr"),
    )
    return identity.settled(made)


def _root_group(seg: Segmentation, calcium: dict[str, Any], identity: Identity):
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking("Aortic root", identity.uid("tracking", "root")),
        referenced_segment=_segment(seg),
        finding_type=codes.AORTIC_ROOT,
        measurements=[
            _volume(calcium["root_volume_mm3"]),
            Measurement(
                codes.ATTENUATION, calcium["luminance_hu"], codes.HU, derivation=codes.MEAN
            ),
            Measurement(
                codes.ATTENUATION,
                calcium["luminance_sd_hu"],
                codes.HU,
                derivation=codes.STANDARD_DEVIATION,
            ),
        ],
        qualitative_evaluations=[_status()],
    )


def _rule_group(seg, calcium: dict[str, Any], rule: dict[str, Any], identity: Identity):
    name = rule["rule"]
    common = {
        "tracking_identifier": _tracking(
            f"Calcium of the aortic root, {name}", identity.uid("tracking", name)
        ),
        "finding_type": codes.CALCIFICATION,
        "finding_sites": [FindingSite(codes.AORTIC_ROOT)],
        "algorithm_id": AlgorithmIdentification(
            name=f"Calcohort {name}", version=identity.version, parameters=[formula(calcium, name)]
        ),
        "measurements": [
            _volume(rule["calcium_volume_mm3"]),
            Measurement(codes.LESION_COUNT, rule["lesion_count"], codes.COUNT),
            Measurement(codes.THRESHOLD, rule["threshold_hu"], codes.HU),
        ],
        "qualitative_evaluations": [_status()],
    }
    if name == calcium["mask_rule"] and seg is not None:
        common["tracking_identifier"] = _tracking(
            f"Calcium of the aortic root, {name}", identity.uid("tracking", "calcium")
        )
        return VolumetricROIMeasurementsAndQualitativeEvaluations(
            referenced_segment=_segment(seg), **common
        )
    return MeasurementsAndQualitativeEvaluations(**common)


def formula(calcium: dict[str, Any], rule: str) -> str:
    """Return a rule's formula, with the value of k where it holds one."""
    text = RULES[rule].formula
    return f"{text}, k = {calcium['k']:g}" if "k " in text else text


def _segment(seg: Segmentation) -> ReferencedSegment:
    source = seg.ReferencedSeriesSequence[0].SeriesInstanceUID
    return ReferencedSegment(
        seg.SOPClassUID,
        seg.SOPInstanceUID,
        SEGMENT,
        source_series=SourceSeriesForSegmentation(source),
    )


def _volume(volume_mm3: float) -> Measurement:
    return Measurement(codes.VOLUME, volume_mm3, codes.MM3, method=codes.SUM_OF_VOXELS)


def _tracking(identifier: str, uid: str) -> TrackingIdentifier:
    return TrackingIdentifier(identifier=identifier, uid=uid)


def _status() -> QualitativeEvaluation:
    return QualitativeEvaluation(codes.STATUS, codes.UNVERIFIED)
