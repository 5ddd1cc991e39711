// The viewer: one slice of a plane in a window of grey levels, outlines and the chosen lesion.
const byId = (id) => document.getElementById(id);
const canvas = byId("slice");
const context = canvas.getContext("2d", { alpha: false });
const position = byId("position");
const boxes = [...document.querySelectorAll("[data-class]")];
const lines = [...document.querySelectorAll("[data-lesion]")];
const presets = [...document.querySelectorAll("[data-window]")];
const views = [...document.querySelectorAll("[data-view]")];
const offscreen = document.createElement("canvas").getContext("2d");

const state = { view: "axial", window: [...data.fine_hu], chosen: -1, zoom: 1, centre: [0.5, 0.5] };
// The last index of each plane, and what the canvas shows.
const last = { axial: data.first };
let shown = null;
// Of the canvas, in CSS pixels: asking for it would lay the page out again for every slice.
let shownWidth = 0;

const plane = () => planes[state.view];
const index = () => Number(position.value);
let printing = false;
const ratio = () => (printing ? 3 : devicePixelRatio || 1);

// As large as the space beside or above the table allows, at true proportions in mm; in print as large
// as 250 mm x 95 mm allow.
function fit() {
  const { width, height, mm } = plane();
  const [wide, high] = [width * mm[0], height * mm[1]];
  const room = byId("stage").clientWidth - 44;
  const beside = getComputedStyle(byId("stage")).position !== "sticky";
  const above = document.querySelector("main").offsetTop;
  const tall = beside ? innerHeight - above - 190 : innerHeight / 2 - 60;
  const paper = Math.min(250 / wide, 95 / high);
  const scale = printing ? paper * 96 / 25.4 : Math.min(room / wide, Math.max(tall, Math.min(220, innerHeight - 50)) / high);
  shownWidth = Math.floor(wide * scale);
  canvas.style.setProperty("--paper", `${wide * paper}mm`);
  canvas.style.width = `${shownWidth}px`;
  canvas.style.height = `${Math.floor(high * scale)}px`;
  canvas.width = Math.floor(wide * scale * ratio());
  canvas.height = Math.floor(high * scale * ratio());
  [...plane().marks].forEach((mark, i) => { byId("stage").querySelectorAll("b")[i].textContent = mark; });
  document.documentElement.style.setProperty("--stage", `${beside ? 0 : byId("stage").clientHeight}px`);
}

function showScale() {
  const scale = byId("scale");
  scale.hidden = !data.mm;
  const { width, mm } = plane();
  const shownMm = (width * mm[0]) / state.zoom;
  const length = [1, 2, 5, 10, 20, 50, 100, 200].filter((each) => each <= 0.3 * shownMm).pop() ?? 1;
  scale.textContent = `${length} mm`;
  scale.style.width = `${(100 * length) / shownMm}%`;
}

// From pixels of the plane to pixels of the canvas: scale and offset.
function mapping() {
  const { width, height } = plane();
  const across = (canvas.width / width) * state.zoom;
  const down = (canvas.height / height) * state.zoom;
  return {
    across, down,
    left: canvas.width / 2 - state.centre[0] * width * across,
    top: canvas.height / 2 - state.centre[1] * height * down,
  };
}

function paint({ fine, wide, width, height }) {
  const [low, high] = state.window;
  const image = new ImageData(width, height);
  const words = new Uint32Array(image.data.buffer);
  const scale = 255 / (high - low);
  const greyLevels = (hus) => Uint32Array.from(hus, (hu) => {
    const grey = Math.max(0, Math.min(255, Math.round((hu - low) * scale)));
    return 0xff000000 | (grey << 16) | (grey << 8) | grey;
  });
  const [ofFine, ofWide] = [fineHu, wideHu].map(greyLevels);
  for (let i = 0; i < words.length; i++) {
    words[i] = wide && !inFine[wide[i]] ? ofWide[wide[i]] : ofFine[fine[i]];
  }
  Object.assign(offscreen.canvas, { width, height });
  offscreen.putImageData(image, 0, 0);
  const to = mapping();
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = "#000";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = to.across < 1 ? "high" : "low"; // high takes longer
  context.drawImage(offscreen.canvas, to.left, to.top, plane().width * to.across, plane().height * to.down);
}

// Strokes with a dark halo; dashes in line widths.
function strokeWithHalo(path, colour, dashes, width = 1.7) {
  const size = width * ratio();
  context.lineJoin = "round";
  context.setLineDash([]);
  context.lineWidth = size + 1.8 * ratio();
  context.strokeStyle = "rgba(0, 0, 0, 0.75)";
  context.stroke(path);
  context.lineWidth = size;
  context.strokeStyle = colour;
  context.setLineDash(dashes.map((part) => part * size));
  context.stroke(path);
  context.setLineDash([]);
}

