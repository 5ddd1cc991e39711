"""Time to load the page of a scan and to change the slice, in headless Chromium.

    python -m benchmarks.scan_page
    python -m benchmarks.scan_page --page=predicted/scan-001/scan.html

Without ``--page``, the page of a computed volume (that of ``benchmarks.cascade``, with noise). The
page is opened ``--rounds`` times in a new browser. Loading ends with the browser's load event; a
slice has changed when its picture is drawn. The window is 1440 x 900 pixels.
"""

import itertools
import re
import statistics
import subprocess
import tempfile
from pathlib import Path

import nibabel
import numpy as np
from absl import app, flags

from benchmarks.cascade import SPACING_MM, draw_volume
from benchmarks.results_memory import labels_of
from liver_tf.ct.nifti_volume import read_nifti_volume
from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.export.scan_findings import ScanFindings
from liver_tf.export.scan_page import scan_page
from liver_tf.inference.lesion_properties import find_lesions
from liver_tf.labels import LESION_TYPES, LIVER
from tests.builders.browser import CHROMIUM, MISSING

FLAGS = flags.FLAGS

#: Writes the ms of loading, of the first picture and of each of 60 slices to the console.
MEASURE = """<script>addEventListener("load", async () => {
  const position = document.getElementById("position"), drawn = () => document.body.dataset.drawn;
  const task = () => new Promise((done) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = done;
    channel.port2.postMessage(0);
  });
  while (drawn() === undefined) await task();
  const first = performance.now(), times = [];
  for (let n = 0; n < 70; n++) {
    const before = performance.now();
    position.value = n % (Number(position.max) + 1);
    position.dispatchEvent(new Event("input"));
    while (drawn() !== position.value) await task();
    if (n >= 10) times.push((performance.now() - before).toFixed(1));
  }
  const load = performance.getEntriesByType("navigation")[0].loadEventEnd;
  console.log(`MEASURED ${load} ${first} ${times.join(" ")}.`);
  location.reload();
});</script></body>"""


def main(argv: list[str]) -> int:
    del argv
    if not CHROMIUM:
        print(MISSING)
        return 1
    given = FLAGS.page and Path(FLAGS.page).read_text(encoding="utf-8")
    page = given or computed_page(FLAGS.slices)
    rounds = measured(page.replace("</body>", MEASURE), FLAGS.rounds)
    slices = int(re.search(r'id="position" min="0" max="(\d+)"', page)[1]) + 1
    changes = sorted(ms for _, _, *times in rounds for ms in times)
    print(f"{slices} slices, page of {len(page) / 1e6:.1f} MB, {FLAGS.rounds} rounds")
    print(
        "| figure | median | lowest |\n| --- | ---: | ---: |\n"
        + "".join(
            f"| {name}, ms | {statistics.median(values):.0f} | {min(values):.0f} |\n"
            for name, values in (
                ("load event", [load for load, *_ in rounds]),
                ("first picture drawn", [first for _, first, *_ in rounds]),
                ("next slice", changes),
            )
        ),
        end="",
    )
    return 0


def computed_page(slices: int) -> str:
    """The page of a computed volume of 512 x 512 pixels with lesions."""
    hu = draw_volume(slices, 512, 12)
    labels = labels_of(hu)
    generator = np.random.default_rng(1)
    for one in hu:
        one += generator.normal(0, 12, one.shape).astype(np.int16)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "volume.nii"
        affine = np.diag([-SPACING_MM[2], -SPACING_MM[1], SPACING_MM[0], 1.0])
        nibabel.save(nibabel.Nifti1Image(hu.transpose(2, 1, 0), affine), path)
        scan = read_nifti_volume(path)
    sure = labels[labels > LIVER][:, None, None] == np.arange(LIVER + 1, len(LESION_TYPES))
    lesions = find_lesions(labels, scan.hu, scan.spacing_mm, LESION_TYPES, probabilities=sure)
    findings = ScanFindings(scan, labels, lesions, LESION_TYPES)
    return scan_page("scan-001", findings, AlgorithmIdentity())


def measured(page: str, rounds: int) -> list[list[float]]:
    """Ms of loading, of the first picture and of slices, for each round."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        path.write_text(page, encoding="utf-8")
        browser = subprocess.Popen(
            [
                *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu"),
                *("--window-size=1440,900", "--enable-logging=stderr"),
                *("--remote-debugging-port=0", f"--user-data-dir={folder}/profile", path.as_uri()),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            found = (re.search(r"MEASURED ([\d. ]+)\.", line) for line in browser.stderr)
            figures = ([float(ms) for ms in one[1].split()] for one in found if one)
            return list(itertools.islice(figures, 1, rounds + 1))
        finally:
            browser.kill()
            browser.wait()


if __name__ == "__main__":
    flags.DEFINE_integer("slices", 207, "Slices of the computed volume.", lower_bound=80)
    flags.DEFINE_integer("rounds", 5, "Times that the page is opened.", lower_bound=1)
    flags.DEFINE_string("page", None, "A page to measure, instead of that of a computed volume.")
    app.run(main)
