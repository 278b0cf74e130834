"""The coded concepts of SEG and SR: SNOMED CT, DCM and UCUM; ours only where these have none."""

from highdicom.sr.coding import CodedConcept
from pydicom.sr.codedict import codes

OURS = "99CALCOHORT"

ANATOMICAL_STRUCTURE = codes.SCT.AnatomicalStructure
ABNORMAL_STRUCTURE = codes.SCT.MorphologicallyAbnormalStructure
AORTIC_ROOT = codes.SCT.AorticRoot
CALCIFICATION = CodedConcept("18115005", "SCT", "Pathologic calcification, calcified structure")
CT_OF_HEART = codes.SCT.ComputedTomographyOfHeart
ARTIFICIAL_INTELLIGENCE = codes.DCM.ArtificialIntelligence
REPORT = codes.DCM.ImagingMeasurementReport

VOLUME = codes.SCT.Volume
SUM_OF_VOXELS = codes.DCM.SumOfSegmentedVoxelMethodForVolume
ATTENUATION = codes.DCM.AttenuationCoefficient
MEAN, STANDARD_DEVIATION = codes.SCT.Mean, codes.SCT.StandardDeviation
LESION_COUNT = codes.DCM.NumberOfCalcifications
THRESHOLD = CodedConcept("threshold", OURS, "Calcium threshold")
MM3, HU, COUNT = codes.UCUM.CubicMillimeter, codes.UCUM.HounsfieldUnit, codes.UCUM.NoUnits

STATUS = CodedConcept("status", OURS, "Status of the measurement")
UNVERIFIED = CodedConcept(
    "research", OURS, "Automatic, not verified by a reader, for research only"
)
