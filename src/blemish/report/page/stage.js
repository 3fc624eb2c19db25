// A picture that can be zoomed and moved; several stages share one place, so that two pictures are seen alike.

const place = { zoom: 1, x: 0, y: 0 };
const MOST_ZOOM = 24;

// Shows the picture, its heat and its outlines in a stage, fitted into it.
function fillStage(stage, pixels, item, alternative) {
  const sheet = element("div.sheet", {}, ...layers(pixels, alternative, 480));
  if (item) sheet.append(...outlined(pixels, item));
  stage.replaceChildren(sheet);
  const picture = sheet.querySelector("img");
  if (!picture) return;
  const fit = () => {
    const [width, height] = [picture.naturalWidth || 1, picture.naturalHeight || 1];
    const scale = Math.max(0.01, Math.min((stage.clientWidth - 24) / width, (stage.clientHeight - 24) / height));
    sheet.style.width = `${width * scale}px`;
    sheet.style.height = `${height * scale}px`;
    sheet.style.setProperty("--pixel", scale);
    sheet.classList.toggle("coarse", scale * place.zoom > 5);
  };
  picture.complete && picture.naturalWidth ? fit() : picture.addEventListener("load", fit, { once: true });
  stage.fit = fit;
}

// The regions of the run, and the edge of the labelled defect.
function outlined(pixels, item) {
  const [width, height] = item.size;
  const drawn = svg("svg", { class: "outlines", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none" });
  const contours = pixels.outlines.map((points) =>
    svg("polygon", { points: points.map((point) => point.join(",")).join(" ") }),
  );
  const boxes = contours.length ? [] : (item.regions ?? []).filter(({ box }) => box).map(({ box }) => svg("rect", box));
  drawn.append(...contours, ...boxes);
  if (!pixels.truth) return [drawn];
  const canvas = element("canvas.truth", { "aria-hidden": "true" });
  drawEdge(canvas, pixels.truth);
  return [drawn, canvas];
}

// The outer pixels of a mask.
async function drawEdge(canvas, mask) {
  const image = await decoded(png(mask)),
    [width, height] = [image.naturalWidth, image.naturalHeight];
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, width, height),
    inside = new Uint8Array(width * height);
  for (let at = 0; at < inside.length; at++) inside[at] = pixels.data[4 * at] > 127;
  const within = (x, y) => x >= 0 && y >= 0 && x < width && y < height && inside[y * width + x];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const edge = within(x, y) && !(within(x - 1, y) && within(x + 1, y) && within(x, y - 1) && within(x, y + 1));
      pixels.data.set([90, 220, 255, edge ? 255 : 0], 4 * (y * width + x));
    }
  }
  context.putImageData(pixels, 0, 0);
}

function showPlace() {
  for (const stage of document.querySelectorAll(".stage")) {
    const sheet = stage.firstElementChild;
    if (sheet)
      sheet.style.transform = `translate(${place.x * stage.clientWidth}px, ${place.y * stage.clientHeight}px) scale(${place.zoom})`;
    stage.fit?.();
  }
  byId("zoom-fit").textContent = `${Math.round(100 * place.zoom)} %`;
}

// Zooms by a factor about a point, in shares of the stage from its middle.
function zoomBy(factor, x = 0, y = 0) {
  const zoom = Math.min(MOST_ZOOM, Math.max(1, place.zoom * factor)),
    grown = zoom / place.zoom;
  moveTo(x - (x - place.x) * grown, y - (y - place.y) * grown, zoom);
}

// Keeps some of the picture in sight.
function moveTo(x, y, zoom = place.zoom) {
  const most = zoom / 2;
  Object.assign(place, {
    zoom,
    x: zoom === 1 ? 0 : Math.min(most, Math.max(-most, x)),
    y: zoom === 1 ? 0 : Math.min(most, Math.max(-most, y)),
  });
  showPlace();
}

function fitStages() {
  moveTo(0, 0, 1);
}

function shares(stage, event) {
  const box = stage.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width - 0.5, (event.clientY - box.top) / box.height - 0.5];
}

// Wheel zooms, one pointer moves, two pinch, a double click zooms in and out.
function startStage(stage) {
  const pointers = new Map();
  stage.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      zoomBy(Math.exp(-event.deltaY / (event.deltaMode ? 20 : 400)), ...shares(stage, event));
    },
    { passive: false },
  );
  stage.addEventListener("dblclick", (event) => (place.zoom > 1 ? fitStages() : zoomBy(4, ...shares(stage, event))));
  stage.addEventListener("pointerdown", (event) => {
    stage.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, shares(stage, event));
  });
  stage.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const now = shares(stage, event),
      other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (other)
      zoomBy(
        Math.hypot(now[0] - other[0], now[1] - other[1]) /
          Math.max(0.01, Math.hypot(before[0] - other[0], before[1] - other[1])),
        ...other,
      );
    else moveTo(place.x + now[0] - before[0], place.y + now[1] - before[1]);
    pointers.set(event.pointerId, now);
  });
  for (const end of ["pointerup", "pointercancel"])
    stage.addEventListener(end, (event) => pointers.delete(event.pointerId));
  new ResizeObserver(showPlace).observe(stage);
}
