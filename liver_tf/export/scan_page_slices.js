// Slices in three planes: HU from two pictures of 8 bits per axial slice, and the label map.
// "fine" has small steps in the window of the networks, "wide" covers all tissues.
const { rows, columns, reduction } = data;
const count = data.slices;
const [rowMm, columnMm] = data.mm ?? [1, 1];
const huOf = ([low, high]) => Float32Array.from({ length: 256 }, (_, v) => low + v * (high - low) / 255);
const fineHu = huOf(data.fine_hu);
const wideHu = huOf(data.wide_hu);

// Marks: above, left, right, below. Slices of the planes are counted from the feet, front and right.
const planes = {
  axial: { width: columns, height: rows, mm: [columnMm, rowMm], count, marks: "ARLP" },
};
if (data.slice_mm && count > 2) {
  planes.coronal = { width: columns, height: count, mm: [columnMm, data.slice_mm], count: rows, marks: "HRLF" };
  planes.sagittal = { width: rows, height: count, mm: [rowMm, data.slice_mm], count: columns, marks: "HAPF" };
}

// The pictures stand behind this script: all are known when the page has been read.
const read = new Promise((done) => addEventListener("DOMContentLoaded", done));
const pictures = read.then(() => Object.fromEntries(["fine", "wide"].map(
  (kind) => [kind, document.getElementById(kind).textContent.split("\n")])));
const jpegOf = async (kind, index) => (
  kind === "fine" && index === data.first ? data.first_picture : (await pictures)[kind][index]);

const decoded = { fine: new Map(), wide: new Map() };
const decoder = document.createElement("canvas").getContext("2d", { willReadFrequently: true });

// The grey levels of a picture, uint8, row by row.
function greyOf(kind, index) {
  const known = decoded[kind];
  if (!known.has(index)) {
    const image = new Image();
    // Not image.decode(): a canvas that is read decodes the picture once more.
    const loaded = new Promise((done, failed) => Object.assign(image, { onload: done, onerror: failed }));
    jpegOf(kind, index).then((jpeg) => { image.src = `data:image/jpeg;base64,${jpeg}`; });
    known.set(index, loaded.then(() => {
      const [width, height] = [Math.ceil(columns / reduction), Math.ceil(rows / reduction)];
      Object.assign(decoder.canvas, { width, height });
      decoder.drawImage(image, 0, 0, width, height);
      const pixels = decoder.getImageData(0, 0, width, height).data;
      const grey = new Uint8Array(width * height);
      for (let i = 0; i < grey.length; i++) grey[i] = pixels[4 * i];
      return { grey, width, height };
    }));
  }
  return known.get(index);
}

// One kind of picture of a slice of a plane; coronal and sagittal ones need all axial slices.
async function levelsOf(view, index, kind) {
  if (view === "axial") return greyOf(kind, index);
  const slices = await Promise.all(Array.from({ length: count }, (_, slice) => greyOf(kind, slice)));
  const coronal = view === "coronal";
  const at = Math.floor(index / reduction);
  const width = coronal ? slices[0].width : slices[0].height;
  const grey = new Uint8Array(width * count);
  slices.forEach((slice, z) => {
    const to = (count - 1 - z) * width;
    for (let i = 0; i < width; i++) {
      grey[to + i] = slice.grey[coronal ? at * slice.width + i : i * slice.width + at];
    }
  });
  return { grey, width, height: count };
}

// The pictures of a slice of a plane; the wide one only if the window needs it.
async function picturesOf(view, index, [low, high]) {
  const beyond = low < data.fine_hu[0] || high > data.fine_hu[1];
  const fine = await levelsOf(view, index, "fine");
  const wide = beyond ? await levelsOf(view, index, "wide") : null;
  return { fine: fine.grey, wide: wide?.grey, width: fine.width, height: fine.height };
}

// Levels of the wide picture that the fine one shows in smaller steps.
const inFine = Array.from(wideHu, (hu) => hu >= data.fine_hu[0] && hu <= data.fine_hu[1]);

const huAt = ({ fine, wide }, i) => (wide && !inFine[wide[i]] ? wideHu[wide[i]] : fineHu[fine[i]]);

// Codes of a slice of a plane, label plus data.code times the number of the lesion; and the places of
// the pixels that have one.
function codesOf(view, index) {
  const { width, height } = planes[view];
  const codes = new Uint32Array(width * height);
  fillCodes(codes, view, index);
  const coded = [];
  for (let at = 0; at < codes.length; at++) if (codes[at]) coded.push(at);
  return { codes, coded, width, height };
}

function fillCodes(codes, view, index) {
  const { width } = planes[view];
  const each = (slice, use) => {
    const runs = data.runs[slice];
    for (let at = 0, i = 0; i < runs.length; i += 3) {
      at += runs[i];
      use(at, at + runs[i + 1], runs[i + 2]);
      at += runs[i + 1];
    }
  };
  if (view === "axial") {
    each(index, (start, end, code) => codes.fill(code, start, end));
    return;
  }
  for (let z = 0; z < count; z++) {
    const to = (count - 1 - z) * width;
    if (view === "coronal") {
      const first = index * columns;
      each(z, (start, end, code) => {
        const [from, until] = [Math.max(start, first), Math.min(end, first + columns)];
        if (from < until) codes.fill(code, to + from - first, to + until - first);
      });
    } else {
      each(z, (start, end, code) => {
        for (let r = Math.ceil((start - index) / columns); r * columns + index < end; r++) {
          codes[to + r] = code;
        }
      });
    }
  }
}

// Closed outlines along the edges of the pixels for which inside(code), as a path in pixels.
function outlineOf({ codes, coded, width, height }, inside) {
  const next = new Map();
  const add = (from, to) => {
    const others = next.get(from);
    if (others) others.push(to);
    else next.set(from, [to]);
  };
  const wide = width + 1;
  for (const at of coded) {
    if (!inside(codes[at])) continue;
    const r = Math.floor(at / width);
    const c = at - r * width;
    const corner = r * wide + c;
    // Clockwise: right, down, left, up.
    if (r === 0 || !inside(codes[at - width])) add(corner, corner + 1);
    if (c === width - 1 || !inside(codes[at + 1])) add(corner + 1, corner + 1 + wide);
    if (r === height - 1 || !inside(codes[at + width])) add(corner + 1 + wide, corner + wide);
    if (c === 0 || !inside(codes[at - 1])) add(corner + wide, corner);
  }
  const path = new Path2D();
  for (const start of next.keys()) {
    let from = start;
    let moved = false;
    while (next.get(from)?.length) {
      const to = next.get(from).pop();
      if (!moved) path.moveTo(from % wide, Math.floor(from / wide));
      moved = true;
      if (to === start) path.closePath();
      else path.lineTo(to % wide, Math.floor(to / wide));
      from = to;
    }
  }
  return path;
}
