"use strict";
// Shows one slice at a time: the picture, then outlines along the edges of the label map's pixels.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const canvas = byId("slice");
  const position = byId("position");
  const boxes = [...document.querySelectorAll("[data-class]")];
  const lines = [...document.querySelectorAll("[data-lesion]")];
  const { rows, columns } = data;
  const last = data.pictures.length - 1;
  const [rowMm, columnMm] = data.mm ?? [1, 1];
  const pictures = new Map();
  let chosen = -1;

  // As large as the window allows, at the true proportions of the slice in mm.
  function fit() {
    const shape = (rows * rowMm) / (columns * columnMm);
    const width = Math.min(innerWidth - 110, (innerHeight - 190) / shape, 900);
    const css = Math.max(200, Math.round(width));
    canvas.style.width = `${css}px`;
    canvas.style.height = `${Math.round(css * shape)}px`;
    canvas.width = Math.round(css * devicePixelRatio);
    canvas.height = Math.round(css * shape * devicePixelRatio);
    showScale(css);
  }

  function showScale(css) {
    const scale = byId("scale");
    if (!data.mm) {
      scale.style.display = "none";
      return;
    }
    const wide = columns * columnMm;
    const length = [1, 2, 5, 10, 20, 50, 100, 200].filter((mm) => mm <= 0.3 * wide).pop() ?? 1;
    scale.textContent = `${length} mm`;
    scale.style.width = `${(css * length) / wide}px`;
  }

  function pictureOf(index) {
    if (!pictures.has(index)) {
      const image = new Image();
      image.src = `data:image/jpeg;base64,${data.pictures[index]}`;
      pictures.set(index, image.decode().then(() => image));
    }
    return pictures.get(index);
  }

  function labelsOf(index) {
    const labels = new Uint8Array(rows * columns);
    const runs = data.runs[index];
    for (let at = 0, i = 0; i < runs.length; i += 3) {
      at += runs[i];
      labels.fill(runs[i + 2], at, at + runs[i + 1]);
      at += runs[i + 1];
    }
    return labels;
  }

  // Edges between pixels inside and outside a class; the liver includes its lesions. Lines are
  // drawn half a line width inside, so that those of touching classes are both visible.
  function edgesOf(labels, label) {
    const inside = (r, c) => {
      if (r < 0 || c < 0 || r >= rows || c >= columns) return false;
      const found = labels[r * columns + c];
      return label === 1 ? found >= 1 : found === label;
    };
    const path = new Path2D();
    const across = canvas.width / columns;
    const down = canvas.height / rows;
    const half = lineWidth() / 2;
    for (let at = 0; at < labels.length; at++) {
      if (!labels[at]) continue;
      const r = Math.floor(at / columns);
      const c = at - r * columns;
      if (!inside(r, c)) continue;
      const [x, y, right, below] = [c * across, r * down, (c + 1) * across, (r + 1) * down];
      const line = (x1, y1, x2, y2) => { path.moveTo(x1, y1); path.lineTo(x2, y2); };
      if (!inside(r - 1, c)) line(x + half, y + half, right - half, y + half);
      if (!inside(r + 1, c)) line(x + half, below - half, right - half, below - half);
      if (!inside(r, c - 1)) line(x + half, y + half, x + half, below - half);
      if (!inside(r, c + 1)) line(right - half, y + half, right - half, below - half);
    }
    return path;
  }

  const lineWidth = () => 1.5 * devicePixelRatio;

  function drawNumbers(context, index) {
    const across = canvas.width / columns;
    const down = canvas.height / rows;
    const size = 14 * devicePixelRatio;
    context.font = `600 ${size}px system-ui, sans-serif`;
    context.textBaseline = "bottom";
    data.lesions.forEach((lesion, i) => {
      const place = lesion.places[index];
      if (!place) return;
      const [top, left, bottom, right, mark] = place;
      if (i === chosen) {
        const gap = 4 * devicePixelRatio;
        context.strokeStyle = "#fff";
        context.lineWidth = devicePixelRatio;
        context.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
        context.strokeRect(left * across - gap, top * down - gap,
          (right - left + 1) * across + 2 * gap, (bottom - top + 1) * down + 2 * gap);
        context.setLineDash([]);
      }
      if (!byId("numbers").checked) return;
      // Beside the lesion, never on it.
      const x = Math.min((mark + 1) * across + size / 3, canvas.width - size);
      const y = Math.max(top * down, size);
      context.lineWidth = 3 * devicePixelRatio;
      context.strokeStyle = "#000";
      context.strokeText(lesion.number, x, y);
      context.fillStyle = "#fff";
      context.fillText(lesion.number, x, y);
    });
  }

  async function draw() {
    const index = Number(position.value);
    const height = data.z ? `, z ${data.z[index].toFixed(1)} mm` : "";
    byId("where").textContent = `slice ${index} (0 to ${last})${height}`;
    lines.forEach((line, i) => {
      line.classList.toggle("here", index in data.lesions[i].places);
      line.classList.toggle("chosen", i === chosen);
    });
    const image = await pictureOf(index);
    if (index !== Number(position.value)) return; // another slice was requested meanwhile
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    const labels = labelsOf(index);
    context.lineWidth = lineWidth();
    context.lineCap = "square";
    data.classes.forEach((one, i) => {
      if (!boxes[i].checked) return;
      context.strokeStyle = one.colour;
      context.stroke(edgesOf(labels, one.label));
    });
    drawNumbers(context, index);
    document.body.dataset.drawn = index;
    if (index < last) pictureOf(index + 1);
    if (index > 0) pictureOf(index - 1);
  }

  function go(index) {
    position.value = Math.max(0, Math.min(last, index));
    draw();
  }

  function show(lesion) {
    chosen = lesion;
    go(data.lesions[lesion].slice);
  }

  // Largest first, words from A to Z; a second click on the same column reverses the order.
  function sortBy(head) {
    const body = byId("lesions").tBodies[0];
    const column = head.cellIndex;
    const value = (line) => line.cells[column].textContent;
    const worth = (line) => (value(line) === "\u2013" ? -Infinity : Number(value(line)));
    const words = lines.some((line) => Number.isNaN(worth(line)));
    const turned = head.getAttribute("aria-sort") === "descending";
    const order = [...body.rows].sort((a, b) =>
      words ? value(a).localeCompare(value(b)) : worth(b) - worth(a));
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", turned ? "ascending" : "descending");
    body.append(...(turned ? order.reverse() : order));
  }

  const step = (by) => go(Number(position.value) + by);
  const keys = {
    ArrowUp: () => step(1), ArrowRight: () => step(1),
    ArrowDown: () => step(-1), ArrowLeft: () => step(-1),
    PageUp: () => step(10), PageDown: () => step(-10),
    Home: () => go(0), End: () => go(last),
    o: () => {
      const on = !boxes.some((box) => box.checked);
      boxes.forEach((box) => { box.checked = on; });
      draw();
    },
  };

  addEventListener("keydown", (event) => {
    const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (event.deltaY) step(event.deltaY < 0 ? 1 : -1);
  }, { passive: false });
  position.addEventListener("input", draw);
  byId("up").addEventListener("click", () => step(1));
  byId("down").addEventListener("click", () => step(-1));
  boxes.forEach((box) => box.addEventListener("change", draw));
  byId("numbers").addEventListener("change", draw);
  lines.forEach((line, i) => line.addEventListener("click", () => show(i)));
  document.querySelectorAll("#lesions th:not(:empty)").forEach((head) => {
    head.addEventListener("click", () => sortBy(head));
  });
  addEventListener("resize", () => { fit(); draw(); });
  fit();
  go(data.first);
})();