function onCanvas(path) {
  const to = mapping();
  const moved = new Path2D();
  moved.addPath(path, new DOMMatrix([to.across, 0, 0, to.down, to.left, to.top]));
  return moved;
}

function textWithHalo(text, x, y) {
  const size = 14 * ratio();
  context.font = `600 ${size}px system-ui, sans-serif`;
  context.textBaseline = "bottom";
  context.lineWidth = 3.5 * ratio();
  context.strokeStyle = "#000";
  context.strokeText(text, x, y);
  context.fillStyle = "#fff";
  context.fillText(text, x, y);
}

function drawOutlines(codes) {
  const number = data.lesions[state.chosen]?.number;
  for (const [i, one] of data.classes.entries()) {
    const isClass = one.label === 1 ? (code) => code > 0 : (code) => code % data.code === one.label;
    if (number && one.label > 1 && boxes[i].checked) {
      const its = (code) => isClass(code) && Math.floor(code / data.code) === number;
      context.fillStyle = `${one.colour}59`;
      context.fill(onCanvas(outlineOf(codes, its)));
    }
    if (boxes[i].checked) {
      const path = onCanvas(outlineOf(codes, isClass));
      strokeWithHalo(path, one.colour, one.dashes, one.label === 1 ? 1.2 : 1.9);
    }
  }
}

// Numbers stand beside the lesions, never on them.
function drawNumbers() {
  if (state.view !== "axial" || !byId("numbers").checked) return;
  const to = mapping();
  for (const lesion of data.lesions) {
    const place = lesion.places[index()];
    if (!place) continue;
    const [top, , , , mark] = place;
    const x = to.left + (mark + 1) * to.across + 5 * ratio();
    const y = to.top + top * to.down;
    textWithHalo(lesion.number, Math.min(x, canvas.width - 18 * ratio()), Math.max(y, 16 * ratio()));
  }
}

// The longest diameter of the chosen lesion, with its length, in the slice where it was measured.
function drawDiameter() {
  const lesion = data.lesions[state.chosen];
  if (state.view !== "axial" || !lesion?.line || lesion.slice !== index()) return false;
  if (!boxes.some((box) => box.checked && box.dataset.class > 1)) return false;
  const to = mapping();
  const [[x1, y1], [x2, y2]] = lesion.line.map(([r, c]) => [to.left + c * to.across, to.top + r * to.down]);
  const length = Math.hypot(x2 - x1, y2 - y1) || 1;
  const [alongX, alongY] = [(x2 - x1) / length, (y2 - y1) / length];
  const tick = 5 * ratio();
  const path = new Path2D();
  path.moveTo(x1, y1);
  path.lineTo(x2, y2);
  for (const [x, y] of [[x1, y1], [x2, y2]]) {
    path.moveTo(x - alongY * tick, y + alongX * tick);
    path.lineTo(x + alongY * tick, y - alongX * tick);
  }
  strokeWithHalo(path, "#fff", [], 1.4);
  const right = Math.max(x1, x2);
  const y = (x1 > x2 ? y1 : y2) + 20 * ratio();
  const text = `${significant(lesion.mm)} mm`;
  textWithHalo(text, Math.min(right + 6 * ratio(), canvas.width - 60 * ratio()), Math.min(y, canvas.height));
  return true;
}

// In coronal and sagittal pictures: where the axial slice lies.
function drawAxialPosition() {
  if (state.view === "axial") return;
  const to = mapping();
  const y = to.top + (count - 0.5 - last.axial) * to.down;
  context.lineWidth = ratio();
  context.strokeStyle = "rgba(255, 255, 255, 0.6)";
  context.setLineDash([4 * ratio(), 6 * ratio()]);
  context.beginPath();
  context.moveTo(0, y);
  context.lineTo(canvas.width, y);
  context.stroke();
  context.setLineDash([]);
}

const significant = (value) => (value >= 10 ? value.toFixed(0) : value.toPrecision(2));

function describe() {
  const axial = state.view === "axial";
  const image = axial && data.images ? `, image ${data.images[index()]}` : "";
  const height = axial && data.z ? `, z\u00a0${data.z[index()].toFixed(1)}\u00a0mm` : "";
  byId("where").textContent = `${axial ? "" : `${state.view} `}slice ${index()} (0 to ${plane().count - 1})${image}${height}`;
  const [low, high] = state.window;
  byId("window").textContent = `W ${Math.round(high - low)} L ${Math.round((high + low) / 2)}`;
  lines.forEach((line, i) => {
    line.classList.toggle("here", state.view === "axial" && index() in data.lesions[i].places);
    line.classList.toggle("chosen", i === state.chosen);
  });
  presets.forEach((button) => button.setAttribute("aria-pressed", button.dataset.window === `${low},${high}`));
  views.forEach((button) => button.setAttribute("aria-pressed", button.dataset.view === state.view));
}

