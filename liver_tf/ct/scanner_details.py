"""Scanner and settings from a DICOM header, for data set statistics.

The elements are free text and may contain patient names, so only known manufacturers, models and
kernels are kept; any other text becomes ``other``.
"""

import re
from pathlib import Path

import pydicom

from liver_tf.ct.dicom_elements import number, text

_MANUFACTURERS = (
    "canon",
    "fujifilm",
    "ge",
    "hitachi",
    "neusoft",
    "philips",
    "samsung",
    "shimadzu",
    "siemens",
    "toshiba",
    "uih",
    "united imaging",
)

#: Words in the names of CT models, one string per manufacturer; short numbers may follow.
_MODEL_WORDS = frozenset(
    word
    for models in (
        "somatom sensation definition as as+ flash force edge drive go.top go.all go.up go.now go "
        "perspective emotion spirit scope volume zoom plus plus4 naeotom alpha biograph mct "
        "mct_flow horizon vision confidence x.cite x.ceed",
        "lightspeed brightspeed hispeed highspeed prospeed vct ct750 ct660 ct580 ct540 ct520 ct hd "
        "hd750 discovery revolution evo apex optima maxima frontier pro pro16 pro32 ultra qx qx/i "
        "rt rt16 es elite select gsi xt cardio",
        "brilliance ingenuity iqon spectral ict sp mx8000 idt big bore incisive core core128 "
        "gemini tf access precedence vereos",
        "aquilion one prime lb cx cxl rxl genesis lightning precision alexion activion asteion "
        "start prism serve scenaria supria eclos view grande presto fct speedia",
        "uct atlas neuviz glory epoch bodytom elite-s",
    )
    for word in models.split()
)
_MODEL_NUMBER = re.compile(r"\d{1,3}")
_LONGEST_MODEL = 40

#: Reconstruction kernels: numbers of Siemens and Toshiba, words of GE, letters of Philips.
_KERNEL = re.compile(
    r"[BHIJQDTU][rfvp]?\d{2}[fhsmrn]?|FC\d{2}|STANDARD|STND|SOFT|DETAIL|BONE|BONEPLUS|LUNG|CHEST|"
    r"EDGE|ULTRA|A|B|C|D|E|F|L|YA|YB|YC|YD|UA|UB|UC|SA|SB"
)
#: Entries in ContrastBolusAgent that mean that no agent was given.
_NO_AGENT = frozenset(("0", "n", "no", "non", "none", "without", "native", "ohne", "nein", "sans"))


def details_of(dataset: pydicom.Dataset, path: Path) -> dict[str, str]:
    """Scanner and settings, without anything that could identify a patient.

    Returns:
      ``manufacturer`` (``unknown`` if the file has none) and, if the file has them, ``model``,
      ``kernel``, ``contrast`` (``agent named`` or ``no agent named``), ``kvp``,
      ``slice_thickness_mm``. Unknown texts are ``other``.

    Raises:
      Refusal: ``dicom-number`` if KVP or SliceThickness is not a number.
    """
    details = {"manufacturer": _manufacturer(text(dataset, "Manufacturer", path))}
    model = text(dataset, "ManufacturerModelName", path)
    if model:
        details["model"] = _model(model)
    kernel = text(dataset, "ConvolutionKernel", path).split("\\")[0].strip()
    if kernel:
        details["kernel"] = kernel if _KERNEL.fullmatch(kernel) else "other"
    if "ContrastBolusAgent" in dataset:
        words = text(dataset, "ContrastBolusAgent", path).lower().split()
        named = bool(words) and words[0] not in _NO_AGENT
        details["contrast"] = "agent named" if named else "no agent named"
    for key, keyword in (("kvp", "KVP"), ("slice_thickness_mm", "SliceThickness")):
        value = number(dataset, keyword, path)
        if value is not None:
            details[key] = f"{value:g}"
    return details


def _manufacturer(maker: str) -> str:
    maker = maker.lower()
    words = maker.replace(",", " ").split()
    if not words:
        return "unknown"
    known = (name for name in _MANUFACTURERS if name in words or (len(name) > 3 and name in maker))
    return next(known, "other")


def _model(model: str) -> str:
    """The model's name in lower case if all its words are known, else ``other``."""
    words = model.lower().split()
    named = any(word in _MODEL_WORDS for word in words)
    known = all(word in _MODEL_WORDS or _MODEL_NUMBER.fullmatch(word) for word in words)
    return " ".join(words) if named and known and len(model) <= _LONGEST_MODEL else "other"
