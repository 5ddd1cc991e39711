// Mouse, touch and keyboard; sorting and unfolding of the table.
const step = (by) => go(index() + by);
const chooseNext = (by) => {
  const order = [...document.querySelectorAll("#lesions [data-lesion]")].map((line) => Number(line.dataset.lesion));
  if (!order.length) return;
  show(order[(order.indexOf(state.chosen) + by + order.length) % order.length] ?? order[0]);
};
const toggleOutlines = () => {
  const on = !boxes.some((box) => box.checked);
  boxes.forEach((box) => { box.checked = on; });
  draw();
};
const help = () => (byId("help").open ? byId("help").close() : byId("help").showModal());

const keys = {
  ArrowUp: () => step(1), ArrowRight: () => step(1),
  ArrowDown: () => step(-1), ArrowLeft: () => step(-1),
  PageUp: () => step(10), PageDown: () => step(-10),
  Home: () => go(0), End: () => go(plane().count - 1),
  j: () => chooseNext(1), k: () => chooseNext(-1),
  a: () => setView("axial"), c: () => setView("coronal"), s: () => setView("sagittal"),
  o: toggleOutlines,
  n: () => byId("numbers").click(),
  "+": () => zoomOnChosen(1.25), "=": () => zoomOnChosen(1.25), "-": () => zoomBy(0.8),
  Escape: () => { state.chosen = -1; draw(); },
  0: () => { resetView(); draw(); },
  "?": help,
};
presets.forEach((button, i) => { keys[i + 1] = () => button.click(); });
const panKeys = { ArrowUp: [0, 1], ArrowDown: [0, -1], ArrowLeft: [1, 0], ArrowRight: [-1, 0] };

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const moved = event.shiftKey && panKeys[name];
  const act = moved ? () => pan(...moved.map((each) => (0.1 * each) / state.zoom)) : keys[name];
  if (!act || (byId("help").open && name !== "?")) return;
  event.preventDefault();
  act();
});

canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  if (!event.deltaY) return;
  if (event.ctrlKey) zoomBy(event.deltaY < 0 ? 1.15 : 1 / 1.15, pointOf(event));
  else step(event.deltaY < 0 ? 1 : -1);
}, { passive: false });

// Mouse: drag for the window, right button or Shift to pan. Touch: swipe up or to the left for higher
// slices, two fingers to zoom and pan. A click chooses the lesion; beside lesions, none.
const pointers = new Map();
const SWIPE_PX = 12;
let start = null;

function begin(event) {
  pointers.set(event.pointerId, [event.clientX, event.clientY]);
  try { canvas.setPointerCapture(event.pointerId); } catch { /* pointers of tests */ }
  start = {
    at: [event.clientX, event.clientY], index: index(), window: [...state.window], moved: false,
    pans: event.button === 2 || event.shiftKey, fingers: pointers.size,
  };
}

function move(event) {
  const before = pointers.get(event.pointerId);
  if (!before) {
    const found = event.pointerType === "touch" ? null : readOut(event);
    const one = found && data.classes.find((each) => each.label === found.code % data.code);
    byId("hu").textContent = found ? `${found.hu} HU${one ? ` ${one.name}` : ""}` : "";
    return;
  }
  const now = [event.clientX, event.clientY];
  const [dx, dy] = [now[0] - start.at[0], now[1] - start.at[1]];
  if (!start.moved && Math.hypot(dx, dy) > 4) {
    start.moved = true;
    start.sideways = Math.abs(dx) > Math.abs(dy);
  }
  if (!start.moved) return;
  const share = (a, b) => [(b[0] - a[0]) / canvas.clientWidth / state.zoom, (b[1] - a[1]) / canvas.clientHeight / state.zoom];
  if (pointers.size === 2) {
    const other = [...pointers].find(([id]) => id !== event.pointerId)[1];
    const distance = (a) => Math.hypot(a[0] - other[0], a[1] - other[1]);
    zoomBy(distance(now) / Math.max(distance(before), 1), pointOf(event));
    pan(...share(before, now).map((each) => each / 2));
  } else if (start.pans) {
    pan(...share(before, now));
  } else if (event.pointerType === "touch") {
    // Not the finger that stays after two.
    if (start.fingers === 1) go(start.index - Math.round((start.sideways ? dx : dy) / SWIPE_PX));
  } else {
    const [low, high] = start.window;
    const width = Math.max(20, high - low + 2 * dx);
    const level = (low + high) / 2 - dy;
    setWindow(Math.round(level - width / 2), Math.round(level + width / 2));
  }
  pointers.set(event.pointerId, now);
}

function end(event) {
  const clicked = pointers.delete(event.pointerId) && start && !start.moved && event.type === "pointerup";
  if (!clicked) return;
  const number = Math.floor((readOut(event)?.code ?? 0) / data.code);
  const lesion = number ? data.lesions.findIndex((each) => each.number === number) : -1;
  state.chosen = lesion;
  draw();
  if (lesion >= 0) reveal(lesion);
}

canvas.addEventListener("pointerdown", begin);
canvas.addEventListener("pointermove", move);
canvas.addEventListener("pointerup", end);
canvas.addEventListener("pointercancel", end);
canvas.addEventListener("pointerleave", () => { byId("hu").textContent = ""; });
canvas.addEventListener("contextmenu", (event) => event.preventDefault());
canvas.addEventListener("dblclick", () => { resetView(); draw(); });

position.addEventListener("input", draw);
byId("up").addEventListener("click", () => step(1));
byId("down").addEventListener("click", () => step(-1));
byId("keys").addEventListener("click", help);
boxes.forEach((box) => box.addEventListener("change", draw));
byId("numbers").addEventListener("change", draw);
presets.forEach((button) => button.addEventListener("click", () => setWindow(...button.dataset.window.split(",").map(Number))));
views.forEach((button) => {
  button.hidden = !planes[button.dataset.view] || Object.keys(planes).length === 1;
  button.addEventListener("click", () => setView(button.dataset.view));
});

lines.forEach((line, i) => {
  const unfold = line.querySelector(".unfold");
  unfold.addEventListener("click", (event) => {
    event.stopPropagation();
    const more = line.querySelector(".more");
    more.hidden = !more.hidden;
    unfold.setAttribute("aria-expanded", String(!more.hidden));
  });
  line.rows[0].addEventListener("click", () => show(i));
});

// Largest first, types from A to Z with the most confident first; a second click on the same column reverses the order.
function sortBy(head) {
  const table = byId("lesions");
  const value = (line) => line.rows[0].cells[head.cellIndex].dataset.value;
  const worth = (line) => (value(line) === "" ? -Infinity : Number(value(line)));
  const words = lines.some((line) => Number.isNaN(worth(line)));
  const [first, second] = words ? ["ascending", "descending"] : ["descending", "ascending"];
  const turned = head.getAttribute("aria-sort") === first;
  const order = [...table.tBodies].sort((a, b) =>
    words ? value(a).localeCompare(value(b)) : worth(b) - worth(a));
  for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", turned ? second : first);
  table.append(...(turned ? order.reverse() : order));
}
document.querySelectorAll("#lesions th button").forEach((button) => {
  button.addEventListener("click", () => sortBy(button.parentNode));
});

const redraw = () => { fit(); draw(); };
addEventListener("resize", redraw);
addEventListener("beforeprint", () => { printing = true; redraw(); });
addEventListener("afterprint", () => { printing = false; redraw(); });
setView("axial");