let drawing = 0;
async function draw() {
  const mine = ++drawing;
  delete document.body.dataset.drawn;
  last[state.view] = index();
  describe();
  showScale();
  const slice = await picturesOf(state.view, index(), state.window);
  if (mine !== drawing) return; // something else was requested meanwhile
  const codes = codesOf(state.view, index());
  shown = { ...slice, codes: codes.codes };
  paint(slice);
  drawOutlines(codes);
  drawAxialPosition();
  drawNumbers();
  document.body.dataset.diameter = drawDiameter();
  document.body.dataset.drawn = index();
  if (state.view !== "axial") return;
  for (const near of [1, -1, 2, -2].map((by) => index() + by)) if (near >= 0 && near < count) greyOf("fine", near);
}

function go(to) {
  position.value = Math.max(0, Math.min(plane().count - 1, to));
  draw();
}

function setView(view) {
  if (!planes[view]) return;
  state.view = view;
  resetView();
  position.max = plane().count - 1;
  fit();
  const place = data.lesions[state.chosen];
  const box = place?.places[place.slice];
  const [row, column] = box ? [(box[0] + box[2]) >> 1, (box[1] + box[3]) >> 1] : [rows >> 1, columns >> 1];
  const start = { axial: last.axial, coronal: row, sagittal: column }[view];
  go(box && view !== "axial" ? start : last[view] ?? start);
}

function setWindow(low, high) {
  state.window = [low, high];
  draw();
}

function resetView() {
  state.zoom = 1;
  state.centre = [0.5, 0.5];
}

// Zooms about a point of the canvas, in shares of its size, which stays where it is.
function zoomBy(factor, [x, y] = [0.5, 0.5]) {
  const before = state.zoom;
  state.zoom = Math.max(1, Math.min(12, before * factor));
  const shift = 1 / before - 1 / state.zoom;
  pan((0.5 - x) * shift, (0.5 - y) * shift);
}

// Zooms about the chosen lesion if it lies in the slice shown, else about the middle.
function zoomOnChosen(factor) {
  const place = state.view === "axial" && data.lesions[state.chosen]?.places[index()];
  if (place) state.centre = middleOf(place);
  zoomBy(factor);
}

// Moves the picture by shares of its size.
function pan(x, y) {
  const half = 0.5 / state.zoom;
  state.centre = [state.centre[0] - x, state.centre[1] - y]
    .map((each) => Math.max(half, Math.min(1 - half, each)));
  draw();
}

const middleOf = ([top, left, bottom, right]) => [(left + right + 1) / 2 / columns, (top + bottom + 1) / 2 / rows];

// Scrolls as little as shows the row of a lesion and the picture; the picture where there is no room for both.
function reveal(lesion) {
  lines[lesion].rows[0].scrollIntoView({ block: "nearest" });
  const { top, bottom } = byId("stage").getBoundingClientRect();
  scrollBy(0, top < 0 ? top : Math.max(0, Math.min(top, bottom - innerHeight)));
}

// Jumps to the slice where the diameter was measured, with the lesion in the middle of an enlarged picture.
function show(lesion) {
  const { slice, places } = data.lesions[lesion];
  state.chosen = lesion;
  last.axial = slice;
  if (state.view !== "axial") setView("axial");
  else go(last.axial);
  state.centre = middleOf(places[slice]);
  pan(0, 0);
  reveal(lesion);
}

// Mean HU of 5 x 5 pixels and class at a point of the canvas.
function readOut(event) {
  const [x, y] = pointOf(event);
  const { width, height } = plane();
  const [c, r] = [x, y].map((share, i) => Math.floor(((share - 0.5) / state.zoom + state.centre[i]) * [width, height][i]));
  if (!shown || c < 0 || r < 0 || c >= width || r >= height) return null;
  const [px, py] = [Math.floor((c * shown.width) / width), Math.floor((r * shown.height) / height)];
  let [sum, pixels] = [0, 0];
  for (let j = Math.max(0, py - 2); j <= Math.min(shown.height - 1, py + 2); j++) {
    for (let i = Math.max(0, px - 2); i <= Math.min(shown.width - 1, px + 2); i++) {
      sum += huAt(shown, j * shown.width + i);
      pixels++;
    }
  }
  return { hu: Math.round(sum / pixels), code: shown.codes[r * width + c] };
}

const pointOf = (event) => {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
};
